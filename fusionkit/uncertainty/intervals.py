r"""Standard deviations and intervals from them.

The interval of a pixel is :math:`x \pm q s`, clipped to the bounds of the unknown, with the standard deviation s and
the normal quantile q of its level. A pixel at x = 0 thus has the one-sided interval [0, q s]. Coverage holds across the
map: of all pixels that contain the element, the share of the level has the truth in its interval; a single pixel near
an edge may miss it in most recordings. Source: D. Nychka, J. Am. Stat. Assoc. 83, 1134 (1988).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from fusionkit.terms import Array


@dataclass(frozen=True)
class Uncertainty:
    """Error bars of fused maps."""

    method: str  # ``curvature`` or ``bootstrap``
    standard_deviation: Array  # of the error of each value, bias included, of the shape and in the units of the unknown
    interval: float  # the level of intervals
    seconds: float  # time of the estimate
    facts: Mapping[str, float] = field(default_factory=dict)  # numbers of the method by name
    notes: tuple[str, ...] = ()  # for the user, a sentence each

    @property
    def reach(self) -> float:
        """Half width of an interval in standard deviations."""
        return quantile(self.interval)

    def plain(self, labels: tuple[str, ...]) -> dict[str, Any]:
        """Plain YAML types for ``summary.json``."""
        means = np.sqrt(np.mean(np.square(self.standard_deviation, dtype=np.float64), axis=(1, 2)))
        rms = {label: float(value) for label, value in zip(labels, means, strict=True)}
        about = {"method": self.method, "interval": self.interval, "seconds": self.seconds, **self.facts}
        return {**about, "rms_standard_deviation": rms}


def quantile(level: float) -> float:
    """Half width of a two-sided normal interval of this level in standard deviations: 1.645 for 0.9."""
    return NormalDist().inv_cdf(0.5 + 0.5 * level)


def intervals(
    x: Array, standard_deviation: Array, level: float = 0.9, lower: float | Array = 0.0, upper: float | Array = np.inf
) -> tuple[Array, Array]:
    """Lower and upper end of intervals that cover a share ``level`` of the pixels, within the bounds."""
    reach = quantile(level) * standard_deviation
    return np.maximum(x - reach, lower), np.minimum(x + reach, upper)


def coverage(low: Array, high: Array, truth: Array) -> Array:
    """For each element, the share of its pixels (truth > 0) whose truth is in the interval; NaN without such pixels.

    A pixel without the element would always count as covered at x = 0, which says nothing about the intervals.
    """
    held = truth > 0
    inside = (low <= truth) & (truth <= high) & held
    counts = held.sum(axis=(1, 2))
    return np.divide(inside.sum(axis=(1, 2)), counts, out=np.full(len(truth), np.nan), where=counts > 0)
