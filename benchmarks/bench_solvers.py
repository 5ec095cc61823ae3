"""Time and iterations of every solver to three distances from the optimum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import Timer, composed
from benchmarks.problems import CASES, Scale, case, scale
from fusionkit.compose_problem import make_solver
from fusionkit.convergence_checks import Check
from fusionkit.loop import solve
from fusionkit.reconstruct import starting_point
from fusionkit.registry import table

SIZES = {"full": [256], "quick": [64]}
GAPS = (1e-2, 1e-3, 1e-4)
_DEFAULT = "chambolle_pock"
# chambolle_pock has few checks by default; lbfgsb derives its smoothing from the tolerance and is checked only between
# runs of SciPy
_OWN: dict[str, dict[str, Any]] = {
    _DEFAULT: {"check_every": 10},
    "lbfgsb": {"tolerance": 1e-4, "inner_iterations": 30},
}


def first_below(trace: Mapping[str, Any], measure: Scale, gap: float) -> tuple[float, int] | None:
    """Seconds and iterations at the first check within the gap; None if there is none."""
    below = np.flatnonzero((trace["objective"] - measure.best) / (measure.at_maps - measure.best) <= gap)
    return (float(trace["seconds"][below[0]]), int(trace["iteration"][below[0]])) if below.size else None


@pytest.mark.benchmark(group="solvers")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("solver", table("solvers"))
def test_time_to_optimum(benchmark: Timer, solver: str, name: str, engine: str, size: int, quick: bool) -> None:
    if engine != "auto" and solver != _DEFAULT:
        pytest.skip("engines are compared on the default solver")
    chosen, measure = case(name, size), scale(name, size)
    problem = composed(chosen.dataset, chosen.terms, engine)
    start = starting_point("auto", problem, chosen.dataset)
    own = {"tolerance": 0.0, **_OWN.get(solver, {})}
    solve(problem, make_solver(solver, max_iterations=1, **own), start)  # compiles
    chosen_solver = make_solver(solver, max_iterations=100_000, time_limit=2.0 if quick else 15.0, **own)
    traces: list[Mapping[str, Any]] = []

    def run() -> None:
        reached = [False]

        def watch(check: Check) -> None:
            reached[0] = measure.gap(check.objective) <= GAPS[-1]

        result = solve(problem, chosen_solver, start, watch, lambda: reached[0])
        traces.append(result.trace)

    benchmark.pedantic(run, rounds=5 if solver == _DEFAULT else 1)
    trace = sorted(traces, key=lambda one: one["seconds"][-1])[len(traces) // 2]
    benchmark.extra_info.update(
        solver=solver,
        name=name,
        engine=engine,
        size=problem.shape[-1],
        reached={f"{gap:g}": first_below(trace, measure, gap) for gap in GAPS},
        seconds=trace["seconds"].tolist(),
        gaps=[measure.gap(float(value)) for value in trace["objective"]],
        optimality=float(trace["optimality"][-1]),
        best=measure.best,
        at_maps=measure.at_maps,
    )
