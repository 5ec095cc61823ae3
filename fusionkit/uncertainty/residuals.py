r"""What error bars of either method share: averages of squared errors and residuals, and how far counts are believed.

What the data of a term are on average where the unknown is the solution.

A Poisson term adds epsilon to its prediction. That may be a background which the data have, or no more than what keeps
the logarithm finite: pixels without the element tell. Their mean, between 0 and epsilon, is the background here; where
there are too few of them, the term is taken at its word.

The noise that the data of a term have by themselves, whatever weight the term was given.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.data.noise import noise_level
from fusionkit.operators.fidelity import Fidelity
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


_FEWEST = 100  # pixels without the element


def mean_of(term: Fidelity, x: Array) -> Array:
    """The mean of the data, of their shape, float64.

    Parameters
    ----------
    term : compares a prediction with the data.
    x : the solution.
    """
    prediction = np.asarray(term.predict(x), np.float64)
    offset = np.asarray(term.expected(x), np.float64) - prediction
    if term.noise != "poisson":
        return prediction + offset
    empty = prediction < offset
    if np.count_nonzero(empty) >= _FEWEST:
        found = np.mean(term.data[empty] - prediction[empty], dtype=np.float64)
        offset = np.clip(found, 0.0, offset)
    return np.maximum(prediction + offset, 0.0)  # rounding takes a mean of zero below it


_SMALLEST = 8  # pixels along an axis of an image whose noise can be seen


def seen_in_image(term: Fidelity) -> float | None:
    """The variance of white noise in the image of a least-squares term; None where it is no image or none is seen."""
    if term.noise != "normal" or term.data.ndim != 2 or min(term.data.shape) < _SMALLEST:
        return None
    return noise_level(term.data) ** 2 or None


def normal_variance(term: Fidelity) -> float:
    """The variance of the normal noise in the data of a term: as seen in an image, else what the weight stands for.

    The weight of an image may be less than 1 / s^2 because its model is not to be believed; its noise is not greater
    for that.
    """
    return seen_in_image(term) or 1.0 / term.weight
