"""What error bars of either method share: averages of squared errors and residuals, and how far counts are believed."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.terms import Array

# Pixels, standard deviations of Gaussians. With 3 the shares that intervals cover scatter more from map to map; beyond
# 5 that gains nothing, and error bars forget where they are.
_WIDTH = 5.0
NARROW = 1.2  # of residuals: from 0.7 to 1.5 the shares are the same
# By how much a factor of squared errors departs from the usual one, on phantoms at 5 to 100 counts; with 0.5 the same.
_SPREAD = 1.0
_LEAST = 0.25


def averaged(squares: Array) -> Array:
    """The mean about each pixel of squared errors (n, ny, nx)."""
    return gaussian_filter(squares, (0.0, _WIDTH, _WIDTH))


def narrow(residuals: Array) -> Array:
    """Residuals (n, ny, nx) with most of their noise averaged out and most of what is smooth left."""
    return gaussian_filter(residuals, (0.0, NARROW, NARROW))


def shrunk(usual: float, told: Array, spread: Array) -> Array:
    r"""The factor of each element, (c_0 / tau^2 + c / sigma^2) / (1 / tau^2 + 1 / sigma^2), and not below 0.25.

    The mean of a normal posterior. Source: B. Efron, C. Morris, J. Am. Stat. Assoc. 70, 311 (1975).

    Parameters
    ----------
    usual : c_0.
    told : c, as the counts of an element tell, (n,).
    spread : sigma, its standard error; infinite where they tell nothing.
    """
    share = _SPREAD**2 / (_SPREAD**2 + spread**2)
    return np.maximum(usual + share * (told - usual), _LEAST)
