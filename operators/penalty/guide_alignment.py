r"""A guide image moved onto the maps: the shift, the scan distortion and the jitter of rows between the two.

The image h is compared with the prediction p from the maps m, the least squares fit of their first and second powers to
it, both without slow variations. The displacement d minimises

.. math:: \sum_r \bigl( p(r) - h(r + d(r)) \bigr)^2

by Gauss-Newton steps: first one d for all pixels, then one that varies over 20 pixels, last a shift of each row along
the columns. What the maps do not explain of the image counts as noise, correlated over a few pixels; a field and the
rows are shrunk as this noise requires. The displacement applies only where it explains a third of what the maps leave
unexplained of the image and a tenth remains at most, since diffraction contrast, thickness and errors of the maps also
look like small shifts.

Source: B. D. Lucas, T. Kanade, Proc. IJCAI 674 (1981); C. Ophus, J. Ciston, C. T. Nelson, Ultramicroscopy 162, 1
(2016) for rows.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from fusionkit.arrays import Array

_SMOOTHED = (0.0, 1.0)  # pixels, of the Gaussian for image and maps; across rows it would hide their jitter
_SLOW = 8.0  # pixels, of the Gaussian whose smoothed images are removed
_WIDTH = 20.0  # pixels, of the Gaussian window of a field
_ROUNDS = 4  # of each stage
_LARGEST = 3.0  # pixels
_SPREAD = 0.4  # pixels, expected standard deviation of a field
_AREA, _LENGTH = 40.0, 3.0  # pixels over which what the maps do not explain is correlated, in a field and along a row
_LEAST_GAIN, _MOST_UNEXPLAINED = 1.5, 0.1  # factor by which the unexplained part falls, and what may remain of it
_SPREADS = np.linspace(0.0, 0.6, 61)  # pixels, of the jitter of rows: candidates


def aligned(guide: Array, maps: Array) -> Array:
    """The guide (ny, nx) where the maps (n, ny, nx) are; the guide itself where no displacement explains more."""
    smooth, predictors = gaussian_filter(guide, _SMOOTHED, mode="nearest"), _predictors(maps)
    still = np.zeros((2, *guide.shape))
    before = _unexplained(smooth, still, predictors)
    if not np.mean(before[1] ** 2) > 0.0:
        return guide
    whole = _whole(smooth, still, predictors)
    moved = _of_rows(smooth, _field(smooth, whole, predictors), predictors)
    after = _unexplained(smooth, moved, predictors)
    rest, variance = np.mean(after[1] ** 2), np.mean(_without_slow(after[0]) ** 2)
    explains = rest <= np.mean(before[1] ** 2) / _LEAST_GAIN and rest <= _MOST_UNEXPLAINED * variance
    return _sampled(guide, moved) if explains else guide


def _predictors(maps: Array) -> Array:
    """Orthonormal columns for the prediction, (pixels, k)."""
    smooth = gaussian_filter(maps, (0.0, *_SMOOTHED), mode="nearest")
    scale = np.maximum(np.abs(smooth).max(axis=(1, 2), keepdims=True), np.finfo(np.float64).tiny)
    powers = np.concatenate([smooth / scale, (smooth / scale) ** 2])
    columns = np.stack([_without_slow(one).ravel() for one in powers], axis=1)
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > 1e-6 * values.max(initial=0.0)]


def _without_slow(image: Array) -> Array:
    return image - gaussian_filter(image, _SLOW, mode="nearest")


def _sampled(image: Array, by: Array) -> Array:
    """The image at r + d(r), by cubic splines."""
    places = np.indices(image.shape) + by
    return np.asarray(map_coordinates(image, places, order=3, mode="nearest"))


def _unexplained(image: Array, by: Array, predictors: Array) -> tuple[Array, Array]:
    """The image moved by ``by``, and the prediction minus it, slow variations removed."""
    moved = _sampled(image, by)
    fast = _without_slow(moved).ravel()
    return moved, (predictors @ (predictors.T @ fast) - fast).reshape(image.shape)


def _slopes(image: Array) -> tuple[Array, Array]:
    """Central differences along rows and columns."""
    return np.asarray(np.gradient(image, axis=0)), np.asarray(np.gradient(image, axis=1))


def _whole(image: Array, by: Array, predictors: Array) -> Array:
    """One shift for all pixels."""
    for _ in range(_ROUNDS):
        moved, rest = _unexplained(image, by, predictors)
        rows, columns = _slopes(moved)
        normal = np.array([[np.sum(a * b) for b in (rows, columns)] for a in (rows, columns)])
        step = np.linalg.lstsq(normal, np.array([np.sum(rows * rest), np.sum(columns * rest)]), rcond=1e-6)[0]
        by = np.clip(by + step[:, None, None], -_LARGEST, _LARGEST)
    return by


def _field(image: Array, whole: Array, predictors: Array) -> Array:
    """The shift ``whole`` plus one that varies over 20 pixels."""
    weight = gaussian_filter(np.ones(image.shape), _WIDTH, mode="constant")

    def mean(values: Array) -> Array:
        return np.asarray(gaussian_filter(values, _WIDTH, mode="constant") / weight)

    pixels, by = min(4.0 * np.pi * _WIDTH**2, image.size), whole
    for _ in range(_ROUNDS):
        moved, rest = _unexplained(image, by, predictors)
        rows, columns = _slopes(moved)
        prior = mean(rest**2) * _AREA / (pixels * _SPREAD**2)
        own, other, mixed = mean(rows**2) + prior, mean(columns**2) + prior, mean(rows * columns)
        first = mean(rows * rest) - prior * (by[0] - whole[0])
        second = mean(columns * rest) - prior * (by[1] - whole[1])
        scale = np.maximum(own * other - mixed**2, np.finfo(np.float64).tiny)
        step = np.stack([other * first - mixed * second, own * second - mixed * first]) / scale
        by = np.clip(by + np.clip(step, -1.0, 1.0), -_LARGEST, _LARGEST)
    return by


def _of_rows(image: Array, field: Array, predictors: Array) -> Array:
    """The field plus a shift of each row along the columns, shrunk by their most likely spread."""
    jitter = np.zeros(len(image))
    for _ in range(_ROUNDS):
        moved, rest = _unexplained(image, _jittered(field, jitter), predictors)
        columns = _slopes(moved)[1]
        normal = np.maximum(np.sum(columns**2, axis=1), np.finfo(np.float64).tiny)
        noise = np.mean(rest**2, axis=1) * _LENGTH / normal
        raw = jitter + np.sum(columns * rest, axis=1) / normal
        total = noise + _SPREADS[:, None] ** 2
        spread = _SPREADS[int(np.argmin(np.sum(raw**2 / total + np.log(total), axis=1)))]
        jitter = np.clip(raw * spread**2 / np.maximum(noise + spread**2, np.finfo(np.float64).tiny), -1.0, 1.0)
    return _jittered(field, jitter)


def _jittered(field: Array, jitter: Array) -> Array:
    """The field plus a shift of each row along the columns."""
    return np.stack([field[0], field[1] + jitter[:, None]])
