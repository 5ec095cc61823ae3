"""``fusionkit simulate``: write a phantom as a recording."""

import argparse
from pathlib import Path

from fusionkit.cli import DONE
from fusionkit.cli.parser import add_set


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``simulate``."""
    command.add_argument("preset", nargs="?", default="cos_nanoparticle", metavar="PRESET", help="see 'list phantoms'")
    command.add_argument("--output", metavar="FILE", required=True, help="file to write (.npz)")
    command.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    add_set(command, "an option of the preset (size=128)")


def run(arguments: argparse.Namespace) -> int:
    """Write the phantom."""
    from fusionkit.config.overrides import override
    from fusionkit.data import phantoms

    options = override({}, arguments.set, {})
    output = Path(arguments.output)
    phantoms.simulate(arguments.preset, options, output, arguments.overwrite)
    print(f"wrote {output}")
    return DONE
