"""Charts of the solve: the objective and its terms, the objective above its lowest value, the optimality."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fusionkit.report.content import Chart, Curve, Section
from fusionkit.report.trace import CERTIFICATE_PARTS, interpolate_trace, needs_log_axis
from fusionkit.results.record import RunRecord, tolerance_of
from fusionkit.terms import Array

_TERM = "term."


def convergence_section(record: RunRecord) -> Section | None:
    """Up to three charts against the iteration; None without a trace."""
    trace = interpolate_trace(record.result.trace, record.result.looks)
    x = [float(value) for value in trace.get("iteration", ())]
    if not x:
        return None
    charts = [_terms(trace, x, record.term_weights)]
    gap = gap_curve("objective", x, trace["objective"]) if "objective" in trace else None
    if gap is not None:
        charts.append(Chart("Objective above its lowest value", "iteration", "(F − Fmin) / |Fmin|", (gap,), log=True))
    charts += _optimality(trace, x, record.resolved_config)
    return Section("Convergence", tuple(charts), record.result.message + _checks(record))


def _checks(record: RunRecord) -> str:
    """A sentence on the estimates between the checks; empty if there are none."""
    if not record.result.looks:
        return ""
    places = ", ".join(f"{place:.0f}" for place in record.result.trace["iteration"])
    return f". All rows were checked at {places}; the values in between are estimates from a sample of the rows."


def gap_curve(name: str, x: list[float], objective: Array, lowest: float | None = None) -> Curve | None:
    """(F - Fmin) / |Fmin| over iterations or seconds as a curve, Fmin = ``lowest`` or min F; None for a constant F."""
    finite = objective[np.isfinite(objective)]
    if not finite.size:
        return None
    least = float(finite.min()) if lowest is None else lowest
    gap = (np.asarray(objective, np.float64) - least) / (abs(least) or 1.0)
    return Curve(name, x, gap.tolist(), "bold") if np.any(gap > 0.0) else None


def _terms(trace: Mapping[str, Array], x: list[float], weights: Mapping[str, float]) -> Chart:
    curves = [Curve("objective", x, trace["objective"].tolist(), "bold")] if "objective" in trace else []
    for column, values in trace.items():
        if column.startswith(_TERM):
            term = column.removeprefix(_TERM)
            weight = f", weight {weights[term]:g}" if term in weights else ""
            curves.append(Curve(term + weight, x, values.tolist()))
    log = needs_log_axis([np.asarray(curve.y, np.float64) for curve in curves])
    return Chart("Objective and its terms", "iteration", "weighted value", tuple(curves), log)


def _optimality(trace: Mapping[str, Array], x: list[float], config: Mapping[str, Any]) -> list[Chart]:
    curves = [Curve("optimality", x, trace["optimality"].tolist(), "bold")] if "optimality" in trace else []
    curves += [
        Curve(part, x, trace[part].tolist())
        for part in CERTIFICATE_PARTS
        if part in trace and np.any(trace[part] > 0.0)
    ]
    tolerance = tolerance_of(config)
    if tolerance is not None:
        curves.append(Curve(f"tolerance {tolerance:g}", x, [tolerance] * len(x), "dashed"))
    if not curves:
        return []
    return [Chart("Optimality and its parts", "iteration", "relative optimality", tuple(curves), log=True)]
