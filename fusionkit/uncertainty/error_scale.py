r"""By which factor the squared bias of a recording exceeds that of its bootstrap, as the residuals of the counts tell.

What a penalty has rounded off already it hardly takes a second time, so that resampled solutions may have less bias
than the recording has. With the residual r = b - m(x) of an element, that of a sample r*, a narrow Gaussian G that
takes most of their noise, and the bias beta of the samples in the units of the data,

.. math:: q = \sum (G\, r)^2, \qquad e = \sum (G\, \beta)^2

over the pixels: q is noise, of which the solution has taken up its part, and squared bias; so is q* of a sample. The
noise is the same in both, and q - <q*> by what the squared bias of the recording exceeds e:

.. math:: \hat c = 1 + \frac{q - \langle q^* \rangle}{e}, \qquad \sigma = \frac{\operatorname{std}(q^*)}{e},

shrunk towards 1.5, which covers well where the counts are too few to tell. Source: a residual compared with its
distribution under the fitted model, A. Gelman, X.-L. Meng, H. Stern, Stat. Sinica 6, 733 (1996).

By which factor the squared error of the maps exceeds the variance that their curvature gives, as the counts tell.

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

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from fusionkit.operators.fidelity import PixelwiseFidelity
from fusionkit.terms import Array
from fusionkit.uncertainty.information import slope_and_information
from fusionkit.uncertainty.residuals import NARROW, mean_of, narrow, shrunk

USUAL = 1.5  # chosen on phantoms at 5, 20 and 100 counts, where 1 covers 2 % less of the pixels


@dataclass(frozen=True)
class Counts:
    """The recorded maps that judge the bias.

    Parameters
    ----------
    offset : mean of the data minus the prediction, (n, ny, nx).
    slope : of the data by the unknown, (n, ny, nx).
    observed : q of the recording, (n,).
    """

    offset: Array
    slope: Array
    observed: Array

    def squared(self, term: PixelwiseFidelity, x: Array) -> Array:
        """q of the data of ``term`` where x was found from them, (n,)."""
        return _squared(term.data - np.asarray(term.predict(x), np.float64) - self.offset)


def counts_of(term: PixelwiseFidelity, x: Array) -> Counts:
    """What judges the bias about the solution ``x``; ``term`` compares each value of it with data of its own."""
    mean, (slope, _) = mean_of(term, x), slope_and_information(term, x)
    return Counts(mean - np.asarray(term.predict(x), np.float64), slope, _squared(term.data - mean))


def bias_factors(observed: Array, drawn: tuple[Array, Array], seen: Array) -> Array:
    """c of each element, (n,).

    Parameters
    ----------
    observed : q of the recording, (n,).
    drawn : mean and variance of q* over the samples, (n,) each.
    seen : e, (n,); where it is not above zero no bias is seen, and c is the usual one.
    """
    known, (mean, variance) = seen > 0, drawn
    level = np.where(known, seen, 1.0)
    spread = np.where(known, np.sqrt(variance) / level, np.inf)
    return shrunk(USUAL, 1.0 + np.where(known, (observed - mean) / level, 0.0), spread)


def _squared(residual: Array) -> Array:
    return np.sum(narrow(residual) ** 2, axis=(1, 2))


_REACH = 10  # pixels that hold all of G


def variance_factors(term: PixelwiseFidelity, x: Array, variance: Array) -> Array:
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
