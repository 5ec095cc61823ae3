"""Colour limits, block averaging and the unit of an image."""

import math
from collections.abc import Sequence

import numpy as np

from fusionkit.terms import Array

LARGEST = 1024  # pixels along an edge of an image in a figure
PANEL = 400  # approximate pixels of a panel

Limits = tuple[float, float]


def block_mean(image: Array, largest: int = LARGEST) -> Array:
    """The image averaged over k x k blocks, cut at its end, so that no edge exceeds ``largest`` pixels; float64."""
    block = math.ceil(max(image.shape) / largest)
    if block <= 1:
        return np.asarray(image, dtype=np.float64)
    for axis, size in enumerate(image.shape):
        starts = np.arange(0, size, block)
        shape = [1, 1]
        shape[axis] = starts.size
        sums = np.add.reduceat(image, starts, axis=axis, dtype=np.float64)  # without copying the image
        image = sums / np.diff(starts, append=size).reshape(shape)
    return image


def image_limits(images: Sequence[Array], low: float = 0.1, high: float = 99.9) -> Limits:
    """Colour limits that include nearly all pixels: percentiles, which a single hot pixel does not affect.

    Parameters
    ----------
    images : arrays that share the limits.
    low, high : percentiles; the lower limit is 0 if all values are >= 0 and some are near 0.
    """
    ranges = [np.percentile(values, (low, high)) for values in map(finite_values, images) if values.size]
    if not ranges:
        return 0.0, 1.0
    bottom, top = float(min(r[0] for r in ranges)), float(max(r[1] for r in ranges))
    if 0.0 <= bottom < 0.3 * top:
        bottom = 0.0
    return _widen(bottom, top)


def symmetric_limits(image: Array, high: float = 99.0) -> Limits:
    """Colour limits symmetric about 0 that include a percentage of the pixels of the image at the size of a panel."""
    values = np.abs(finite_values(block_mean(image, PANEL)))
    top = float(np.percentile(values, high)) if values.size else 0.0
    top = top if top > 0.0 else float(values.max(initial=0.0))
    return (-top, top) if top > 0.0 else (-1.0, 1.0)


def lie_beyond(image: Array, limits: Limits) -> tuple[bool, bool]:
    """Whether values of the image lie below and above the limits by more than rounding."""
    finite = image[np.isfinite(image)]
    margin = 1e-6 * (limits[1] - limits[0])
    if not finite.size:
        return False, False
    return float(finite.min()) < limits[0] - margin, float(finite.max()) > limits[1] + margin


def quantity(values: Array) -> str:
    """The unit of data, guessed from the values: whole numbers are counts, values from 0 to 1 are relative."""
    finite = values[np.isfinite(values)]
    if finite.size == 0 or finite.min() < 0.0:
        return "arb. units"
    top = finite.max()
    if top > 1.0 and bool(np.all(finite == np.round(finite))):
        return "counts"
    return "relative" if top <= 1.0 + 1e-6 else "arb. units"


def brightness(image: Array) -> str:
    """The unit of a HAADF image, where whole numbers are detector values, not counts."""
    unit = quantity(image)
    return "arb. units" if unit == "counts" else unit


def finite_values(image: Array) -> Array:
    """The finite values, flat, float64."""
    values = np.asarray(image, dtype=np.float64)
    return values[np.isfinite(values)]


def _widen(bottom: float, top: float) -> Limits:
    """Widen the empty range of a constant image."""
    smallest = 1e-6 * max(abs(bottom), abs(top))
    if top - bottom > smallest:
        return bottom, top
    return (0.0, 1.0) if top == 0.0 else (min(0.0, 2 * bottom), max(0.0, 2 * top))
