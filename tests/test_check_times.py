"""When a solve is checked: the budget, the credit near the tolerance, and whole solves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusionkit.certificate import Certificate, certify
from fusionkit.compose_problem import compose, make_solver
from fusionkit.convergence_checks import LOOK, Schedule
from fusionkit.loop import solve
from fusionkit.problem import Problem
from fusionkit.reconstruct import prepare, starting_point
from fusionkit.result import Result, Status
from fusionkit.solver import fit
from fusionkit.terms import Array

pytest.importorskip("numba", reason="looks take samples by compiled kernels")


def places(optimality: list[float], tolerance: float = 1e-4) -> list[int]:
    """The iterations with checks in a solve whose looks give these values."""
    schedule = Schedule(tolerance)
    schedule.checked()  # the starting point
    result = []
    for index, value in enumerate(optimality, start=1):
        if schedule.due(index * LOOK, Certificate(value, value / 10, index * 1e-9)):
            schedule.checked()
            result.append(index * LOOK)
    return result


def test_checks_of_a_long_solve_are_within_the_budget_and_enough_for_a_curve() -> None:
    actual = places(list(np.geomspace(1.0, 2e-4, 100)))
    spent = 0.2 * 100 + 1.1 * (1 + len(actual))  # iterations that looks and checks take
    assert 0.03 * 1000 < spent <= 0.05 * 1000
    assert actual[0] <= 150
    assert max(np.diff(actual)) <= 150


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99])
def test_a_check_follows_the_first_look_that_may_meet_the_tolerance(rate: float) -> None:
    seen = [rate**k for k in range(1, 2000)]
    first = next(k for k, value in enumerate(seen, start=1) if value <= 1.15e-4) * LOOK
    assert first in places(seen[: first // LOOK])


def test_looks_that_mislead_use_up_their_credit() -> None:
    actual = places([5e-5] * 500)
    assert len(actual) <= 2 + 0.03 * 5000 / 1.1


@pytest.mark.parametrize("values", [[np.nan], [np.inf]])
def test_what_is_no_number_is_checked_at_once(values: list[float]) -> None:
    assert places(values) == [LOOK]


def phantom(penalty: str = "tv", size: int = 64, dtype: str = "single", **options: Any) -> tuple[Problem, Array]:
    phantom = f"{{preset: cos_nanoparticle, size: {size}, seed: 0}}"
    dataset = prepare("cos_nanoparticle", (f"data.phantom={phantom}",)).dataset
    terms = [
        {"type": "haadf", "weight": 1.148e-3, "gamma": 1.7, "z": "relative"},
        {"type": "poisson", "weight": 1.0, "epsilon": 0.1},
        {"type": penalty, "weight": 0.3},
        {"type": "nonnegative"},
    ]
    problem = compose(dataset, terms, **{"precision": dtype, **options})
    return problem, starting_point("auto", problem, dataset)


def solved(problem: Problem, start: Array, **options: Any) -> Result:
    return solve(problem, make_solver("chambolle_pock", max_iterations=3000, **options), start)


@pytest.mark.parametrize("penalty", ["tv", "tgv"])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-4, 1e-5])
def test_the_certificate_at_the_end_is_of_the_whole_and_certifies(penalty: str, tolerance: float) -> None:
    problem, start = phantom(penalty, dtype="double")
    result = solved(problem, start, tolerance=tolerance)
    assert result.status is Status.CONVERGED
    split = fit(make_solver("chambolle_pock"), problem)
    auxiliary = tuple(result.auxiliary.get(term.name, np.zeros(0)) for term in split.coupling.terms)
    actual = certify(split, result.x, auxiliary, tuple(result.duals[term.name] for term in split.coupling.terms))
    assert actual.optimality <= tolerance
    assert result.optimality == pytest.approx(actual.optimality, rel=1e-6)
    assert result.objective == pytest.approx(result.trace["objective"][-1], rel=1e-14)


@pytest.mark.parametrize("penalty", ["tv", "tgv"])
def test_fewer_checks_and_hardly_more_iterations_than_with_a_check_at_every_look(penalty: str) -> None:
    problem, start = phantom(penalty)
    every, few = solved(problem, start, check_every=LOOK), solved(problem, start)
    assert every.trace["iteration"].tolist() == list(range(0, every.iterations + 1, LOOK))
    assert len(few.trace["iteration"]) < max(4, 0.6 * len(every.trace["iteration"]))
    assert few.iterations <= 1.2 * every.iterations
    assert few.objective == pytest.approx(every.objective, rel=1e-5)


@pytest.mark.parametrize("penalty", ["tv", "tgv"])
def test_two_runs_and_any_threads_give_the_same_bits(penalty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, start = phantom(penalty)
    results = []
    for threads in ("1", "1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        results.append(solved(problem, start, tolerance=1e-4))
    for other in results[1:]:
        np.testing.assert_array_equal(other.x, results[0].x)
        for name in ("iteration", "objective", "optimality"):
            assert other.trace[name].tolist() == results[0].trace[name].tolist()


@pytest.mark.parametrize("every", [1, 7, 25])
def test_an_interval_that_is_asked_for_is_kept(every: int) -> None:
    problem, start = phantom()
    result = solved(problem, start, tolerance=1e-3, check_every=every)
    assert result.trace["iteration"].tolist() == list(range(0, result.iterations + 1, every))


def test_numpy_checks_at_every_look() -> None:
    problem, start = phantom(engine="numpy")
    result = solved(problem, start, tolerance=1e-3)
    assert result.trace["iteration"].tolist() == list(range(0, result.iterations + 1, LOOK))


@pytest.mark.parametrize("penalty", ["tv", "tgv"])
def test_a_solve_that_cannot_improve_is_found_stalled(penalty: str) -> None:
    """At the floor of single precision, a solve continues for at most half of its looks."""
    problem, start = phantom(penalty, size=32)
    result = solve(problem, make_solver("chambolle_pock", tolerance=0.0, max_iterations=60000), start)
    assert result.status is Status.STALLED
    assert result.optimality < 1e-4


def test_an_interrupt_at_a_look_takes_no_further_iteration() -> None:
    problem, start = phantom()
    polls = iter(range(1000))
    solver = make_solver("chambolle_pock", tolerance=1e-9)
    result = solve(problem, solver, start, stop_requested=lambda: next(polls) == 2 * LOOK)
    assert (result.status, result.iterations) == (Status.INTERRUPTED, 2 * LOOK)
    assert result.trace["iteration"].tolist() == [0, 2 * LOOK]
