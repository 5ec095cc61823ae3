"""The noise of an image from its mixed second differences, which remove everything linear along either axis.

Their standard deviation is 6 s for white noise of the standard deviation s. Source of the mask: J. Immerkaer, Comput.
Vis. Image Underst. 64, 300 (1996); of the median: D. L. Donoho, I. M. Johnstone, Biometrika 81, 425 (1994).
"""

import numpy as np
import numpy.typing as npt

from fusionkit.arrays import Array
from fusionkit.data.missing import known

MASK_NORM = 6.0  # root of the sum of squares of (1, -2, 1)' (1, -2, 1)
_MEDIAN = 0.6744897501960817  # of the absolute value of a standard normal variable


def mixed_differences(image: Array, dtype: npt.DTypeLike = np.float64) -> Array:
    """The image (..., ny, nx) under the mask (1, -2, 1)' (1, -2, 1), two pixels shorter along both axes."""
    b = np.asarray(image, dtype)
    rows = b[..., :-2, :] - 2.0 * b[..., 1:-1, :] + b[..., 2:, :]
    return rows[..., :-2] - 2.0 * rows[..., 1:-1] + rows[..., 2:]


def noise_level(image: Array) -> float:
    """Standard deviation of white noise in images, robust against edges; 0 without 3 x 3 measured pixels."""
    differences = known(mixed_differences(image))
    return float(np.median(np.abs(differences))) / (MASK_NORM * _MEDIAN) if differences.size else 0.0


BEYOND = 3.0  # standard deviations: larger differences are edges
# E[z^2 | |z| < 3] of a standard normal variable
INSIDE = 0.9733369246625415


def clipped_noise(image: Array) -> float:
    """Standard deviation of the noise in an image (ny, nx): the mean square of its differences without edges.

    Where the noise varies this is about its mean variance, which a median misses if most pixels are vacuum.
    """
    squares = known((mixed_differences(image) / MASK_NORM) ** 2) if min(image.shape) >= 3 else np.zeros((0, 0))
    variance = float(squares.mean()) if squares.size else 0.0
    for _ in range(30):
        inside = squares[squares <= BEYOND**2 * variance]
        former, variance = variance, float(inside.mean()) / INSIDE if inside.size else 0.0
        if abs(variance - former) <= 1e-6 * former:
            break
    return variance**0.5


LARGEST = 512  # pixels along an axis
_STRIDE = 4  # pixels, enough for the spread of a part


def busiest(image: Array, largest: int = LARGEST) -> tuple[slice, slice]:
    """Rows and columns of the part with the greatest variance, which shows matter and vacuum if there are both."""
    some = np.asarray(image[::_STRIDE, ::_STRIDE], np.float64)
    places = [
        (rows, columns) for rows in _starts(image.shape[0], largest) for columns in _starts(image.shape[1], largest)
    ]

    def spread(place: tuple[int, int]) -> float:
        first, second = (start // _STRIDE for start in place)
        return float(known(some[first : first + largest // _STRIDE, second : second + largest // _STRIDE]).var())

    rows, columns = max(places, key=spread)
    return slice(rows, rows + largest), slice(columns, columns + largest)


def _starts(size: int, largest: int) -> list[int]:
    """Starts of the parts to compare, half a part apart."""
    last = max(0, size - largest)
    return sorted({min(start, last) for start in range(0, last + largest // 2, largest // 2)})
