"""The parser of the command line, made from the table of commands."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import NoReturn

from fusionkit.cli.commands import COMMANDS
from fusionkit.errors import UserError


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of the rest of the program."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        raise UserError(command or "command line", message, f"see '{self.prog} --help'")


class _Version(argparse.Action):
    """Print the version; looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("fusionkit-em")
        except PackageNotFoundError:
            found = "(not installed)"
        print(f"fusionkit {found}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command of the table; ``command`` is the name of the one that was given."""
    parser = _Parser(
        prog="fusionkit",
        description="Fuse a HAADF image with elemental maps; or any problem made of the terms that are listed.",
        epilog="Exit status: 0 done, 2 wrong input, 3 diverged, 4 points of a sweep failed, 5 its scheduler is gone, "
        "130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, what) in COMMANDS.items():
        import_module(module).add(commands.add_parser(name, help=what, allow_abbrev=False))
    return parser
