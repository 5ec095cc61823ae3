r"""Replacement of outliers, single pixels that cannot be signal: dead and hot pixels, X-ray spikes.

A pixel is replaced by the median of the 5 x 5 pixels around it if it differs from all but one of its eight
neighbours by more than ``threshold`` standard deviations s. (All but one: two spikes may touch. Lines, edges and
columns of atoms are wider than that, and stay.) For the image s is the larger of the local and the global 1.4826 MAD:
the local one follows the structure. For counts s is sqrt(m + 1) with the mean m of the 25 pixels without the largest
three, and only high ones are spikes. A median of 25 values is one of them: whole numbers stay whole.
"""

import numpy as np
from scipy import ndimage

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.missing import filled
from fusionkit.data.prepare.scan_arrays import Of, changed, counted, scanned
from fusionkit.options import Options, Positive

_SIDE = 5  # pixels of the window
_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
_MOST = 16  # pixels that `candidates` examines
_LARGEST = 3  # values left out of the mean: the spike and two of its neighbours
_SIGMA_OF_MAD = 1.4826  # of a normal distribution


class OutlierOptions(Options):
    """Options of ``outliers``.

    Parameters
    ----------
    threshold : least difference of an outlier from its neighbours, in standard deviations.
    of : ``haadf``, ``maps`` or ``all``.
    """

    threshold: Positive = 8.0
    of: Of = "haadf"


def outliers(options: OutlierOptions, dataset: Dataset, where: str) -> Dataset:
    """Replace hot pixels of the HAADF image, or spikes of the maps, by a local median.

    `UserError` if there is no such image.
    """
    of: tuple[Of, ...] = ("haadf", "maps") if options.of == "all" else (options.of,)
    estimates = [f"{name}_background" for name in counted(dataset)]  # smooth, and not counts
    names = [name for one in of for name in scanned(dataset, one, where) if name not in estimates]
    new, replacements = {}, []
    for name in names:
        images = dataset.arrays[name]
        scale = None if name == "haadf" else (dataset.counts_per_unit or 1.0)
        flat = images.reshape(-1, *images.shape[-2:])
        pairs = [_cleaned(one, options.threshold, scale) for one in flat]
        new[name] = np.stack([one for one, _ in pairs]).reshape(images.shape)
        replacements.append(f"{sum(count for _, count in pairs)} of {images.size} values of {name}")
    note = (
        f"outliers: {' and '.join(replacements)} were replaced by their local median (threshold {options.threshold:g})."
    )
    return changed(dataset, new, note)


def candidates(image: Array, counts_per_unit: float | None = None) -> list[tuple[int, int]]:
    """Row and column of outliers at the default threshold, among the pixels of the image that stand out most."""
    if min(image.shape) < 2 * _SIDE:
        return []
    image = filled(image)
    inside = image[1:-1, 1:-1]
    beside = (image[:-2, 1:-1], image[2:, 1:-1], image[1:-1, :-2], image[1:-1, 2:])
    apart = np.maximum(inside - np.maximum.reduce(beside), np.minimum.reduce(beside) - inside)
    found = []
    for place in np.argpartition(apart, -_MOST, axis=None)[-_MOST:]:
        row, column = (int(index) + 1 for index in np.unravel_index(place, apart.shape))
        top, left = max(row - 2 * _SIDE, 0), max(column - 2 * _SIDE, 0)
        window = np.asarray(image[top : row + 2 * _SIDE + 1, left : column + 2 * _SIDE + 1], np.float64)
        if _outliers(window, OutlierOptions().threshold, counts_per_unit)[0][row - top, column - left]:
            found.append((row, column))
    return sorted(found)


def _cleaned(image: Array, threshold: float, counts_per_unit: float | None) -> tuple[Array, int]:
    """The image without outliers, and how many there were; ``counts_per_unit`` is None for the HAADF image."""
    is_outlier, median = _outliers(filled(image), threshold, counts_per_unit)
    is_outlier &= ~np.isnan(image)
    return np.where(is_outlier, median, image), int(np.count_nonzero(is_outlier))


def _outliers(image: Array, threshold: float, counts_per_unit: float | None) -> tuple[Array, Array]:
    """Which pixels are outliers, and the local median."""
    median = ndimage.median_filter(image, _SIDE, mode="mirror")
    second_largest = ndimage.rank_filter(image, -2, footprint=_RING, mode="mirror")
    above = image - second_largest
    if counts_per_unit is None:
        below = ndimage.rank_filter(image, 1, footprint=_RING, mode="mirror") - image
        is_outlier = np.maximum(above, below) > threshold * _spread(image, median)
    else:
        is_outlier = above * counts_per_unit > threshold * np.sqrt(_mean(image) * counts_per_unit + 1.0)
    return is_outlier, median


def _spread(image: Array, median: Array) -> Array:
    """Local standard deviation, at least that of the whole image's noise and one step of whole numbers."""
    away = np.abs(image - median)
    local = ndimage.median_filter(away, _SIDE, mode="mirror")
    step = 1.0 if np.array_equal(image, np.rint(image)) else 0.0  # few counts: most deviations are 0
    return np.maximum(_SIGMA_OF_MAD * np.maximum(local, np.median(away)), step)


def _mean(image: Array) -> Array:
    """Mean of the window without its largest values."""
    total = ndimage.uniform_filter(image, _SIDE, mode="mirror") * _SIDE**2
    for rank in range(1, _LARGEST + 1):
        total = total - ndimage.rank_filter(image, -rank, size=_SIDE, mode="mirror")
    return np.maximum(total, 0.0) / (_SIDE**2 - _LARGEST)
