"""``fusionkit inspect``: the contents of recordings, and a config that runs on them."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    command.add_argument("files", metavar="FILE", nargs="+", help="a recording: .npz, .h5 or a microscope's file")
    command.add_argument("--reader", metavar="READER", help="format of the files, if the suffix misleads")
    command.add_argument(
        "--write-config", metavar="FILE.yaml", help="write a config for these files that runs unedited"
    )
    command.add_argument("--overwrite", action="store_true", help="replace the config if it exists")


def run(arguments: argparse.Namespace) -> int:
    """List the signals of each file; write a config if requested."""
    from shlex import quote

    from fusionkit.data.new_file import check_new, write_new
    from fusionkit.data.readers import open_recording
    from fusionkit.microscope.propose.config import propose
    from fusionkit.microscope.propose.listing import entries, lines_of

    target = None if arguments.write_config is None else Path(arguments.write_config)
    if target is not None:
        check_new(target, arguments.overwrite)
    recordings = {Path(file): open_recording(Path(file), arguments.reader, "") for file in arguments.files}
    for index, (path, recording) in enumerate(recordings.items()):
        if len(recordings) > 1:
            print(f"{chr(10) if index else ''}{path}:")
        for line in lines_of(entries(recording)):
            print(line)
    if target is not None:
        text = propose(recordings, target.absolute().parent, arguments.reader)
        write_new(target, text, arguments.overwrite)
        print(f"wrote {target}; run it with: fusionkit run {quote(str(target))}")
    return 0
