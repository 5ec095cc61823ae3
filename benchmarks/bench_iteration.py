"""One iteration of the default solver, and the least number of bytes that it moves per second."""

from __future__ import annotations

import pytest

from benchmarks.harness import BYTES_PER_VOXEL, Timer, composed
from benchmarks.problems import case
from fusionkit.compose_problem import make_solver
from fusionkit.reconstruct import starting_point
from fusionkit.solver import fit

SIZES = {"full": [256, 1024, 4096], "quick": [64, 128, 256]}


@pytest.mark.benchmark(group="iteration")
def test_iteration(benchmark: Timer, engine: str, size: int) -> None:
    chosen = case("nanoparticle_fractions", size)
    problem = composed(chosen.dataset, chosen.terms, engine)
    solver = make_solver("chambolle_pock")
    split = fit(solver, problem)
    states = [solver.init(split, starting_point("maps", problem, chosen.dataset))]
    steps = max(1, 1024 // size)

    def iterate() -> None:
        for _ in range(steps):
            states[0] = solver.step(split, states[0])

    benchmark.pedantic(iterate, rounds=5 if size > 1024 else 20, warmup_rounds=1)
    moved = BYTES_PER_VOXEL * problem.size * steps
    benchmark.extra_info.update(engine=engine, size=size, iterations=steps, voxels=problem.size, bytes=moved)
