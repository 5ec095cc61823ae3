"""The noise of an image from its mixed second differences, which remove what is linear along either axis.

White noise of the standard deviation s leaves 6 s. Source of the mask: J. Immerkaer, Comput. Vis. Image Underst. 64,
300 (1996); of the median: D. L. Donoho, I. M. Johnstone, Biometrika 81, 425 (1994).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fusionkit.terms import Array

MASK_NORM = 6.0  # of (1, -2, 1)' (1, -2, 1)
_MEDIAN = 0.6744897501960817  # of the absolute value of a standard normal variable


def mixed_differences(image: Array, dtype: npt.DTypeLike = np.float64) -> Array:
    """The image under the mask (1, -2, 1)' (1, -2, 1), two pixels shorter along both axes.

    Parameters
    ----------
    image : (..., ny, nx), at least 3 x 3 pixels.
    dtype : in which they are computed.
    """
    b = np.asarray(image, dtype)
    rows = b[..., :-2, :] - 2.0 * b[..., 1:-1, :] + b[..., 2:, :]
    return rows[..., :-2] - 2.0 * rows[..., 1:-1] + rows[..., 2:]


def noise_level(image: Array) -> float:
    """Standard deviation of white noise in the image, or in a stack of images, robust against edges.

    Parameters
    ----------
    image : (ny, nx) or (n, ny, nx).
    """
    return float(np.median(np.abs(mixed_differences(image)))) / (MASK_NORM * _MEDIAN)
