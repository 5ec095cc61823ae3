r"""Starting points.

x = b is a bad starting point: where a map has no counts, the gradient of the HAADF term vanishes at x = 0, even if the
image shows matter. ``auto`` therefore starts positive everywhere: the maps are smoothed, raised above zero and scaled
at each pixel so that the elastic model reproduces the image. For a model that is homogeneous of degree gamma, such as
sum_i (Z_i x_i)^gamma, the factor is (b_H / m(x))^(1/gamma).
"""

from typing import Literal

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.data.missing import filled
from fusionkit.data.spectra import unmixed
from fusionkit.errors import UserError
from fusionkit.problem import Problem
from fusionkit.terms import Array, Calibrated, Fitted, Pixelwise

Init = Literal["auto", "maps", "uniform"]

_WIDTH = 2.0  # pixels, of the Gaussian that smooths the maps: it averages enough counts at a few counts a pixel
_FLOOR = 0.03  # of the mean of a map, the least value at the start
_LARGEST_FACTOR = 30.0  # of the scaling at a pixel, up or down; beyond it noise would be scaled


def start_from_data(init: Init, problem: Problem, dataset: Dataset) -> Array:
    """The starting point ``auto``, ``maps`` or ``uniform``, made from the data, of the shape and dtype of the problem.

    `UserError` if there are no maps to start from.
    """
    maps, mixing = dataset.arrays.get("maps"), dataset.arrays.get("maps_mixing")
    if maps is not None and mixing is not None:
        maps = unmixed(maps, dataset.arrays.get("maps_background", 0.0), mixing)
    if maps is not None and maps.shape != problem.shape and dataset.shape == problem.shape:
        maps = _on_pixels(maps, problem.shape)
    if maps is None or maps.shape != problem.shape:
        if init == "maps":
            raise UserError("init", "there are no maps to start from", "use 'uniform' or 'auto'")
        # without maps only the sign is known: 1 for x bounded from below, 0 for a free x
        level = 1.0 if np.all(np.isfinite(problem.bounds.lower)) else 0.0
        return problem.bounds.prox(np.full(problem.shape, level, problem.dtype), 1.0)
    maps = filled(maps)
    if init == "maps":
        return np.array(maps, dtype=problem.dtype)
    base = _positive(maps) if init == "auto" else _means(maps)
    return _consistent(base.astype(problem.dtype), problem)


def _on_pixels(maps: Array, shape: tuple[int, ...]) -> Array:
    """Maps resampled to the pixels of the unknown by nearest neighbour, sum kept; the mean replaces a missing map."""
    maps = filled(maps)
    missing = np.repeat(maps.mean(axis=0, keepdims=True), max(shape[0] - len(maps), 0), axis=0)
    stack = np.concatenate([maps, missing])
    rows, columns = (np.arange(size) * count // size for size, count in zip(shape[1:], maps.shape[1:], strict=True))
    share = maps.shape[1] * maps.shape[2] / (shape[1] * shape[2])
    return stack[:, rows][:, :, columns] * share


def _means(maps: Array) -> Array:
    """Each map's mean at every pixel, positive."""
    means = np.abs(maps).mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    largest = float(means.max()) or 1.0
    return np.broadcast_to(np.maximum(means, _FLOOR * largest), maps.shape)


def _positive(maps: Array) -> Array:
    """The maps smoothed and raised by a share of their mean."""
    from scipy.ndimage import gaussian_filter

    smooth = np.stack([gaussian_filter(np.asarray(one, np.float32), _WIDTH, mode="nearest") for one in maps])
    return np.maximum(smooth, 0) + _FLOOR * _means(maps)


def _consistent(x: Array, problem: Problem) -> Array:
    """x scaled at each pixel so that the first pixelwise model of a single image reproduces that image."""
    for term in problem.terms:
        if not (isinstance(term, Pixelwise) and isinstance(term, Fitted) and term.data.shape == x.shape[1:]):
            continue
        if isinstance(term, Calibrated):  # its unit is unknown before a first fit
            term = term.fitted_to(x)
            assert isinstance(term, Fitted)
        dark = term.predict(np.zeros_like(x))  # the model's value without matter does not scale
        once, twice = term.predict(x) - dark, term.predict(2 * x) - dark
        degree = float(np.median(np.log2(twice / np.maximum(once, np.finfo(x.dtype).tiny))))
        if not np.isfinite(degree) or degree <= 0:
            continue
        image = filled(term.data) - dark
        image = np.maximum(image, _FLOOR * max(float(image.max()), 0.0))
        with np.errstate(over="ignore", invalid="ignore"):  # a degree near 0, whose x is beyond all numbers
            factor = (image / np.maximum(once, np.finfo(x.dtype).tiny)) ** (1.0 / degree)
            # the units of the image are arbitrary: limit the spread, not the level
            middle = float(np.median(factor)) or 1.0
            scaled = x * np.clip(factor, middle / _LARGEST_FACTOR, middle * _LARGEST_FACTOR).astype(x.dtype)
        x = scaled if np.isfinite(scaled).all() else x
        break
    return problem.bounds.prox(x, 1.0)
