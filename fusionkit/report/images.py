"""Images as short text: quantised, predicted from the left neighbour, compressed, base64.

An image becomes codes c with v = low + step c. Each row is replaced by its differences, which are mapped to unsigned
numbers (0, -1, 1, -2, ... to 0, 1, 2, 3, ...) and compressed by zlib, all low bytes before all high bytes. Whole
numbers of a small range are exact. Other images get 4094 steps over their range; if the page would be too large, fewer
steps, then fewer pixels.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fusionkit.report.image_limits import block_mean
from fusionkit.terms import Array

LEVELS = (4094, 1022, 254)  # steps over the range; a screen shows 256, so fewer are used only for large pages
BUDGET = 13_500_000  # characters of all images, which keeps a page below 15 MB
_WIDEST = 16_000  # range of whole numbers that stay exact: their mapped differences fit into 16 bits


@dataclass(frozen=True)
class Encoded:
    """An image as text."""

    # ny, nx: its shape
    ny: int
    nx: int
    # low, step: value = low + step * code
    low: float
    step: float
    missing: int  # the code of values that are not finite
    exact: bool  # whether the codes reproduce the values exactly
    data: str  # base64 of zlib data


@dataclass(frozen=True)
class Pictures:
    """All images of a page."""

    images: Mapping[str, Encoded]  # by key
    levels: int  # steps over the range of those that are not exact
    largest: int | None  # most pixels along an edge, to which larger images were averaged; None if none was


def encode_all(images: Mapping[str, Array], budget: int = BUDGET) -> Pictures:
    """All images within ``budget`` characters: fewer steps first, then fewer pixels.

    Parameters
    ----------
    images : by key, (ny, nx) each.
    budget : most characters of all of them together; an image needs at least some 50.
    """
    largest: int | None = None
    while True:
        reduced = images if largest is None else {key: block_mean(image, largest) for key, image in images.items()}
        for levels in LEVELS:
            pictures = Pictures({key: encode(image, levels) for key, image in reduced.items()}, levels, largest)
            if sum(len(each.data) for each in pictures.images.values()) <= budget:
                return pictures
        edge = max(max(image.shape) for image in reduced.values())
        largest = edge // 2
        if edge < 2:
            raise ValueError(f"{len(images)} images do not fit into {budget} characters")


def encode(image: Array, levels: int = LEVELS[0]) -> Encoded:
    """Encode one image.

    Parameters
    ----------
    image : (ny, nx), not empty; values that are not finite become the code ``missing``.
    levels : steps over its range.
    """
    values = np.asarray(image, np.float64)
    finite = np.isfinite(values)
    all_finite = bool(finite.all())
    numbers = values if all_finite else values[finite]
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    exact = high - low <= _WIDEST and bool(np.all(numbers == np.rint(numbers)))
    with np.errstate(over="ignore"):
        step = 1.0 if exact else (high - low) / levels
    if not np.isfinite(step) or step < np.finfo(np.float64).tiny:  # the range underflows or overflows
        step = 1.0
    missing = int(np.rint(np.clip((high - low) / step, 0.0, _WIDEST))) + 1
    scaled = (values - low) / step
    if not all_finite:
        scaled = np.where(finite, scaled, float(missing))
    codes = np.clip(np.rint(scaled), 0.0, float(missing)).astype(np.int32)
    ny, nx = values.shape
    return Encoded(ny, nx, low, step, missing, exact, _compress(codes))


def _compress(codes: np.ndarray) -> str:
    """Mapped differences along rows as compressed text; slower compression gains little."""
    differences = np.diff(codes, axis=1, prepend=np.int32(0))
    folded = ((differences << 1) ^ (differences >> 31)).astype("<u2")
    planes = folded.reshape(-1, 1).view(np.uint8).T.tobytes()
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return base64.b64encode(packer.compress(planes) + packer.flush()).decode("ascii")
