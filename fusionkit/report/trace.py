r"""The trace of a solve with estimates between the checks, and its status as text.

Between checks, values are estimated from a sample of the rows; their error changes slowly from one iteration to the
next. With the value s of the sample and v of all rows, both known at some checks c, the value in between is about

.. math:: v(k) \approx s(k) + \mathrm{interp}_c(v - s)(k).

For the numbers of the certificate, which fall by decades, the same is done with their logarithms.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fusionkit.result import Result, Status
from fusionkit.terms import Array

CERTIFICATE_PARTS = ("stationarity", "alignment", "feasibility")


def interpolate_trace(trace: Mapping[str, Array], looks: Mapping[str, Array]) -> dict[str, Array]:
    """The columns of the trace with estimates at the iterations between the checks.

    Parameters
    ----------
    trace : columns of a result, one entry a check.
    looks : estimates of the same columns between the checks; may be empty. Columns whose length does not match the
        iterations, as in a damaged file, are omitted.
    """
    checks, sampled = trace.get("iteration", np.zeros(0)), looks.get("iteration", np.zeros(0))
    in_both = np.isin(checks, sampled)
    if not in_both.any():
        return dict(trace)
    between = ~np.isin(sampled, checks)
    order = np.argsort(np.concatenate([checks, sampled[between]]), kind="stable")
    columns = {}
    for name, exact in trace.items():
        estimate = looks.get(name)  # None for fitted parameters, which only checks record
        if estimate is None or estimate.shape != sampled.shape or exact.shape != checks.shape:
            continue
        if name not in ("iteration", "seconds"):
            estimate = _correct(
                estimate, sampled, exact[in_both], checks[in_both], name in ("optimality", *CERTIFICATE_PARTS)
            )
        columns[name] = np.concatenate([exact, estimate[between]])[order]
    return columns


def _correct(estimate: Array, sampled: Array, exact: Array, checks: Array, is_factor: bool) -> Array:
    """The estimates at the iterations ``sampled``, corrected so that they agree with the checks."""
    at_checks = estimate[np.searchsorted(sampled, checks)]  # also where a file has an iteration twice
    if not is_factor:
        return estimate + np.interp(sampled, checks, exact - at_checks)
    positive = (exact > 0.0) & (at_checks > 0.0)
    if not positive.any():
        return estimate
    return estimate * np.exp(np.interp(sampled, checks[positive], np.log(exact[positive] / at_checks[positive])))


def needs_log_axis(curves: Sequence[Array]) -> bool:
    """Whether the values of some curves are positive and span many decades."""
    values = np.concatenate([np.zeros(0), *curves])
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0.0 and values.max() > 30.0 * values.min())


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
