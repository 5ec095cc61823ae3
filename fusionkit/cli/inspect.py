"""``fusionkit inspect``: the contents of recordings, and a config that runs on them."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fusionkit.errors import UserError

if TYPE_CHECKING:
    from fusionkit.microscope.propose.sources import Choice


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    command.add_argument("files", metavar="FILE", nargs="+", help="a recording: .npz, .h5 or a microscope's file")
    command.add_argument("--reader", metavar="READER", help="format of the files, if the suffix misleads")
    command.add_argument(
        "--write-config", metavar="FILE.yaml", help="write a config for these files that runs unedited"
    )
    command.add_argument("--elements", metavar="Fe,Co,O", help="elements to map; by default those that the file shows")
    command.add_argument("--image", metavar="NAME", help="the HAADF image, where the files hold several images")
    command.add_argument("--spectra", metavar="NAME", help="the spectrum image, where the files hold several")
    command.add_argument("--region", metavar="ROWS,COLUMNS", help="the pixels to use: 0:128,64:192")
    command.add_argument("--overwrite", action="store_true", help="replace the config if it exists")


def run(arguments: argparse.Namespace) -> int:
    """List the signals of each file; write a config if requested."""
    from shlex import quote

    from fusionkit.data.new_file import check_new, write_new
    from fusionkit.data.readers import open_recording
    from fusionkit.microscope.propose.config import propose
    from fusionkit.microscope.propose.listing import entries, lines_of

    target = None if arguments.write_config is None else Path(arguments.write_config)
    choice = _choice(arguments)
    if target is not None:
        check_new(target, arguments.overwrite)
    recordings = {Path(file): open_recording(Path(file), arguments.reader, "") for file in arguments.files}
    for index, (path, recording) in enumerate(recordings.items()):
        if len(recordings) > 1:
            print(f"{chr(10) if index else ''}{path}:")
        for line in lines_of(entries(recording)):
            print(line)
    if target is not None:
        text = propose(recordings, target.absolute().parent, arguments.reader, choice)
        write_new(target, text, arguments.overwrite)
        print(f"wrote {target}; run it with: fusionkit run {quote(str(target))}")
    return 0


def _choice(arguments: argparse.Namespace) -> Choice:
    """The chosen signals, elements and pixels.

    `UserError` if an element is unknown or listed twice, or the region is none; or a choice is given without a config.
    """
    from fusionkit.data.elements import atomic_number
    from fusionkit.microscope.propose.sources import Choice
    from fusionkit.options import repeated

    symbols = tuple(one.strip() for one in (arguments.elements or "").split(",") if one.strip())
    for symbol in symbols:
        atomic_number(symbol, "--elements")
    if (double := repeated(symbols)) is not None:
        raise UserError("--elements", f"lists {double} twice", "name each once")
    choice = Choice(symbols, arguments.image, arguments.spectra, _region(arguments.region))
    if arguments.write_config is None and choice != Choice():
        raise UserError("inspect", "chooses signals but writes no config", "add --write-config FILE.yaml")
    return choice


def _region(text: str | None) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """First and last row, then columns."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+):(\d+),(\d+):(\d+)", text.replace(" ", ""))
    ends = [int(one) for one in match.groups()] if match else [0, 0, 0, 0]
    if not (ends[0] < ends[1] and ends[2] < ends[3]):
        raise UserError("--region", f"is '{text}'", "write first:last row and first:last column, as in 0:128,64:192")
    return (ends[0], ends[1]), (ends[2], ends[3])
