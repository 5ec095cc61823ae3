"""The cost of checks: their share in the processor time of a certified solve."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import pytest

from benchmarks.harness import Timer, composed
from benchmarks.problems import case
from fusionkit.compose_problem import make_solver
from fusionkit.loop import solve
from fusionkit.problem import Problem
from fusionkit.reconstruct import starting_point
from fusionkit.result import Result
from fusionkit.terms import Array

WORK = {
    "full": [
        ("nanoparticle_counts", 256, "tv"),
        ("nanoparticle_fractions", 256, "tv"),
        ("dysco3", 256, "tv"),
        ("nanoparticle_fractions", 1024, "tv"),
        ("nanoparticle_fractions", 256, "tgv"),
        ("dysco3", 256, "tgv"),
    ],
    "quick": [("nanoparticle_counts", 256, "tv"), ("dysco3", 256, "tv"), ("nanoparticle_fractions", 256, "tgv")],
}


def timed_solve(problem: Problem, start: Array, shares: list[float]) -> Result:
    """The certified result; appends the share of the time after the initial state that is not spent in iterations."""
    solver: Any = make_solver("chambolle_pock", tolerance=1e-4, max_iterations=5000)
    spent: list[float] = []

    def timed(iterate: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*arguments: Any) -> Any:
            began = process_time()
            state = iterate(*arguments)
            spent.append(process_time() - began)
            return state

        return timing

    solver.step, solver.step_unrelaxed = timed(solver.step), timed(solver.step_unrelaxed)
    begins: list[float] = []
    ends: list[float] = []
    init = solver.init

    def begin(*arguments: Any) -> Any:
        state = init(*arguments)
        begins.append(process_time())
        return state

    solver.init = begin
    result = solve(problem, solver, start, lambda check: ends.append(process_time()))
    shares.append(1.0 - sum(spent) / (ends[-1] - begins[0]))
    return result


@pytest.mark.benchmark(group="checks")
def test_share_of_checks(benchmark: Timer, work: tuple[str, int, str]) -> None:
    name, size, penalty = work
    chosen = case(name, size)
    terms = [{**term, "type": penalty} if term["type"] == "tv" else term for term in chosen.terms]
    problem = composed(chosen.dataset, terms)
    start, shares = starting_point("auto", problem, chosen.dataset), []
    rounds = 3 if penalty == "tgv" or size > 256 else 9
    result = benchmark.pedantic(timed_solve, (problem, start, shares), rounds=rounds, warmup_rounds=1)
    benchmark.extra_info.update(
        name=name,
        size=size,
        engine="auto",
        penalty=penalty,
        share=median(shares[1:]),
        iterations=result.iterations,
        checks=len(result.trace["iteration"]),
    )
