r"""Atomic fractions over rectangular regions: :math:`c_i = k_i N_i / \sum_j k_j N_j` with the sums N of the fused maps.

There are two kinds of intervals. With a bootstrap, the fractions :math:`c^*` of its solutions give the standard
deviation, and :math:`2c - \langle c^* \rangle` is the fraction without the bias of the penalty; the part of its
difference from the raw counts' fraction that noise does not explain is an error of the model, added in quadrature.
Without a bootstrap, the data show how far the sums of the maps deviate from theirs: with :math:`r_i = \sum (b_i -
m_i)`, the sum N + r is unbiased and has the variance of counts, so that

.. math:: s_i^2 = \bigl(c_i(N + r) - c_i(N)\bigr)^2 + \sum_j \Bigl(\frac{\partial c_i}{\partial N_j}\Bigr)^2 V_j,
          \qquad \frac{\partial c_i}{\partial N_j} = \frac{k_j (\delta_{ij} - c_i)}{\sum_l k_l N_l} .

That is too wide for a region of few pixels, for which the fused maps contain more information than its counts.
k-factors are taken as exact; without them, k = 1 and c are fractions of counts, not atomic. Source: G. Cliff,
G. W. Lorimer, J. Microsc. 103, 203 (1975).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionkit.errors import UserError
from fusionkit.operators.fidelity import PixelwiseFidelity
from fusionkit.terms import Array
from fusionkit.uncertainty.information import slope_and_information
from fusionkit.uncertainty.intervals import quantile
from fusionkit.uncertainty.options import WHOLE, CompositionOptions
from fusionkit.uncertainty.residuals import data_mean

_DOUBT = 0.5  # standard deviation of a bias relative to its estimate


@dataclass(frozen=True)
class Composition:
    """Atomic fractions over one region.

    Parameters
    ----------
    region : where.
    elements : symbols.
    fractions, low, high : of each element, in [0, 1], with an interval of the probability ``interval``.
    fused : fractions of the fused maps, uncorrected.
    raw : fractions of the raw counts; empty without counts on these pixels.
    method : ``bootstrap`` or ``counts``.
    interval : probability of the intervals.
    quantity : ``atomic fraction``, or without k-factors ``fraction of counts``.
    """

    region: Region
    elements: tuple[str, ...]
    fractions: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    fused: tuple[float, ...]
    raw: tuple[float, ...]
    method: str
    interval: float
    quantity: str = "fraction of counts"

    def plain(self) -> dict[str, Any]:
        """Plain YAML types for ``summary.json``."""
        columns = ("fractions", "low", "high", "fused", "raw")
        values = {name: dict(zip(self.elements, getattr(self, name), strict=False)) for name in columns}
        place = {"rows": list(self.region.rows), "columns": list(self.region.columns)}
        facts = {"quantity": self.quantity, "method": self.method, "interval": self.interval}
        return {**place, **facts, **values}


@dataclass(frozen=True)
class RegionSums:
    """Sums over one region.

    Parameters
    ----------
    fused : N of the fused maps, shape (n,).
    raw : N of the data without background; None without data on the pixels of the maps.
    variance : of ``raw``.
    """

    fused: Array
    raw: Array | None = None
    variance: Array | None = None


def region_sums(region: Region, x: Array, term: PixelwiseFidelity | None) -> RegionSums:
    """The sums over a region.

    Parameters
    ----------
    region : where.
    x : fused maps, (n, ny, nx).
    term : the one that compares each value of x with its own datum; None without one.
    """
    if term is None:
        return RegionSums(region.sums(x))
    slope, expected = slope_and_information(term, x)
    departure = (term.data - data_mean(term, x)) / slope
    information = np.asarray(expected * slope**2, np.float64)
    # counts of the mean 0 (a Poisson term without epsilon at x = 0) have the variance 0
    variance = np.divide(1.0, information, out=np.zeros_like(information), where=information > 0.0)
    return RegionSums(region.sums(x), region.sums(x) + region.sums(departure), region.sums(variance))


def fractions(sums: Array, k: Array) -> Array:
    """c of sums N, shape (..., n); 0 if all sums are 0."""
    parts = np.maximum(sums, 0.0) * k
    total = parts.sum(axis=-1, keepdims=True)
    return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)


def from_counts(region: Region, elements: tuple[str, ...], sums: RegionSums, k: Array, level: float) -> Composition:
    """Fractions with intervals from the counts; ``sums`` must have ``raw``."""
    assert sums.raw is not None
    assert sums.variance is not None
    fused, raw = fractions(sums.fused, k), fractions(sums.raw, k)
    spread = np.sqrt((raw - fused) ** 2 + _variance_of_raw(sums.raw, sums.variance, k))
    return _clipped(region, elements, fused, quantile(level) * spread, (fused, raw), "counts", level)


def from_samples(
    region: Region, elements: tuple[str, ...], sums: RegionSums, samples: Sequence[Array], k: Array, level: float
) -> Composition:
    """Fractions with intervals from a bootstrap; ``samples`` are the sums N of its solutions."""
    from scipy.stats import t

    drawn = fractions(np.stack(samples), k)
    fused, count = fractions(sums.fused, k), len(drawn)
    raw = fractions(sums.raw, k) if sums.raw is not None else np.empty(0)
    bias = drawn.mean(axis=0) - fused
    # the mean of the samples has an error, and so has the bias that it estimates
    variance = drawn.var(axis=0, ddof=1) * (1.0 + 1.0 / count) + (_DOUBT * bias) ** 2
    if sums.raw is not None and sums.variance is not None:  # the rest is an error of the model
        variance += np.maximum((fused - bias - raw) ** 2 - variance - _variance_of_raw(sums.raw, sums.variance, k), 0.0)
    reach = float(t.ppf(0.5 + 0.5 * level, count - 1)) * np.sqrt(variance)
    return _clipped(region, elements, fused - bias, reach, (fused, raw), "bootstrap", level)


def _variance_of_raw(raw: Array, variance: Array, k: Array) -> Array:
    """Variance of the fractions of the sums ``raw``, by their derivatives."""
    total = float((np.maximum(raw, 0.0) * k).sum()) or 1.0
    slopes = k * (np.eye(len(k)) - fractions(raw, k)[:, None]) / total
    return slopes**2 @ variance


def _clipped(
    region: Region,
    elements: tuple[str, ...],
    estimate: Array,
    reach: Array,
    others: tuple[Array, Array],
    method: str,
    level: float,
) -> Composition:
    cut = [np.clip(each, 0.0, 1.0) for each in (estimate, estimate - reach, estimate + reach, *others)]
    values, low, high, fused, raw = (tuple(float(value) for value in each) for each in cut)
    return Composition(region, elements, values, low, high, fused, raw, method, level)


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels.

    Parameters
    ----------
    name : in the config.
    rows, columns : first and last, the last one not included.
    """

    name: str
    rows: tuple[int, int]
    columns: tuple[int, int]

    def sums(self, stack: Array) -> Array:
        """Sum of each map (n, ny, nx) over the region, shape (n,), float64."""
        part = stack[:, slice(*self.rows), slice(*self.columns)]
        return part.sum(axis=(1, 2), dtype=np.float64)


def regions_of(options: CompositionOptions, pixels: tuple[int, int]) -> tuple[Region, ...]:
    """The whole image, then the rectangles of the config.

    Raises
    ------
    UserError : a rectangle exceeds the image.
    """
    ny, nx = pixels
    result = [Region(WHOLE, (0, ny), (0, nx))]
    for name, one in options.regions.items():
        rows, columns = one.rows or [0, ny], one.columns or [0, nx]
        for axis, edges, size in (("rows", rows, ny), ("columns", columns, nx)):
            if edges[1] > size:
                key = f"composition.regions.{name}.{axis}"
                raise UserError(key, f"reaches to {edges[1]}, but the maps have {size} {axis}", f"end at {size}")
        if name != WHOLE:
            result.append(Region(name, (rows[0], rows[1]), (columns[0], columns[1])))
    return tuple(result)
