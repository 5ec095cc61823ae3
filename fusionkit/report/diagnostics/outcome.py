"""Diagnostics of the solve: it did not converge, a faint map is inaccurate, error bars are missing."""

from collections.abc import Iterator, Mapping

import numpy as np

from fusionkit.result import Status
from fusionkit.results.record import Diagnostic, RunRecord, terms_of, tolerance_of, warning

# optimality times the ratio of brightest to faintest map: at 0.01 the error of the faint one is 0.5 to 0.8 %, at 0.1 it
# is 2 to 5 %, at 10 it is 9 to 74 %
_FAINT = 0.05


def outcome(record: RunRecord) -> Iterator[Diagnostic]:
    """A warning for each of these."""
    result = record.result
    reached = f"optimality {result.optimality:.1e}" + _against_tolerance(record.resolved_config)
    texts = {
        Status.MAX_ITERATIONS: f"Not converged: {reached} after {result.iterations} iterations, the limit; "
        f"raise solver.{_limit(record)}.",
        Status.STALLED: f"Stalled at {reached}: no step of {_solver(record)} improves it further; "
        "try precision: double or another solver.",
        Status.DIVERGED: f"Diverged: {_broken(record)}; the maps are meaningless.{_unbounded(record)}",
        Status.INTERRUPTED: f"Interrupted at {reached}: these are the best maps so far, not the solution.",
    }
    if result.status in texts:
        yield warning(texts[result.status])
    yield from _faint(record)
    options = record.resolved_config.get("uncertainty")
    is_explained = result.status in (Status.DIVERGED, Status.INTERRUPTED)  # by the warning above
    if (
        not is_explained
        and isinstance(options, Mapping)
        and options.get("method", "none") != "none"
        and record.uncertainty is None
    ):
        yield warning("The run ended before its error bars were computed: there are none.")


def _faint(record: RunRecord) -> Iterator[Diagnostic]:
    """A warning for each map that carries little weight in the certificate."""
    result = record.result
    if result.status is not Status.CONVERGED or result.x.ndim != 3 or len(result.x) < 2:
        return
    sizes = np.sqrt(np.einsum("iyx,iyx->i", result.x, result.x, dtype=np.float64))  # no copy of the maps
    brightest = int(np.argmax(sizes))
    for name, size in zip(result.labels, sizes, strict=True):
        if size > 0.0 and result.optimality * sizes[brightest] > _FAINT * size:
            yield warning(
                f"The map of {name} may be far from its optimum: its norm is 1/{sizes[brightest] / size:.0f} of that "
                f"of {result.labels[brightest]}, and the certificate covers all maps together; lower solver.tolerance."
            )


def _broken(record: RunRecord) -> str:
    nan = [
        name for name, value in record.result.trace.items() if name.startswith("term.") and np.isnan(value[-1:]).any()
    ]
    return f"{nan[0]} is not a number" if nan else "the objective grew without bound"


def _unbounded(record: RunRecord) -> str:
    """A sentence if x may be negative, where logarithms and powers are undefined."""
    types = {term.get("type") for term in terms_of(record.resolved_config)}
    is_unbounded = types & {"haadf", "poisson"} and not types & {"nonnegative", "box"}
    return " There is no term nonnegative: logarithms and powers need x >= 0." if is_unbounded else ""


def _solver(record: RunRecord) -> str:
    solver = record.resolved_config.get("solver")
    return str(solver.get("type", "the solver")) if isinstance(solver, Mapping) else "the solver"


def _limit(record: RunRecord) -> str:
    """The solver option that ended the solve."""
    solver = record.resolved_config.get("solver")
    most = solver.get("max_iterations") if isinstance(solver, Mapping) else None
    return "time_limit" if isinstance(most, int) and record.result.iterations < most else "max_iterations"


def _against_tolerance(config: Mapping[str, object]) -> str:
    tolerance = tolerance_of(config)
    return "" if tolerance is None else f" (tolerance {tolerance:g})"
