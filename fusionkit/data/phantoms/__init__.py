"""Simulated recordings: their table, and writing one to a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

TABLE = {
    "phantoms": {
        "cos_nanoparticle": "fusionkit.data.phantoms.nanoparticle:cos_nanoparticle",
        "films": "fusionkit.data.phantoms.films:films",
        "lattice": "fusionkit.data.phantoms.lattice:lattice",
        "line": "fusionkit.data.phantoms.line:line",
    }
}


def simulate(preset: str, options: Mapping[str, Any], output: Path, overwrite: bool = False) -> None:
    """Write a phantom as a recording: ``HAADF``, an array an element, ``truth/ELEMENT``, ``pixel_size``, ``units``.

    Parameters
    ----------
    preset : name of the phantom.
    options : its options.
    output : the file, ``.npz``, ``.h5`` or ``.hdf5``.
    overwrite : whether a file that exists is replaced.

    Raises
    ------
    UserError : the preset or an option is unknown, the suffix is, or the file exists or cannot be written.
    """
    from fusionkit.data.phantoms.file import check_output, write
    from fusionkit.data.phantoms.spec import PhantomSpec, simulate_dataset
    from fusionkit.options import parse

    check_output(output, overwrite)
    spec = parse(PhantomSpec, {**options, "preset": preset}, "simulate")
    write(simulate_dataset(spec, "simulate"), output, overwrite)
