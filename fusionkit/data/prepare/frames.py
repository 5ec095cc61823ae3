"""Frames of one scan: alignment and summation.

Image, maps or both are arrays (frames, ny, nx) in the file. Sums of counts are counts, and so are counts moved by whole
pixels, without interpolation.
"""

from typing import Any, Literal

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.prepare.crop import ends
from fusionkit.data.prepare.register import predicted_root, root
from fusionkit.data.prepare.scan_arrays import changed, counted, scanned, truth_on
from fusionkit.data.prepare.shift import Shift, measure, shifted
from fusionkit.errors import UserError
from fusionkit.options import NoOptions, Options, Positive


class RegisterFramesOptions(Options):
    """Options of ``register_frames``.

    Parameters
    ----------
    reference : data on which shifts are measured; None for the image if it has frames, else the maps.
    subpixel : whether to move by fractions of a pixel; interpolated counts are not counts.
    largest : greatest shift in pixels along an axis; None for a quarter of each.
    gamma : exponent of the HAADF model, which predicts one image from the maps of all elements.
    """

    reference: Literal["haadf", "maps"] | None = None
    subpixel: bool = False
    largest: Positive | None = None
    gamma: Positive = 1.7


def register_frames(options: RegisterFramesOptions, dataset: Dataset, where: str) -> Dataset:
    """Move frames onto the first one, by whole pixels, and crop them to the pixels that all cover.

    `UserError` if there are no frames, image and maps do not have as many, or a shift is not credible.
    """
    framed, count = _framed(dataset, where)
    name = options.reference or ("haadf" if "haadf" in framed else "maps")
    if name not in framed:
        raise UserError(f"{where}.reference", f"{name} has no frames", f"use {next(iter(framed))}")
    if count < 2:
        raise UserError(where, "there is a single frame", "remove the step; sum_frames accepts it")
    images = predicted_root(dataset, options.gamma) if name == "maps" else [root(one) for one in framed["haadf"]]
    shifts = [
        measure(images[index], images[0], options.largest, where, f"frame {index + 1}") for index in range(1, count)
    ]
    by = np.array([[0.0, 0.0], *([one.rows, one.columns] for one in shifts)])
    by = by if options.subpixel else np.rint(by)
    size = framed[name].shape[-2:]
    low, high = np.ceil(np.maximum(by.max(axis=0), 0)), np.floor(np.minimum(by.min(axis=0), 0))
    rows, columns = (ends([int(low[axis]), size[axis] + int(high[axis])], size[axis], where) for axis in (0, 1))
    window = (..., slice(*rows), slice(*columns))
    new = {}
    for key, array in scanned(dataset, "all", where).items():
        moved = _moved(array, by, 3 if key == "haadf" else 1) if key in framed else array
        new[key] = moved[window]
    facts: dict[str, Any] = {"counts_per_unit": None} if options.subpixel and "maps" in framed else {}
    note = _note(shifts, options, name, (rows[1] - rows[0], columns[1] - columns[0]))
    return changed(dataset, new, note, truth=truth_on(dataset, lambda x: x[window]), **facts)


def sum_frames(options: NoOptions, dataset: Dataset, where: str) -> Dataset:
    """Combine frames: add counts of the maps, average the HAADF image.

    `UserError` if there are no frames, or image and maps do not have as many.
    """
    framed, count = _framed(dataset, where)
    new = {name: array.mean(axis=-3) if name == "haadf" else array.sum(axis=-3) for name, array in framed.items()}
    facts: dict[str, Any] = {}
    parts = []
    if "haadf" in framed:
        parts.append("of the HAADF image are averaged")
        facts["haadf_sigma"] = None if dataset.haadf_sigma is None else dataset.haadf_sigma / float(np.sqrt(count))
    if "maps" in framed:
        parts.append("of the maps add up")
        facts["truth"] = truth_on(dataset, lambda x: x * count)
    return changed(dataset, new, f"sum_frames: {count} frames {' and those '.join(parts)}.", **facts)


def _framed(dataset: Dataset, where: str) -> tuple[dict[str, Array], int]:
    """The arrays that have frames, by name, and the number of frames."""
    dimensions = {"haadf": 3} | dict.fromkeys(counted(dataset), 4)
    framed = {name: dataset.arrays[name] for name, n in dimensions.items() if dataset.arrays.get(name, _NONE).ndim == n}
    counts = sorted({array.shape[-3] for array in framed.values()})
    if not framed:
        raise UserError(where, "neither image nor maps have frames", "remove the step")
    if len(counts) > 1:
        raise UserError(where, f"image and maps have {counts[0]} and {counts[1]} frames", "give equal numbers")
    return framed, counts[0]


_NONE = np.empty(0)


def _moved(frames: Array, by: Array, order: int) -> Array:
    """Frames (..., frames, ny, nx), each moved by its own row of ``by``; whole pixels are copied."""
    flat = frames.reshape(-1, *frames.shape[-3:])
    order = 0 if np.array_equal(by, np.rint(by)) else order
    return np.stack([[shifted(one, step, order) for one, step in zip(each, by, strict=True)] for each in flat]).reshape(
        frames.shape
    )


def _note(shifts: list[Shift], options: RegisterFramesOptions, name: str, shape: tuple[int, int]) -> str:
    listed = ", ".join(f"({one.rows:.2f}, {one.columns:.2f})" for one in shifts)
    text = f"register_frames: the shifts of frames 2 to {len(shifts) + 1} onto the first are {listed} pixels"
    text += f" in rows and columns, measured on {name} (least correlation {min(one.correlation for one in shifts):.2f})"
    how = "by fractions of pixels; interpolated counts are not counts" if options.subpixel else "by whole pixels"
    return f"{text}; they moved {how}; {shape[0]} x {shape[1]} pixels remain, which all cover."
