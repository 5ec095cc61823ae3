"""A phantom by name, with its options."""

from __future__ import annotations

from typing import Any

from fusionkit.build import options_of
from fusionkit.data.dataset import Dataset
from fusionkit.data.phantoms.base import PhantomOptions
from fusionkit.machine import require
from fusionkit.options import Named, Options
from fusionkit.registry import lookup


class PhantomSpec(Named):
    """A phantom and its options, written ``name`` or ``{preset: name, option: value}``."""

    key = "preset"

    preset: str


def phantom_options(spec: PhantomSpec, where: str) -> Options:
    """The phantom's options, defaults filled in; `UserError` at ``where`` and below."""
    return options_of(lookup("phantoms", spec.preset, f"{where}.preset"), spec.options, where)


def simulate_dataset(spec: PhantomSpec, where: str) -> Dataset:
    """The phantom's data, refused before the first allocation where they need more memory than there is."""
    options: Any = phantom_options(spec, where)
    if isinstance(options, PhantomOptions):
        require(options.bytes_needed(), where)
    return lookup("phantoms", spec.preset, f"{where}.preset")(options)
