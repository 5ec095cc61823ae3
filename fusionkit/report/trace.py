r"""A solve for figures and pages: its status in a line, and its trace with estimates between the checks.

Between checks, a sample of the rows gives values whose error hardly changes from one iteration to the next. With s the
value of the sample and v that of the whole, both known at some checks c, the value between these is about

.. math:: v(k) \approx s(k) + \mathrm{interp}_c(v - s)(k),

and for the numbers of the certificate, which fall by decades, the same of their logarithms.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fusionkit.result import Result, Status
from fusionkit.terms import Array

_FACTORS = ("optimality", "stationarity", "alignment", "feasibility")


def interpolate_trace(trace: Mapping[str, Array], looks: Mapping[str, Array]) -> dict[str, Array]:
    """The columns of the trace with estimates at the iterations between the checks.

    Parameters
    ----------
    trace : columns of a result, one entry a check.
    looks : estimates of the same columns between the checks; may be empty. A column whose length does not match the
        iterations, as in a damaged file, is left out.
    """
    checked, seen = trace.get("iteration", np.zeros(0)), looks.get("iteration", np.zeros(0))
    both = np.isin(checked, seen)
    if not both.any():
        return dict(trace)
    between = ~np.isin(seen, checked)
    order = np.argsort(np.concatenate([checked, seen[between]]), kind="stable")
    found = {}
    for name, whole in trace.items():
        sample = looks.get(name)  # None for fitted parameters, which only checks record
        if sample is None or sample.shape != seen.shape or whole.shape != checked.shape:
            continue
        if name not in ("iteration", "seconds"):
            sample = _corrected(sample, seen, whole[both], checked[both], name in _FACTORS)
        found[name] = np.concatenate([whole, sample[between]])[order]
    return found


def _corrected(sample: Array, seen: Array, whole: Array, checked: Array, factors: bool) -> Array:
    """The values of the sample at the iterations ``seen``, corrected so that they agree with the checks."""
    at_checks = sample[np.isin(seen, checked)]
    if not factors:
        return sample + np.interp(seen, checked, whole - at_checks)
    known = (whole > 0.0) & (at_checks > 0.0)
    if not known.any():
        return sample
    return sample * np.exp(np.interp(seen, checked[known], np.log(whole[known] / at_checks[known])))


STATUS_WORDS = {
    Status.CONVERGED: "Converged",
    Status.MAX_ITERATIONS: "Not converged",
    Status.STALLED: "Stalled",
    Status.DIVERGED: "Diverged",
    Status.INTERRUPTED: "Interrupted",
}


def status_line(result: Result) -> str:
    """Status, iterations, objective and optimality in one line, the heading of every figure."""
    return (
        f"{STATUS_WORDS[result.status]} after {result.iterations} iterations   ·   objective {result.objective:.7g}"
        f"   ·   optimality {result.optimality:.2g}"
    )
