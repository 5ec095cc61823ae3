"""Reading a microscope's file into its signals, by the readers of RosettaSciIO that take its suffix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.errors import UserError
from fusionkit.microscope.bounds import HARMLESS, MOST_SHRINKAGE
from fusionkit.microscope.damaged_files import guarded
from fusionkit.microscope.described import Described, described
from fusionkit.microscope.facts import facts_of
from fusionkit.microscope.formats import readers_for
from fusionkit.microscope.hdf5_check import check_hdf5
from fusionkit.microscope.layers import layers
from fusionkit.microscope.mapping import metadata_of
from fusionkit.microscope.signals import Axis, Signal
from fusionkit.microscope.tiff_check import check_tiff

# readers that read the whole file whatever they are told, wrongly where they do not, or leave it open
_WHOLE = ("rsciio.pantarhei", "rsciio.image", "rsciio.tiff")


def read_signals(path: Path) -> tuple[Signal, ...]:
    """Every signal of the file.

    Raises
    ------
    UserError : a library is missing, or the file is damaged, empty or of another format.
    """
    modules = readers_for(path)
    for check in (check_hdf5, check_tiff):
        guarded(path, lambda check=check: check(path))
    first: UserError | None = None
    for module in modules:
        # some readers, and some layouts, cannot leave the values in the file
        for lazy in (False,) if module in _WHOLE else (True, False):
            try:
                guarded(path, lambda module=module: import_module(module))  # before its file is
                return guarded(path, lambda module=module, lazy=lazy: _read(path, module, lazy))
            except UserError as error:  # several formats share some suffixes: the first complaint is kept
                first = first or error
    assert first is not None
    raise first


def _read(path: Path, module: str, lazy: bool) -> tuple[Signal, ...]:
    found = import_module(module).file_reader(str(path), lazy=lazy)
    named: dict[str, Signal] = {}
    for entry in found:
        facts = facts_of(metadata_of(entry))
        base = " ".join(facts.title.split()) or path.stem
        name, count = base, 1
        while name in named:
            count += 1
            name = f"{base} {count}"
        data = entry["data"]
        axes = tuple(_axis(one) for one in entry["axes"])  # in the order of the array
        if 0 in data.shape:  # what a reader of text makes of a text that holds no numbers
            continue
        if data.ndim != len(axes) or any(length != axis.size for length, axis in zip(data.shape, axes, strict=True)):
            raise ValueError(f"the axes of '{name}' do not fit its values")
        if data.nbytes > MOST_SHRINKAGE * _size(path) + HARMLESS:
            raise ValueError(f"'{name}' claims {data.nbytes / 1e9:.3g} GB, far more than the file can hold")
        words = described(entry.get("original_metadata") or {})
        named[name] = whole = Signal(name, path, data, _in_words(axes, words), facts)
        named |= {one.name: one for one in layers(whole, words.labels) if one.name not in named}
    if not named:
        raise ValueError("it holds no values")
    return tuple(named.values())


def _in_words(axes: tuple[Axis, ...], words: Described) -> tuple[Axis, ...]:
    """The axes, y and x with what the words of the file say about their pixels, where nothing else does."""
    lateral = axes[-2:]
    if not words.unit or len(lateral) != 2 or any(axis.units for axis in lateral):
        return axes
    edges = words.edges or tuple(axis.scale for axis in lateral)
    sized = (replace(axis, scale=edge, units=words.unit) for axis, edge in zip(lateral, edges, strict=True))
    return (*axes[:-2], *sized)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size


def _axis(entry: Mapping[str, Any]) -> Axis:
    if "axis" in entry and "scale" not in entry:  # a table of values: only evenly spaced ones are used
        table = np.asarray(entry["axis"], np.float64)
        scale, offset = (float(np.mean(np.diff(table))), float(table[0])) if table.size > 1 else (1.0, 0.0)
        size = table.size
    else:
        size, scale, offset = int(entry["size"]), float(entry.get("scale", 1.0)), float(entry.get("offset", 0.0))
    units = entry.get("units")
    navigate = entry.get("navigate")
    return Axis(
        str(entry.get("name") or ""),
        size,
        scale,
        offset,
        units if isinstance(units, str) else "",
        None if navigate is None else not navigate,
    )
