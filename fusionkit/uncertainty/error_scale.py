r"""Factors by which squared errors exceed their estimates, from the residuals of the counts.

With residuals r = b - m(x) of an element and a narrow Gaussian G, which removes most of the noise:

**Bootstrap.** A penalty hardly removes a second time what it has removed already, so that resampled solutions may have
less bias than the recording. With the residual r* of a sample and the bias beta of the samples in the units of the
data,

.. math:: q = \sum (G\, r)^2, \qquad e = \sum (G\, \beta)^2

over the pixels: q contains noise (less the part that the solution follows) and squared bias, and so does q* of a
sample. The noise is the same in both, and q - <q*> is the excess of the squared bias over e:

.. math:: \hat c = 1 + \frac{q - \langle q^* \rangle}{e}, \qquad \sigma = \frac{\operatorname{std}(q^*)}{e},

shrunk towards 1.5, which covers well where there are too few counts. Source: a residual compared with its distribution
under the fitted model, A. Gelman, X.-L. Meng, H. Stern, Stat. Sinica 6, 733 (1996).

**Curvature.** Stein's unbiased estimate of the risk: G leaves the share g of the variance of the noise, and nearly all
of the smooth error of x. With the variance v of the data and the covariance D = Cov(b, x) of a pixel with its estimate,

.. math:: E\,(x - \mu)^2 \approx E\,(G r)^2 - g\,v + 2 D .

The curvature gives V, which stands for variance and squared bias of x. D belongs to the variance alone, and near the
weight that the data choose both are about equal: D = V / 2. Over the pixels of an element,

.. math:: \hat c = 1 + \frac{\sum (G r)^2 - g \sum v}{\sum V}, \qquad
          \sigma = \frac{g \sqrt{4 \pi w^2 \sum v^2}}{\sum V},

shrunk towards 1 where there are too few counts. Values of (G r)^2 are correlated over 2 pi w^2 pixels, w being the
width of G; without G the noise of the estimate would be six times as large. Source: C. M. Stein, Ann. Stat. 9, 1135
(1981).
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from fusionkit.terms import Array
from fusionkit.uncertainty.information import OfPixels, slope_and_information
from fusionkit.uncertainty.residuals import SMOOTHING, data_mean, shrink, smoothed

USUAL = 1.5  # from phantoms at 5, 20 and 100 counts, where 1 covers 2 % less of the pixels


@dataclass(frozen=True)
class CountResiduals:
    """Residuals of the recorded counts, to compare the bias with."""

    offset: Array  # mean of the data minus the prediction, (n, ny, nx)
    slope: Array  # derivative of the data by the unknown, (n, ny, nx)
    observed: Array  # q of the recording, (n,)

    def squared(self, term: OfPixels, x: Array) -> Array:
        """q of the data of ``term`` for their solution x, (n,)."""
        return _squared(term.measured(term.data - np.asarray(term.predict(x), np.float64) - self.offset))


def count_residuals(term: OfPixels, x: Array) -> CountResiduals:
    """Residuals at the solution ``x``; ``term`` compares each value of x with its own datum."""
    mean, (slope, _) = data_mean(term, x), slope_and_information(term, x)
    return CountResiduals(
        mean - np.asarray(term.predict(x), np.float64), slope, _squared(term.measured(term.data - mean))
    )


def bias_factors(observed: Array, drawn: tuple[Array, Array], squared_bias: Array) -> Array:
    """c of each element, (n,).

    Parameters
    ----------
    observed : q of the recording, (n,).
    drawn : mean and variance of q* over the samples, (n,) each.
    squared_bias : e, (n,); if it is not positive, no bias is visible and c is the usual factor.
    """
    known, (mean, variance) = squared_bias > 0, drawn
    level = np.where(known, squared_bias, 1.0)
    spread = np.where(known, np.sqrt(variance) / level, np.inf)
    return shrink(USUAL, 1.0 + np.where(known, (observed - mean) / level, 0.0), spread)


def _squared(residual: Array) -> Array:
    return np.sum(smoothed(residual) ** 2, axis=(1, 2))


_REACH = 10  # pixels that contain all of G


def variance_factors(term: OfPixels, x: Array, variance: Array) -> Array:
    """c of each element, (n,).

    Parameters
    ----------
    term : compares each value of x with its own datum.
    x : the solution, (n, ny, nx).
    variance : V, (n, ny, nx).
    """
    mean, (slope, _) = data_mean(term, x), slope_and_information(term, x)
    noise = term.measured((mean if term.noise == "poisson" else np.ones(mean.shape)) / term.weight)
    kept, over = _kept(), (1, 2)
    level = np.maximum(np.sum(term.measured(variance * slope**2), axis=over), np.finfo(np.float32).tiny)
    estimate = (
        1.0
        + (np.sum(smoothed(term.measured(term.data - mean)) ** 2, axis=over) - kept * np.sum(noise, axis=over)) / level
    )
    spread = kept * np.sqrt(4.0 * np.pi * SMOOTHING**2 * np.sum(noise**2, axis=over)) / level
    return shrink(1.0, estimate, spread)


def _kept() -> float:
    """The share g of the variance of white noise that G leaves."""
    point = np.zeros(2 * _REACH + 1)
    point[_REACH] = 1.0
    return float(np.sum(gaussian_filter1d(point, SMOOTHING) ** 2)) ** 2
