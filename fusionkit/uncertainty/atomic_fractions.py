r"""Atomic fractions over rectangular regions: :math:`c_i = k_i N_i / \sum_j k_j N_j` with the sums N of the fused maps.

There are two kinds of intervals. With a bootstrap, the fractions :math:`c^*` of its solutions give the standard
deviation, and :math:`2c - \langle c^* \rangle` is the fraction without the bias of the penalty; the part of its
difference from the raw counts' fraction that noise does not explain is an error of the model, added in quadrature.
Without a bootstrap, the data show how far the sums of the maps deviate from theirs: with :math:`r_i = \sum (b_i -
m_i)`, the sum N + r is unbiased and has the variance of counts, so that

.. math:: s_i^2 = \bigl(c_i(N + r) - c_i(N)\bigr)^2 + \sum_j \Bigl(\frac{\partial c_i}{\partial N_j}\Bigr)^2 V_j,
          \qquad \frac{\partial c_i}{\partial N_j} = \frac{k_j (\delta_{ij} - c_i)}{\sum_l k_l N_l} .

That is too wide for a region of few pixels, for which the fused maps contain more information than its counts.
The sums N have intervals of the same kinds. A background is estimated from about as many counts as it holds, which
adds its variance. Errors of k-factors add :math:`\sum_j (c_i (\delta_{ij} - c_j) s_{k_j} / k_j)^2`. Without k-factors,
k = 1 and c are fractions of counts, not atomic. Source: G. Cliff, G. W. Lorimer, J. Microsc. 103, 203 (1975).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.errors import UserError
from fusionkit.terms import Array
from fusionkit.uncertainty.information import OfPixels, slope_and_information
from fusionkit.uncertainty.intervals import quantile
from fusionkit.uncertainty.options import WHOLE, CompositionOptions
from fusionkit.uncertainty.residuals import data_mean

_DOUBT = 0.5  # least standard deviation of a bias relative to its estimate


@dataclass(frozen=True)
class Composition:
    """Counts and atomic fractions over one region."""

    region: Region  # where
    elements: tuple[str, ...]  # symbols
    # N of each element with the ends of its interval, (estimate, low, high), in the unit of the maps
    counts: tuple[tuple[float, float, float], ...]
    # fractions, low, high: of each element, in [0, 1], with an interval of the probability ``interval``
    fractions: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    fused: tuple[float, ...]  # fractions of the fused maps, uncorrected
    raw: tuple[float, ...]  # fractions of the raw counts; empty without counts on these pixels
    method: str  # ``bootstrap`` or ``counts``
    interval: float  # probability of the intervals
    quantity: str = "fraction of counts"  # ``atomic fraction``, or without k-factors ``fraction of counts``
    # in kg/m^2 with the ends of its interval, (estimate, low, high); None without zeta-factors
    mass_thickness: tuple[float, float, float] | None = None

    def with_mass(self, per_count: Array, errors: Array) -> Composition:
        """With the mass-thickness.

        Parameters
        ----------
        per_count : kg/m^2 of a count at a pixel, (n,).
        errors : of the factors, relative, (n,).
        """
        counts = np.array(self.counts) / self.region.pixels
        parts = per_count * counts[:, 0]
        half = np.hypot(0.5 * per_count * (counts[:, 2] - counts[:, 1]), quantile(self.interval) * errors * parts)
        total, reach = float(parts.sum()), float(np.sum(half**2) ** 0.5)
        return replace(self, mass_thickness=(total, max(total - reach, 0.0), total + reach))

    def plain(self) -> dict[str, Any]:
        """Plain YAML types for ``summary.json``."""
        columns = ("fractions", "low", "high", "fused", "raw")
        values: dict[str, Any] = {name: dict(zip(self.elements, getattr(self, name), strict=False)) for name in columns}
        values["counts"] = dict(zip(self.elements, map(list, self.counts), strict=True))
        if self.mass_thickness is not None:
            values["mass_thickness"] = list(self.mass_thickness)
        place = {"rows": list(self.region.rows), "columns": list(self.region.columns)}
        facts = {"quantity": self.quantity, "method": self.method, "interval": self.interval}
        return {**place, **facts, **values}


@dataclass(frozen=True)
class RegionSums:
    """Sums over one region."""

    fused: Array  # N of the fused maps, shape (n,)
    raw: Array | None = None  # N of the data without background; None without data on the pixels of the maps
    variance: Array | None = None  # of ``raw``, without that of the background
    background: Array | None = None  # variance of the sum of the background

    def only(self, indices: Sequence[int]) -> RegionSums:
        """The sums of some elements."""
        parts = (self.fused, self.raw, self.variance, self.background)
        return RegionSums(*[None if one is None else one[list(indices)] for one in parts])  # type: ignore[arg-type]


def region_sums(region: Region, x: Array, term: OfPixels | None) -> RegionSums:
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
    departure = term.measured((term.data - data_mean(term, x)) / slope)
    # pixels that were not measured depart like the others
    share = np.ones(len(x)) if term.missing is None else region.sums((~term.missing).astype(float)) / region.pixels
    more = np.divide(1.0, share, out=np.zeros(len(x)), where=share > 0.0)
    information = np.asarray(expected * slope**2, np.float64)
    # counts of the mean 0 (a Poisson term without epsilon at x = 0) have the variance 0
    variance = np.divide(1.0, information, out=np.zeros_like(information), where=information > 0.0)
    background = np.asarray(term.predict(np.zeros_like(x)), np.float64) * (term.noise == "poisson")
    of_background = region.sums(background / term.weight / slope**2)
    raw = region.sums(x) + more * region.sums(departure)
    return RegionSums(region.sums(x), raw, more**2 * region.sums(variance), of_background)


@dataclass(frozen=True)
class Factors:
    """k of each element, and its relative standard error."""

    # values, errors: (n,)
    values: Array
    errors: Array


def fractions(sums: Array, k: Array) -> Array:
    """c of sums N, shape (..., n); 0 if all sums are 0."""
    parts = np.maximum(sums, 0.0) * k
    total = parts.sum(axis=-1, keepdims=True)
    return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)


Interval = tuple[Array, Array]  # the estimate, and half of its width


def region_composition(
    region: Region,
    elements: tuple[str, ...],
    sums: RegionSums,
    samples: Sequence[Array],
    k: Factors,
    bias_factors: Array,
    options: CompositionOptions,
) -> Composition:
    """Counts and fractions of a region with intervals.

    Parameters
    ----------
    region, elements : where, and symbols.
    sums : over the region; with those of the data where there are no samples.
    samples : sums N of the solutions of a bootstrap, (n,) each.
    k : of each element.
    bias_factors : c of `fusionkit.uncertainty.error_scale`, (n,): the squared bias over that of the samples.
    options : of the composition.
    """
    level = options.interval
    fused, own = fractions(sums.fused, k.values), np.eye(len(elements))
    raw = None if sums.raw is None else fractions(sums.raw, k.values)
    total = float((np.maximum(sums.fused if sums.raw is None else sums.raw, 0.0) * k.values).sum()) or 1.0
    slopes = k.values * (own - (fused if raw is None else raw)[:, None]) / total
    of_factors = (fused[:, None] * (own - fused)) ** 2 @ k.errors**2
    if samples:
        drawn = np.stack(samples)
        off = np.maximum(_DOUBT, np.sqrt(bias_factors) - 1.0) * (drawn.mean(axis=0) - sums.fused)
        counts = _of_samples(drawn, sums.fused, sums.raw, sums, own, off**2, 0.0, level)
        of_bias = (slopes @ off) ** 2
        parts = _of_samples(fractions(drawn, k.values), fused, raw, sums, slopes, of_bias, of_factors, level)
    else:
        assert raw is not None
        assert sums.raw is not None
        counts = _of_counts(sums.fused, sums.raw, sums, own, 0.0, level)
        parts = _of_counts(fused, raw, sums, slopes, of_factors, level)
    estimate, reach = counts
    ends = np.maximum([estimate, estimate - reach, estimate + reach], 0.0)
    cut = [parts[0], parts[0] - parts[1], parts[0] + parts[1], fused, np.empty(0) if raw is None else raw]
    values, low, high, of_fused, of_raw = (tuple(np.clip(one, 0.0, 1.0).tolist()) for one in cut)
    return Composition(
        region,
        elements,
        tuple((float(a), float(b), float(c)) for a, b, c in ends.T),
        values,
        low,
        high,
        of_fused,
        of_raw,
        "bootstrap" if samples else "counts",
        level,
        "atomic fraction" if options.k_factors or options.zeta_factors else "fraction of counts",
    )


def _of_counts(
    fused: Array, raw: Array, sums: RegionSums, slopes: Array, others: Array | float, level: float
) -> Interval:
    """The interval of a quantity with these slopes by the sums, whose value from the data is ``raw``."""
    spread = (raw - fused) ** 2 + slopes**2 @ (sums.variance + sums.background) + others  # type: ignore[operator]
    return fused, quantile(level) * np.sqrt(spread)


def _of_samples(
    drawn: Array,
    fused: Array,
    raw: Array | None,
    sums: RegionSums,
    slopes: Array,
    of_bias: Array,
    others: Array | float,
    level: float,
) -> Interval:
    """The same from the values of the solutions of a bootstrap, (samples, n)."""
    from scipy.stats import t

    count, bias = len(drawn), drawn.mean(axis=0) - fused
    # the mean of the samples has an error, and so has the bias that it estimates
    variance = drawn.var(axis=0, ddof=1) * (1.0 + 1.0 / count) + of_bias
    if raw is not None and sums.variance is not None and sums.background is not None:
        # what noise does not explain is an error of the model; the samples share the background
        variance += np.maximum((fused - bias - raw) ** 2 - variance - slopes**2 @ sums.variance, 0.0)
        variance += slopes**2 @ sums.background
    return fused - bias, float(t.ppf(0.5 + 0.5 * level, count - 1)) * np.sqrt(variance + others)


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels."""

    name: str  # in the config
    # rows, columns: first and last, the last one not included
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def pixels(self) -> int:
        """Their number."""
        return (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])

    def sums(self, stack: Array) -> Array:
        """Sum of each map (n, ny, nx) over the region, shape (n,), float64."""
        part = stack[:, slice(*self.rows), slice(*self.columns)]
        return part.sum(axis=(1, 2), dtype=np.float64)


def regions_of(options: CompositionOptions, pixels: tuple[int, int]) -> tuple[Region, ...]:
    """The whole image, then the rectangles of the config. `UserError` if a rectangle exceeds the image."""
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
