"""The command line: its commands, its exit statuses, and one line on stderr for every error.

Exit status: 0 done, 2 wrong input, 3 diverged, 4 points of a sweep failed, 5 its scheduler is gone, 70 a fault of
fusionkit, 130 interrupted. Nothing heavy is imported here, so that ``--help`` answers at once: each command imports
what it needs.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from fusionkit.cli.parser import COMMANDS, DEBUG, build_parser
from fusionkit.errors import UserError, describe_fault, reason
from fusionkit.terminal import one_line_warnings, painted

# exit statuses
DONE = 0  # summary.json has the status of the solve
WRONG = 2  # the user's input
DIVERGED = 3
FAILED = 4  # at least one point of a sweep
LOST = 5  # the scheduler of a sweep; the same command resumes
FAULT = 70  # of fusionkit: sysexits.h calls it EX_SOFTWARE
INTERRUPTED = 130

# imports create some 300,000 permanent objects: a collection every 700 of them took 0.2 s of a small run
_RARE = (100_000, 50, 100)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (that of the process if None) and return its exit status."""
    try:
        with _rare_garbage_collection(), one_line_warnings() as texts:
            status = _run_command(argv, texts)
            _flush_output()
            return status
    except KeyboardInterrupt:
        print("fusionkit: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it, as ``head`` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except UserError as error:
        _print_error(str(error))
        return WRONG
    except Exception as fault:  # noqa: BLE001 - the outermost frame: unexpected errors are faults of fusionkit
        if DEBUG in (sys.argv[1:] if argv is None else argv):
            import traceback

            traceback.print_exc()
            _print_error("this is a fault of fusionkit; please report it with the traceback above")
        else:
            _print_error(describe_fault(fault))
        return FAULT


def _flush_output() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError("standard output", f"cannot be written: {reason(error)}", "check its disk") from error


def _print_error(text: str) -> None:
    print(f"{painted('fusionkit:', 'red', sys.stderr)} {text}", file=sys.stderr)


def _run_command(argv: Sequence[str] | None, texts: list[str]) -> int:
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit:  # --help and --version have printed their text
        return DONE
    arguments.warnings = texts
    return import_module(COMMANDS[arguments.command][0]).run(arguments)


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Collect garbage rarely within the context, and not at all at the end of the process."""
    former = gc.get_threshold()
    gc.set_threshold(*_RARE)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # at exit, collections would take 0.2 s to free what ends with the process anyway
    try:
        yield
    finally:
        gc.set_threshold(*former)
