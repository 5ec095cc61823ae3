r"""By which factor the squared error of the maps exceeds the variance that their curvature gives, as the counts tell.

Stein's unbiased estimate of the risk, of counts b with residuals r = b - m(x) that a Gaussian G has averaged. G leaves
the share g of the variance of the noise, and nearly all of the error of x, which is smooth. With the variance v of the
data and what the noise of a pixel has to do with its own estimate, D = Cov(b, x),

.. math:: E\,(x - \mu)^2 \approx E\,(G r)^2 - g\,v + 2 D .

The curvature gives V, which stands for variance and squared bias of x. D is about the first alone, and near the weight
that the data choose the two are about as large: D = V / 2. Over the pixels of an element,

.. math:: \hat c = 1 + \frac{\sum (G r)^2 - g \sum v}{\sum V}, \qquad
          \sigma = \frac{g \sqrt{4 \pi w^2 \sum v^2}}{\sum V},

shrunk towards 1 where the counts are too few to tell. Values of (G r)^2 are correlated over 2 pi w^2 pixels, w the
width of G; without G the noise of the estimate would be six times as large. Source: C. M. Stein, Ann. Stat. 9, 1135
(1981).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from fusionkit.operators.fidelity import PixelwiseFidelity
from fusionkit.terms import Array
from fusionkit.uncertainty.information import slope_and_information
from fusionkit.uncertainty.means import mean_of
from fusionkit.uncertainty.residuals import NARROW, narrow, shrunk

_REACH = 10  # pixels that hold all of G


def factors(term: PixelwiseFidelity, x: Array, variance: Array) -> Array:
    """c of each element, (n,).

    Parameters
    ----------
    term : compares each value of x with data of its own.
    x : the solution, (n, ny, nx).
    variance : V, (n, ny, nx).
    """
    mean, (slope, _) = mean_of(term, x), slope_and_information(term, x)
    noise = (mean if term.noise == "poisson" else np.ones(mean.shape)) / term.weight
    kept, over = _kept(), (1, 2)
    level = np.maximum(np.sum(variance * slope**2, axis=over), np.finfo(np.float32).tiny)
    told = 1.0 + (np.sum(narrow(term.data - mean) ** 2, axis=over) - kept * np.sum(noise, axis=over)) / level
    spread = kept * np.sqrt(4.0 * np.pi * NARROW**2 * np.sum(noise**2, axis=over)) / level
    return shrunk(1.0, told, spread)


def _kept() -> float:
    """The share of the variance of white noise that G leaves."""
    point = np.zeros(2 * _REACH + 1)
    point[_REACH] = 1.0
    return float(np.sum(gaussian_filter1d(point, NARROW) ** 2)) ** 2
