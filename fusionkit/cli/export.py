"""``fusionkit export``: the maps of a finished run in the format of another program."""

import argparse
from os.path import isdir
from pathlib import Path

from fusionkit.cli import DONE


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``export``."""
    command.add_argument("run", metavar="RUN", help="output folder of a run")
    command.add_argument("--format", metavar="WRITER", help="hspy, zspy or tiff (default: by the suffix of --output)")
    command.add_argument("--output", metavar="FILE", help="the file to write (default: maps.hspy, ... in RUN)")
    command.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Write the file and print its path."""
    from fusionkit.errors import UserError
    from fusionkit.export.content import content_of_saved
    from fusionkit.export.writers import STEM, check_target, export, writer_for, writer_of
    from fusionkit.registry import table
    from fusionkit.results.saved import read_run

    output = None if arguments.output is None else Path(arguments.output)
    if arguments.format is not None:
        writer = writer_of(arguments.format, "--format")
    elif output is not None:
        writer = writer_for(output)
    else:
        raise UserError("export", "no format is given", f"add --format with one of {', '.join(table('writers'))}")
    if output is not None:
        check_target(output, writer, arguments.overwrite)
    home = Path(arguments.run)
    saved = read_run(home)
    path = output or (home if isdir(home) else home.parent) / f"{STEM}{writer.suffixes[0]}"
    export(content_of_saved(saved), path, writer, arguments.overwrite)
    print(f"wrote {path}")
    return DONE
