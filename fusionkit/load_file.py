"""Data from a recording: names to arrays, checked before and after they are read."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from fusionkit.checks import FloatArray, Origin, check_fellow, check_image, to_float
from fusionkit.data import Dataset
from fusionkit.data_options import DataOptions
from fusionkit.elements import atomic_number
from fusionkit.errors import UserError
from fusionkit.memory import require
from fusionkit.normalise import scale_of
from fusionkit.readers import RawArray, Recording, describe, missing, open_recording

# of an array as it is read: the raw bytes and values, the float64 copy, the normalised one
_BYTES_PER_VALUE = 32


def load_file(options: DataOptions, path: Path, where: str) -> Dataset:
    """The arrays that ``options`` name in the file.

    Parameters
    ----------
    options : the config's ``data``.
    path : the file.
    where : config key of ``options``.
    """
    recording = open_recording(path, options.reader, where)
    images, others = _origins(options, where)
    if not images and not others:
        raise UserError(where, "names no array", f"give haadf, maps or arrays; the file has {describe(recording)}")
    for element in options.maps or {}:
        atomic_number(element, f"{where}.maps.{element}")
    _check_shapes(recording, images, others, where)
    raw = {origin.key: recording.read(origin.name) for origin in (*images, *others)}
    arrays: dict[str, FloatArray] = {}
    values = {origin.key: _image(raw[origin.key], origin, options) for origin in images}
    if options.haadf is not None:
        arrays["haadf"] = values[f"{where}.haadf"]
    if options.maps is not None:
        arrays["maps"] = np.stack([values[f"{where}.maps.{element}"] for element in options.maps])
    for name, origin in zip(options.arrays, others, strict=True):
        arrays[name] = to_float(raw[origin.key].values, origin)
    pixel_size, units, notes = _calibration(raw)
    return Dataset(arrays, tuple(options.maps or ()), pixel_size, units, source=str(path), notes=notes)


def _origins(options: DataOptions, where: str) -> tuple[list[Origin], list[Origin]]:
    """The images (HAADF first, then the maps) and the further arrays that the config names."""
    source = str(options.path)
    images = [Origin(f"{where}.haadf", options.haadf, source)] if options.haadf is not None else []
    images += [Origin(f"{where}.maps.{element}", name, source) for element, name in (options.maps or {}).items()]
    return images, [Origin(f"{where}.arrays.{key}", name, source) for key, name in options.arrays.items()]


def _check_shapes(recording: Recording, images: list[Origin], others: list[Origin], where: str) -> None:
    shapes = {}
    for origin in (*images, *others):
        shape = recording.shape(origin.name)
        if shape is None:
            raise UserError(
                origin.key, f"there is no array '{origin.name}' in {origin.source}", missing(origin.name, recording)
            )
        shapes[origin.key] = shape
    for origin in images:
        check_image(shapes[origin.key], origin)
        check_fellow(shapes[origin.key], origin, shapes[images[0].key], images[0].name)
    require(_BYTES_PER_VALUE * sum(prod(shape) for shape in shapes.values()), f"{where}.path")


def _image(raw: RawArray, origin: Origin, options: DataOptions) -> FloatArray:
    values = to_float(raw.values, origin)
    return scale_of(values, options.normalize, origin).apply(values, origin)


def _calibration(raw: dict[str, RawArray]) -> tuple[float | None, str | None, tuple[str, ...]]:
    """Pixel size and unit of the first array that has them, and every note."""
    notes = list(dict.fromkeys(note for one in raw.values() for note in one.notes))
    known = [(one.pixel_size, one.units) for one in raw.values() if one.pixel_size is not None]
    if len(set(known)) > 1:
        notes.append("The arrays have several pixel sizes; that of the first is used.")
    size, units = known[0] if known else (None, None)
    return size, units, tuple(notes)
