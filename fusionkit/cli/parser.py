"""The table of commands, and the parser of the command line built from it.

A command is a module with ``add(command)``, which adds the arguments to its parser, and ``run(arguments)``, which
returns the exit status; ``arguments.warnings`` lists the warnings so far. Neither this module nor the top level of a
command imports anything heavy, so that ``--help`` answers at once.
"""

import argparse
from importlib import import_module
from typing import NoReturn

from fusionkit.errors import UserError

DEBUG = "--debug"
# name: (module, help)
COMMANDS = {
    "run": ("fusionkit.cli.run", "solve a problem and write its result"),
    "validate": ("fusionkit.cli.validate", "check config and data and describe the problem without solving it"),
    "sweep": ("fusionkit.cli.sweep", "run a config over lists and ranges of its values"),
    "batch": ("fusionkit.cli.batch", "run a config on several files"),
    "compare": ("fusionkit.cli.compare", "compare finished runs in a table and a page"),
    "export": ("fusionkit.cli.export", "write the maps of a finished run for HyperSpy or ImageJ"),
    "inspect": ("fusionkit.cli.inspect", "list the contents of recordings; write a config that runs on them"),
    "list": ("fusionkit.cli.list", "list what a config can name"),
    "simulate": ("fusionkit.cli.simulate", "write a simulated recording with its ground truth"),
    "completion": ("fusionkit.cli.completion", "print a script that completes commands and names in a shell"),
}


class _Parser(argparse.ArgumentParser):
    """A parser that reports its errors like the rest of the program."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        raise UserError(command or "command line", message, f"see '{self.prog} --help'")


class _Version(argparse.Action):
    """Look up and print the version."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import fusionkit

        print(f"fusionkit {fusionkit.__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; its result ``command`` is the name of the command."""
    parser = _Parser(
        prog="fusionkit",
        description="Fuse a HAADF image with elemental maps; or solve any problem composed of the listed terms.",
        epilog="Exit status: 0 done, 2 wrong input, 3 diverged, 4 points of a sweep failed, 5 its scheduler is gone, "
        "70 a fault of fusionkit, 130 interrupted (SIGTERM: 143, SIGHUP: 129).",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, allow_abbrev=False)
        import_module(module).add(command)
        command.add_argument(DEBUG, action="store_true", help="print the traceback of a fault of fusionkit")
    return parser


def add_config(command: argparse.ArgumentParser) -> None:
    """Add the config and ``--set``."""
    command.add_argument("config", metavar="CONFIG", help="a YAML file, or a name from 'fusionkit list configs'")
    add_set(command, "a value of the config (terms.tv.weight=0.2, solver.max_iterations=100)")


def add_set(command: argparse.ArgumentParser, what: str) -> None:
    """Add ``--set``, which replaces ``what``."""
    command.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=f"replace {what}")
