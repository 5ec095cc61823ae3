r"""Shared by both methods of error bars: expected data and their noise, local means, and shrinkage of factors.

A Poisson term adds epsilon to its prediction. That may be a background of the data, or only keep the logarithm finite:
pixels without the element show which. Their mean, between 0 and epsilon, is taken as the background; with too few of
them it is epsilon.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.data.noise import noise_level
from fusionkit.operators.fidelity import Fidelity
from fusionkit.operators.fidelity.gaussian import GaussianLoss
from fusionkit.terms import Array

# Standard deviations of Gaussians in pixels. At 3 the coverage of intervals varies more from map to map; beyond 5
# there is no gain, and error bars lose their spatial detail.
_WIDTH = 5.0
SMOOTHING = 1.2  # of residuals: from 0.7 to 1.5 the coverage is the same
# Spread of the factors of squared errors around the usual one, on phantoms at 5 to 100 counts; 0.5 gives the same.
_SPREAD = 1.0
_LEAST = 0.25


def local_mean(squares: Array) -> Array:
    """The local mean of squared errors (n, ny, nx)."""
    return gaussian_filter(squares, (0.0, _WIDTH, _WIDTH))


def smoothed(residuals: Array) -> Array:
    """Residuals (n, ny, nx) with most of the noise averaged out and smooth structure kept."""
    return gaussian_filter(residuals, (0.0, SMOOTHING, SMOOTHING))


def shrink(usual: float, estimate: Array, spread: Array) -> Array:
    r"""The factor of each element, (c_0 / tau^2 + c / sigma^2) / (1 / tau^2 + 1 / sigma^2), at least 0.25.

    The mean of a normal posterior. Source: B. Efron, C. Morris, J. Am. Stat. Assoc. 70, 311 (1975).

    Parameters
    ----------
    usual : c_0.
    estimate : c from the counts of each element, (n,).
    spread : sigma, its standard error; infinite without information.
    """
    share = _SPREAD**2 / (_SPREAD**2 + spread**2)
    return np.maximum(usual + share * (estimate - usual), _LEAST)


_FEWEST = 100  # pixels without the element


def data_mean(term: Fidelity, x: Array) -> Array:
    """The expected data at the solution ``x``, of their shape, float64."""
    prediction = np.asarray(term.predict(x), np.float64)
    offset = np.asarray(term.expected(x), np.float64) - prediction
    if term.noise != "poisson":
        return prediction + offset
    empty = (prediction < offset) & ~np.isnan(term.data)
    if np.count_nonzero(empty) >= _FEWEST:
        result = np.mean(term.data[empty] - prediction[empty], dtype=np.float64)
        offset = np.clip(result, 0.0, offset)
    return np.maximum(prediction + offset, 0.0)  # rounding may give less than zero


_SMALLEST = 8  # pixels along an axis of an image whose noise can be estimated


def image_noise_variance(term: Fidelity) -> float | None:
    """The variance of white noise in the image of a least-squares term; None without an image or visible noise."""
    if term.noise != "normal" or term.data.ndim != 2 or min(term.data.shape) < _SMALLEST:
        return None
    return noise_level(term.data) ** 2 or None


def normal_variance(term: Fidelity) -> float | Array:
    """The variance of the normal noise in the data of a term: that of its maps or image where known, else 1 / weight.

    The weight of an image may be less than 1 / s^2 because its model is wrong; that does not make its noise greater.
    """
    if isinstance(term.loss, GaussianLoss):
        return np.square(term.loss.sigma)
    return image_noise_variance(term) or 1.0 / term.weight
