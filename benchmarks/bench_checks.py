"""What knowing costs: iterations with objective and certificate at the default interval, against the bare ones."""

from __future__ import annotations

import pytest

from benchmarks.harness import Timer, composed
from benchmarks.problems import case
from fusionkit.composition import make_solver
from fusionkit.loop import solve
from fusionkit.start import starting_point

SIZES = {"full": [256, 1024], "quick": [64, 256]}


@pytest.mark.benchmark(group="checks")
def test_iterations_with_checks(benchmark: Timer, size: int) -> None:
    chosen = case("nanoparticle_fractions", size)
    problem = composed(chosen.dataset, chosen.terms)
    start = starting_point("maps", problem, chosen.dataset)
    steps = 100 if size <= 256 else 50
    solver = make_solver("chambolle_pock", tolerance=0.0, max_iterations=steps)
    result = benchmark.pedantic(solve, (problem, solver, start), rounds=5 if size <= 256 else 3, warmup_rounds=1)
    assert result.iterations == steps
    benchmark.extra_info.update(engine="auto", size=size, iterations=steps, checks=len(result.trace["iteration"]))
