"""The mean of each channel over groups of similar patches, without what noise alone would give."""

from typing import Any

import numpy as np

from fusionkit.arrays import Array
from fusionkit.engines.cpu.compile import kernel
from fusionkit.engines.cpu.patch_groups import Grouping, banded, compared_by, nearest, scratch

_NOT_NOISE = 2.0  # squared mean of a group, over the variance of its noise, from which it is kept


@kernel
def _mean_levels(
    boxes: Any, floors: Any, compared: Any, groups: Any, centres: Any, how: Any, first: int, total: Any, cover: Any
) -> None:
    """Add the levels of each group to its patches; ``boxes`` holds sums over patches: data, noise, measured values.

    ``groups`` holds the places in the window of each group, counted from 1, or zeros, which are filled.
    """
    channels, width = floors.size, 2 * how.search + 1
    best, turned, places = scratch(compared, how)
    rows, columns, _, _ = places
    sums = np.empty(3 * channels)
    for at in range(len(centres)):
        i, j = centres[at]
        if not groups[at, 0]:
            for k in range(nearest(compared, i, j, how, best, turned, places)):
                groups[at, k] = (rows[k] - i + how.search) * width + columns[k] - j + how.search + 1
        count = 0
        sums[:] = 0.0
        while count < how.similar and groups[at, count]:
            place = np.int64(groups[at, count]) - 1
            rows[count], columns[count] = place // width + i - how.search, place % width + j - how.search
            box = boxes[rows[count], columns[count]]
            for c in range(3 * channels):
                sums[c] += box[c]
            count += 1
        for c in range(channels):
            number = max(sums[2 * channels + c], 1.0)
            level, variance = sums[c] / number, sums[channels + c] / (count * how.patch * how.patch)
            noise_of_level = max(variance, floors[c]) / number
            share = 1.0 - (_NOT_NOISE * noise_of_level / level**2) ** 2 if level else 0.0
            sums[c] = max(share, 0.0) * level
        for k in range(count):
            row, column = rows[k] - first, columns[k]
            for c in range(channels):
                total[row, column * channels + c] += sums[c]
            cover[row, column] += 1.0


def mean_levels(
    data: Array, noise: Array, floors: Array, features: Array, how: Grouping, groups: dict[int, Any] | None = None
) -> Array:
    """The mean of each channel over each group, m, times 1 - (2 s^2 / m^2)^2 >= 0 with the variance s^2 of its noise.

    Parameters
    ----------
    data, noise, floors, features, how : as in `low_rank`; NaN in ``data`` was not measured.
    groups : of a call with the same features and sizes, or an empty dictionary, which is filled.
    """
    measured, patch = ~np.isnan(data), how.patch
    values = np.concatenate([np.where(measured, data, 0.0), noise, measured])
    boxes = np.ascontiguousarray(np.moveaxis(_sums_over_patches(values, patch), 0, -1))
    fixed = (boxes, np.asarray(floors, np.float64), compared_by(features, how))
    total, cover = banded(_mean_levels.kept, fixed, data.shape, how, {} if groups is None else groups)
    before = ((0, 0), (patch - 1, 0), (patch - 1, 0))  # a pixel is in the patches that begin up to P - 1 pixels before
    return _sums_over_patches(np.pad(total, before), patch) / _sums_over_patches(np.pad(cover, before), patch)


def _sums_over_patches(stack: Array, patch: int) -> Array:
    """The sum over the patch that begins at each pixel, (n, ny - P + 1, nx - P + 1)."""
    for axis in (1, 2):
        stack = np.lib.stride_tricks.sliding_window_view(stack, patch, axis).sum(axis=-1)
    return stack
