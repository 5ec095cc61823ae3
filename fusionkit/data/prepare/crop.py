"""Cropping to a rectangle of the scan."""

from typing import Any

import numpy as np

from fusionkit.data.checks import check_counts
from fusionkit.data.dataset import Dataset
from fusionkit.data.prepare.scan_arrays import changed, grid_name, moved, scanned, truth_on
from fusionkit.errors import UserError
from fusionkit.options import Ends, Options


class CropOptions(Options):
    """Options of ``crop``.

    Parameters
    ----------
    rows, columns : [first, last] in pixels from 0, the last not included; None for all.
    of : ``all``, or ``haadf``, ``maps`` or another stack alone where their scans differ.
    """

    rows: Ends | None = None
    columns: Ends | None = None
    of: str = "all"


def crop(options: CropOptions, dataset: Dataset, where: str) -> Dataset:
    """Crop image, maps, ground truth and every further array on the same pixels to a rectangle.

    `UserError` if the rectangle is not within the scan, or has fewer than two pixels along an axis.
    """
    images = scanned(dataset, options.of, where)
    shape = next(iter(images.values())).shape[-2:]
    rows = ends(options.rows, shape[0], f"{where}.rows")
    columns = ends(options.columns, shape[1], f"{where}.columns")
    what = "" if options.of == "all" else f" of {options.of}"
    note = f"crop: rows {rows[0]} to {rows[1]} and columns {columns[0]} to {columns[1]}{what} are used, of {shape}."
    return cut(dataset, options.of, rows, columns, note, where)


def ends(limits: list[int] | None, size: int, where: str) -> tuple[int, int]:
    """First and last pixel along an axis of ``size``; `UserError` if they are not two or more within it."""
    first, last = (0, size) if limits is None else (limits[0], limits[1])
    if not (first + 2 <= last <= size):
        raise UserError(where, f"is {[first, last]}", f"write [first, last], two pixels or more within 0 to {size}")
    return first, last


def cut(dataset: Dataset, of: str, rows: tuple[int, int], columns: tuple[int, int], note: str, where: str) -> Dataset:
    """The dataset's rectangle of pixels; parameters as `ends` gives them."""
    images = scanned(dataset, of, where)
    shape = next(iter(images.values())).shape[-2:]
    if of == "all":  # masks and backgrounds of the same pixels
        images = {name: array for name, array in dataset.arrays.items() if array.ndim > 1 and array.shape[-2:] == shape}
    window = (..., slice(*rows), slice(*columns))
    if "maps" in images and np.any(images["maps"]):
        check_counts(images["maps"][window], where, "the rectangle holds", "move it, or make it larger")
    facts: dict[str, Any] = {}
    if grid_name(dataset) in images:
        facts = {"truth": truth_on(dataset, lambda x: x[window]), "origin": moved(dataset, rows[0], columns[0])}
    return changed(dataset, {name: array[window] for name, array in images.items()}, note, **facts)
