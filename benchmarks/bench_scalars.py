"""The cost of an author's own loss: an iteration with the Poisson term written as scalars, and with the built-in."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import pytest

from benchmarks.harness import Timer, composed
from benchmarks.own_loss import rewritten
from benchmarks.problems import case
from fusionkit.compose_problem import make_solver
from fusionkit.reconstruct import starting_point
from fusionkit.solver import fit

SIZES = {"full": [1024], "quick": [256]}


@pytest.mark.benchmark(group="scalars")
def test_own_loss(benchmark: Timer, size: int) -> None:
    chosen = case("nanoparticle_fractions", size)
    built_in = composed(chosen.dataset, chosen.terms)
    solver, turns = make_solver("chambolle_pock"), []
    for problem in (built_in, rewritten(built_in)):
        split = fit(solver, problem)
        state = solver.step(split, solver.init(split, starting_point("maps", problem, chosen.dataset)))
        turns.append((split, [state], []))

    def in_turns() -> None:
        for split, states, spent in turns:
            began = perf_counter()
            states[0] = solver.step(split, states[0])
            spent.append(perf_counter() - began)

    benchmark.pedantic(in_turns, rounds=30, warmup_rounds=3)
    first, second = (median(spent) for _, _, spent in turns)
    benchmark.extra_info.update(size=size, built_in=first, own=second)
