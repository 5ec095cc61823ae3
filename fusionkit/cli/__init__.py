"""The command line: its commands, its exit statuses, and one line for whatever goes wrong.

Exit status: 0 done, 2 the user's input was wrong, 3 diverged, 4 points of a sweep failed, 5 its scheduler is gone, 130
interrupted. Nothing heavy is imported here, so that ``--help`` answers at once; each command imports what it needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from fusionkit.cli.commands import COMMANDS
from fusionkit.cli.exit_status import DONE, INTERRUPTED, WRONG
from fusionkit.cli.garbage import seldom_collected
from fusionkit.cli.parser import build_parser
from fusionkit.errors import EXPECTED, one_line
from fusionkit.terminal import painted
from fusionkit.warnings import one_line_warnings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (of the process where None) and return its exit status."""
    try:
        with seldom_collected(), one_line_warnings() as said:
            status = _command(argv, said)
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        print("fusionkit: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except EXPECTED as error:
        print(f"{painted('fusionkit:', 'red', sys.stderr)} {one_line(error)}", file=sys.stderr)
        return WRONG


def _command(argv: Sequence[str] | None, said: list[str]) -> int:
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit:  # --help and --version have printed what they had to say
        return DONE
    arguments.said = said
    return import_module(COMMANDS[arguments.command][0]).run(arguments)
