"""Diagnostics of the solve: not converged, a faint map, missing error bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fusionkit.report.diagnostics.sentences import warning
from fusionkit.result import Status
from fusionkit.results.record import Diagnostic, RunRecord

# Optimality times the ratio of brightest to faintest map: 0.01 leaves errors of 0.5 to 0.8 % in the faint one, 0.1 of 2
# to 5 %, 10 of 9 to 74 %.
_FAINT = 0.05


def outcome(record: RunRecord) -> Iterator[Diagnostic]:
    """Warnings about a solve that did not converge, a faint map, and missing error bars."""
    result = record.result
    reached = f"optimality {result.optimality:.1e}" + _above(record.resolved_config)
    texts = {
        Status.MAX_ITERATIONS: f"Not converged: {reached} after {result.iterations} iterations, the limit; "
        f"raise solver.{_limit(record)}.",
        Status.STALLED: f"Stalled at {reached}: no step improves it any more; try precision: double or another solver.",
        Status.DIVERGED: f"Diverged: {_broken(record)}; the maps mean nothing.{_unbounded(record)}",
        Status.INTERRUPTED: f"Interrupted at {reached}: these are the best maps until then, not the solution.",
    }
    if result.status in texts:
        yield warning(texts[result.status])
    yield from _faint(record)
    wanted = record.resolved_config.get("uncertainty")
    ended = result.status not in (Status.DIVERGED, Status.INTERRUPTED)  # else the note on the status explains it
    if ended and isinstance(wanted, Mapping) and wanted.get("method", "none") != "none" and record.uncertainty is None:
        yield warning("The run ended before its error bars were done: there are none.")


def _faint(record: RunRecord) -> Iterator[Diagnostic]:
    """A warning about a map with little weight in the certificate of all maps."""
    result = record.result
    if result.status is not Status.CONVERGED or result.x.ndim != 3 or len(result.x) < 2:
        return
    sizes = np.sqrt(np.einsum("iyx,iyx->i", result.x, result.x, dtype=np.float64))  # no copy of the maps
    brightest = int(np.argmax(sizes))
    for name, size in zip(result.labels, sizes, strict=True):
        if size > 0.0 and result.optimality * sizes[brightest] > _FAINT * size:
            yield warning(
                f"The map of {name} may be far from its optimum: it holds 1/{sizes[brightest] / size:.0f} of "
                f"{result.labels[brightest]}, and the certificate is of all maps together; lower solver.tolerance."
            )


def _broken(record: RunRecord) -> str:
    nan = [
        name for name, value in record.result.trace.items() if name.startswith("term.") and np.isnan(value[-1:]).any()
    ]
    return f"{nan[0]} is no number" if nan else "the objective grew beyond all proportion"


def _unbounded(record: RunRecord) -> str:
    """Counts and powers are defined for x >= 0 only."""
    terms = record.resolved_config.get("terms", ())
    types = {term.get("type") for term in terms if isinstance(term, Mapping)} if isinstance(terms, list) else set()
    lacks = types & {"haadf", "poisson"} and not types & {"nonnegative", "box"}
    return " There is no term nonnegative: logarithms and powers need x >= 0." if lacks else ""


def _limit(record: RunRecord) -> str:
    """The option of the solver that stopped it."""
    solver = record.resolved_config.get("solver")
    most = solver.get("max_iterations") if isinstance(solver, Mapping) else None
    return "time_limit" if isinstance(most, int) and record.result.iterations < most else "max_iterations"


def _above(config: Mapping[str, object]) -> str:
    solver = config.get("solver")
    tolerance = solver.get("tolerance") if isinstance(solver, Mapping) else None
    return f" (tolerance {tolerance:g})" if isinstance(tolerance, int | float) else ""
