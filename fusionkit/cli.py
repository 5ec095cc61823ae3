"""The command line: its commands, its exit statuses, and one line for whatever goes wrong.

Exit status: 0 done, 2 the user's input was wrong, 3 diverged, 130 interrupted. Nothing heavy is imported here, so that
``--help`` answers at once; each command imports what it needs.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.exit_status import DONE, INTERRUPTED, WRONG

KINDS = (
    "terms",
    "forwards",
    "functionals",
    "operators",
    "penalties",
    "solvers",
    "readers",
    "configs",
    "phantoms",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (of the process where None) and return its exit status."""
    try:
        with one_line_warnings() as said:
            status = _command(argv, said)
            sys.stdout.flush()
            return status
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("fusionkit: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except MemoryError as error:
        return _fail(f"memory: the machine has too little ({error}); take smaller data or close other programs")
    except ModuleNotFoundError as error:  # of a plug-in, or of a library that only some commands need
        return _fail(f"installation: there is no module '{error.name}'; install the package that has it")
    except OSError as error:  # a disk that fills up, a file that vanishes
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}; check the disk and the permissions")


@contextmanager
def one_line_warnings() -> Iterator[list[str]]:
    """Warnings on stderr, a line each and each once; yields the list of them."""
    said: list[str] = []

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in said:
            said.append(text)
            print(f"fusionkit: warning: {text}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", FusionkitWarning)
        warnings.showwarning = show
        yield said


def _command(argv: Sequence[str] | None, said: list[str]) -> int:
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit:  # --help and --version have printed what they had to say
        return DONE
    if arguments.command == "run":
        from fusionkit.cli_run import run

        return run(arguments, said)
    if arguments.command == "validate":
        from fusionkit.cli_run import validate

        return validate(arguments)
    if arguments.command == "list":
        from fusionkit.cli_list import list_names

        return list_names(arguments.kind)
    from fusionkit.cli_simulate import simulate

    return simulate(arguments)


def _fail(line: str) -> int:
    print(f"fusionkit: {' '.join(line.split())}", file=sys.stderr)
    return WRONG


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of the rest of the program."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        raise UserError(command or "command line", message, f"see '{self.prog} --help'")


class _Version(argparse.Action):
    """Print the version; looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("fusionkit-em")
        except PackageNotFoundError:
            found = "(not installed)"
        print(f"fusionkit {found}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fusionkit",
        description="Fuse a HAADF image with elemental maps; or any problem made of the terms that are listed.",
        epilog="Exit status: 0 done, 2 wrong input, 3 diverged, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="solve a problem and write its result", allow_abbrev=False)
    _add_config(run)
    run.add_argument("--output", metavar="DIR", help="output folder (default: the config's, else runs/NAME)")
    run.add_argument("--overwrite", action="store_true", help="replace a former run in the output folder")
    run.add_argument("--quiet", action="store_true", help="write nothing but warnings and errors")

    validate = commands.add_parser(
        "validate", help="read config and data, say what would run, run nothing", allow_abbrev=False
    )
    _add_config(validate)

    names = commands.add_parser("list", help="what can be named in a config", allow_abbrev=False)
    names.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=f"one of {', '.join(KINDS)}")

    simulate = commands.add_parser("simulate", help="write a simulated recording with its ground truth")
    simulate.add_argument("preset", nargs="?", default="cos_nanoparticle", metavar="PRESET", help="see 'list phantoms'")
    simulate.add_argument("--output", metavar="FILE", required=True, help="file to write (.npz)")
    simulate.add_argument("--overwrite", action="store_true", help="replace the file where it exists")
    _add_set(simulate, "an option of the preset (size=128)")
    return parser


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("config", metavar="CONFIG", help="a YAML file, or a name of 'fusionkit list configs'")
    _add_set(command, "a value of the config (terms.tv.weight=0.2, solver.max_iterations=100)")


def _add_set(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=f"replace {what}")
