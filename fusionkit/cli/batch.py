"""``fusionkit batch``: one configuration on several files."""

import argparse

from fusionkit.cli.parser import add_config
from fusionkit.cli.sweep import add_many, run_points


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``batch``."""
    add_config(command)
    command.add_argument("files", metavar="FILE", nargs="+", help="a recording, in place of the config's data.path")
    add_many(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the config on each file, and over its sweep if it has one; return the exit status."""
    from fusionkit.config import override_source, read_source
    from fusionkit.sweep.axes import axes_of, file_axis

    source = override_source(read_source(arguments.config), arguments.set)
    axes = axes_of(source.raw["sweep"], (), source.folder) if "sweep" in source.raw else ()
    return run_points(arguments, source, (file_axis(arguments.files), *axes), "batch")
