"""The part of a large image that tells about the whole: what diagnostics and first guesses look at."""

from __future__ import annotations

import numpy as np

from fusionkit.terms import Array

LARGEST = 512  # pixels along an axis
_STRIDE = 4  # pixels: what tells the spread of a part


def busiest(image: Array) -> tuple[slice, slice]:
    """Rows and columns of the part with the greatest spread, which shows matter and vacuum where the image has both.

    Parameters
    ----------
    image : (ny, nx); taken whole along an axis of up to `LARGEST` pixels.
    """
    some = np.asarray(image[::_STRIDE, ::_STRIDE], np.float64)
    places = [(rows, columns) for rows in _starts(image.shape[0]) for columns in _starts(image.shape[1])]

    def spread(place: tuple[int, int]) -> float:
        first, second = (start // _STRIDE for start in place)
        return float(some[first : first + LARGEST // _STRIDE, second : second + LARGEST // _STRIDE].var())

    rows, columns = max(places, key=spread)
    return slice(rows, rows + LARGEST), slice(columns, columns + LARGEST)


def _starts(size: int) -> list[int]:
    """Where parts may begin: half a part apart, from end to end."""
    last = max(0, size - LARGEST)
    return sorted({min(start, last) for start in range(0, last + LARGEST // 2, LARGEST // 2)})
