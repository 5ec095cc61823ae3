"""``fusionkit simulate``: a phantom as a recording in a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from fusionkit.overrides import override


def simulate(arguments: argparse.Namespace) -> int:
    """Write the phantom that the command line asks for."""
    from fusionkit import phantoms

    options = override({}, arguments.set, {})
    output = Path(arguments.output)
    phantoms.simulate(arguments.preset, options, output, arguments.overwrite)
    print(f"wrote {output}")
    return 0
