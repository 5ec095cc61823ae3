r"""The course of a solve for figures: its checks, and between them what a sample of the rows says.

A sample is off by nearly the same from one iteration to the next. With s its value and v that of the whole, both known
at some checks c, the value between them is about

.. math:: v(k) \approx s(k) + \mathrm{interp}_c(v - s)(k)

and for the numbers of the certificate, which fall by decades, the same of their logarithms.

The verdict of a solve on one line, the head of every figure.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fusionkit.result import Result, Status
from fusionkit.terms import Array

_FACTORS = ("optimality", "stationarity", "alignment", "feasibility")


def filled(trace: Mapping[str, Array], looks: Mapping[str, Array]) -> dict[str, Array]:
    """The columns of the trace with estimates at the iterations of the looks.

    Parameters
    ----------
    trace : columns of a result, one entry a check.
    looks : the same columns at looks, about; may be empty. A column of another length than its iterations, as a
        damaged file may hold, is left out.
    """
    checked, seen = trace.get("iteration", np.zeros(0)), looks.get("iteration", np.zeros(0))
    both = np.isin(checked, seen)
    if not both.any():
        return dict(trace)
    between = ~np.isin(seen, checked)
    order = np.argsort(np.concatenate([checked, seen[between]]), kind="stable")
    found = {}
    for name, whole in trace.items():
        sample = looks.get(name)  # None for fitted parameters, which checks alone look at
        if sample is None or sample.shape != seen.shape or whole.shape != checked.shape:
            continue
        if name not in ("iteration", "seconds"):
            sample = _corrected(sample, seen, whole[both], checked[both], name in _FACTORS)
        found[name] = np.concatenate([whole, sample[between]])[order]
    return found


def _corrected(sample: Array, seen: Array, whole: Array, checked: Array, factors: bool) -> Array:
    """The sample's values at the looks ``seen``, so that those at the checks are those of the whole."""
    there = sample[np.isin(seen, checked)]
    if not factors:
        return sample + np.interp(seen, checked, whole - there)
    known = (whole > 0.0) & (there > 0.0)
    if not known.any():
        return sample
    return sample * np.exp(np.interp(seen, checked[known], np.log(whole[known] / there[known])))


STATUS_WORDS = {
    Status.CONVERGED: "Converged",
    Status.MAX_ITERATIONS: "Not converged",
    Status.STALLED: "Stalled",
    Status.DIVERGED: "Diverged",
    Status.INTERRUPTED: "Interrupted",
}


def status_line(result: Result) -> str:
    """Status, iterations, objective and optimality."""
    return (
        f"{STATUS_WORDS[result.status]} after {result.iterations} iterations   ·   objective {result.objective:.7g}"
        f"   ·   optimality {result.optimality:.2g}"
    )
