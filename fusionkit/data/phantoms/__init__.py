"""Simulated recordings: their options, simulation, and writing one to a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusionkit.data.dataset import Dataset
from fusionkit.data.phantoms.base import PhantomOptions
from fusionkit.machine import require
from fusionkit.options import Named, Options, options_of, parse
from fusionkit.registry import lookup


class PhantomSpec(Named):
    """A phantom and its options, written ``name`` or ``{preset: name, option: value}``."""

    key = "preset"

    preset: str


def phantom_options(spec: PhantomSpec, where: str) -> Options:
    """The phantom's options, defaults filled in; `UserError` at ``where`` and below."""
    return options_of(lookup("phantoms", spec.preset, f"{where}.preset"), spec.options, where)


def simulate_dataset(spec: PhantomSpec, where: str) -> Dataset:
    """The phantom's data; `UserError` before the first allocation if memory is too small."""
    options: Any = phantom_options(spec, where)
    if isinstance(options, PhantomOptions):
        require(options.bytes_needed(), where)
    return lookup("phantoms", spec.preset, f"{where}.preset")(options)


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

    `UserError` if the preset or an option is unknown, the suffix is, or the file exists or cannot be written.

    Parameters
    ----------
    preset : name of the phantom.
    options : its options.
    output : the file, ``.npz``, ``.h5`` or ``.hdf5``.
    overwrite : whether a file that exists is replaced.
    """
    from fusionkit.data.new_file import check_new
    from fusionkit.data.phantoms.file import SUFFIXES, write

    check_new(output, overwrite, SUFFIXES)
    spec = parse(PhantomSpec, {**options, "preset": preset}, "simulate")
    write(simulate_dataset(spec, "simulate"), output, overwrite)
