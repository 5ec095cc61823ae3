"""The loop: every status, the result of an early end, the trace, and unchanged inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from problems import MAPS, arrays, build, problem_of, taken

from fusionkit.compose_problem import compose, make_solver
from fusionkit.convergence_checks import LOOK, Check
from fusionkit.data.dataset import Dataset
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.loop import solve
from fusionkit.problem import Slots, Split
from fusionkit.registry import table
from fusionkit.result import Result, Status
from fusionkit.solver import Solver, SolverOptions, State, fit
from fusionkit.terms import Array, Smooth

SOLVERS = list(table("solvers"))
TRACE = {"iteration", "seconds", "objective", "optimality", "stationarity", "alignment", "feasibility"}


class Scripted(Solver[State]):
    """A solver whose step a test defines."""

    name = "scripted"
    slots = Slots(pixelwise=True)

    def __init__(self, change: Callable[[Array], Array], **options: Any) -> None:
        super().__init__(SolverOptions(**options))
        self.change = change

    def init(self, split: Split, x0: Array) -> State:
        coupling = split.coupling
        return State(x0.copy(), coupling.auxiliary_zeros(x0.dtype), coupling.zeros(x0.dtype))

    def step(self, split: Split, state: State) -> State:
        return replace(state, x=self.change(state.x))


def run(solver: str | Solver, problem: str = "fused", dtype: Any = np.float64, **options: Any) -> Result:
    built, start = build(problem, dtype)
    made = make_solver(solver, **options) if isinstance(solver, str) else solver
    return solve(built, made, start)


def test_converged_stops_at_the_first_check_below_the_tolerance() -> None:
    result = run("chambolle_pock", tolerance=1e-2, check_every=5)
    optimality = result.trace["optimality"]
    assert result.status is Status.CONVERGED
    assert optimality[-1] <= 1e-2 < optimality[:-1].min()
    assert result.optimality == optimality[-1]
    assert result.iterations % 5 == 0
    assert "converged" in result.message
    assert set(result.duals) == {"tv"}


@pytest.mark.parametrize("solver", SOLVERS)
def test_max_iterations(solver: str) -> None:
    result = run(solver, taken(solver, "fused"), tolerance=0.0, max_iterations=3, check_every=2)
    assert result.status is Status.MAX_ITERATIONS
    assert result.iterations <= 3
    assert result.trace["iteration"][-1] == result.iterations
    assert np.all(np.isfinite(result.x))


def test_the_time_limit_counts_as_a_limit() -> None:
    result = run("chambolle_pock", tolerance=0.0, time_limit=1e-9)
    assert (result.status, result.iterations) == (Status.MAX_ITERATIONS, 1)
    assert "the limit of time" in result.message


def test_stalled_when_nothing_moves() -> None:
    result = run(Scripted(lambda x: x, max_iterations=1000, check_every=1))
    assert result.status is Status.STALLED
    assert result.iterations == 2


def test_stalled_when_the_optimality_no_longer_improves() -> None:
    """Two alternating states: never equal, never better."""
    result = run(Scripted(lambda x: x + (0.1 if x.mean() < 1 else -0.1), max_iterations=5000, check_every=1))
    assert result.status is Status.STALLED
    assert result.iterations < 200


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name != "schwartz2022"])
def test_stalled_at_the_floor_of_single_precision(solver: str) -> None:
    """A tolerance that float32 cannot reach ends the solve near the optimum, as stalled."""
    result = run(solver, taken(solver, "vectorial_tv"), np.float32, tolerance=0.0, max_iterations=20000, check_every=4)
    assert result.status is Status.STALLED or result.optimality == 0.0
    assert result.optimality < 1e-4
    assert result.optimality < 10 * result.trace["optimality"].min()
    assert "no longer improves" in result.message or result.optimality == 0.0


@pytest.mark.parametrize(
    "change",
    [lambda x: 10 * x + 1, lambda x: x * np.nan, lambda x: x + np.inf],
    ids=["grows", "nan", "inf"],
)
def test_diverged_keeps_the_best_iterate(change: Callable[[Array], Array]) -> None:
    built, start = build("fused")
    result = run(Scripted(change, max_iterations=1000, check_every=1))
    assert result.status is Status.DIVERGED
    np.testing.assert_array_equal(result.x, start)
    assert result.objective == pytest.approx(built.value(start), rel=1e-12)
    assert np.isfinite(result.optimality)
    assert "best iterate" in result.message


class Broken(Smooth):
    """A term whose values are NaN beyond the starting point, or everywhere."""

    name = "broken"

    def __init__(self, start: Array | None) -> None:
        self.start = start

    def value(self, x: Array) -> float:
        return 0.0 if self.start is not None and np.array_equal(x, self.start) else float("nan")

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        return np.full_like(x, np.nan)


@pytest.mark.parametrize("solver", ["condat_vu", "proximal_gradient", "lbfgsb"])
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_term_that_is_no_number_ends_the_solve(solver: str, everywhere: bool) -> None:
    built, start = build("fused")
    problem = replace(built, terms=(Broken(None if everywhere else start), *built.terms))
    result = solve(problem, make_solver(solver), start)
    assert result.status in (Status.DIVERGED, Status.STALLED)
    assert result.optimality == np.inf
    if result.status is Status.DIVERGED and np.isnan(result.terms.get("broken", 0.0)):
        assert "the term broken is NaN" in result.message


@pytest.mark.parametrize("stop_at", [0, 1, 7, 20])
def test_interrupted_keeps_the_best_iterate(stop_at: int) -> None:
    built, start = build("fused")
    polls = iter(range(1000))
    result = solve(built, make_solver("chambolle_pock"), start, stop_requested=lambda: next(polls) == stop_at)
    judged = stop_at if stop_at % 10 == 0 else stop_at + 1  # the result gets one more iteration, unrelaxed
    assert (result.status, result.iterations) == (Status.INTERRUPTED, judged)
    assert result.trace["iteration"][-1] == judged
    assert result.objective == pytest.approx(result.trace["objective"].min(), rel=1e-14)
    assert result.objective == pytest.approx(built.value(result.x), rel=1e-12)


def test_the_best_iterate_is_not_the_last_one() -> None:
    """An objective that falls and then rises: the lowest check is kept, without the duals of another x."""
    counter = iter(range(100))
    result = run(Scripted(lambda x: x * (0.9 if next(counter) < 3 else 1.2), max_iterations=12, check_every=1))
    lowest = int(result.trace["objective"].argmin())
    assert 0 < lowest < 12
    assert result.objective == result.trace["objective"][lowest]
    assert result.optimality == result.trace["optimality"][lowest]
    assert not result.duals


def test_trace_columns_and_observer() -> None:
    seen: list[Check] = []
    built, start = build("fused")
    solver = make_solver("chambolle_pock", tolerance=0.0, max_iterations=25, check_every=10)
    result = solve(built, solver, start, seen.append)
    assert set(result.trace) == TRACE | {"term.haadf", "term.poisson", "term.tv"}
    assert result.trace["iteration"].tolist() == [0, 10, 20, 25]
    assert [check.iteration for check in seen] == [0, 10, 20, 25]
    assert all(len(column) == 4 for column in result.trace.values())
    assert np.all(np.diff(result.trace["seconds"]) >= 0)
    terms = sum(result.trace[f"term.{name}"] for name in ("haadf", "poisson", "tv"))
    np.testing.assert_allclose(terms, result.trace["objective"], rtol=1e-12)
    assert [check.optimality for check in seen] == result.trace["optimality"].tolist()
    assert seen[0].max_iterations == 25
    assert result.objective == pytest.approx(sum(result.terms.values()))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_stay_and_two_runs_give_the_same_bits(solver: str, dtype: Any) -> None:
    built, start = build(taken(solver, "fused"), dtype)
    kept = start.copy()
    made = make_solver(solver, tolerance=0.0, max_iterations=12)
    first, second = (solve(built, made, start) for _ in range(2))
    np.testing.assert_array_equal(start, kept)
    np.testing.assert_array_equal(first.x, second.x)
    assert first.trace["objective"].tolist() == second.trace["objective"].tolist()
    assert not np.shares_memory(first.x, start)


def test_starts_outside_the_bounds_or_of_another_type_are_brought_in() -> None:
    built, start = build("box", np.float32)
    result = solve(built, make_solver("chambolle_pock", max_iterations=1), 100 * start.astype(np.float64))
    assert result.x.dtype == np.float32
    assert result.x.max() <= np.float32(0.5)


BROKEN = {
    "tau and sigma": ("chambolle_pock", {"tau": 1.0, "sigma": 1.0}, "break tau sigma"),
    "sigma alone": ("chambolle_pock", {"sigma": 1e6}, "break tau sigma"),
    "tau": ("condat_vu", {"tau": 100.0}, "breaks 1/tau"),
    "step": ("proximal_gradient", {"step": 100.0}, "breaks step <= 1/L"),
}


@pytest.mark.parametrize(("solver", "options", "words"), BROKEN.values(), ids=BROKEN)
def test_warns_of_a_step_that_breaks_the_condition(solver: str, options: dict[str, Any], words: str) -> None:
    with pytest.warns(FusionkitWarning, match=words) as caught:
        run(solver, max_iterations=2, **options)
    assert len(caught) == 1
    assert f"solver {solver}" in str(caught[0].message)
    assert "; use " in str(caught[0].message)


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("chambolle_pock", {"tau": 0.1}),
        ("chambolle_pock", {"tau": 0.1, "sigma": 1.2}),
        ("condat_vu", {"tau": 1e-3}),
        ("condat_vu", {"sigma": 1e-3}),
        ("proximal_gradient", {"step": 1e-3}),
        ("admm", {"rho": 2.0}),
    ],
)
def test_keeps_a_user_s_step_that_is_fine(solver: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(solver, max_iterations=300, **options)
    used = dict(result.steps) | {"sigma": result.steps.get("sigma_0", options.get("sigma"))}
    assert {name: used[name] for name in options} == options


def test_a_solver_that_has_converged_at_the_start_says_so_at_the_first_check() -> None:
    result = solve(problem_of([MAPS]), make_solver("chambolle_pock"), arrays()["maps"])
    assert result.status is Status.CONVERGED
    assert result.objective == pytest.approx(0.0, abs=1e-20)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solve_goes_on_from_a_former_one(solver: str) -> None:
    """Every solver takes a former result and is done at once, and its input does not change."""
    built, start = build(taken(solver, "fused"), np.float64)
    made = make_solver(solver, tolerance=1e-4, max_iterations=3000)
    first = solve(built, made, start)
    kept = {name: dual.copy() for name, dual in first.duals.items()}
    again = solve(built, made, first.x, former=first)
    for name, dual in kept.items():
        np.testing.assert_array_equal(first.duals[name], dual)
    assert again.objective <= first.objective + 1e-3 * abs(first.objective)
    if solver != "schwartz2022":  # it starts its inner problem afresh in each step
        assert again.iterations <= LOOK
        assert again.optimality <= 1e-4
    if solver == "chambolle_pock":
        assert first.iterations > 4 * LOOK


def test_a_former_result_of_another_shape_is_no_start() -> None:
    built, start = build("tv_denoising", np.float64)
    made = make_solver("chambolle_pock", tolerance=1e-3)
    first = solve(built, made, start)
    other = replace(first, duals={name: dual[..., :-1] for name, dual in first.duals.items()}, steps={})
    assert solve(built, made, start, former=other).iterations == first.iterations


def test_a_start_of_another_shape_is_refused() -> None:
    data = Dataset({"maps": np.ones((2, 8, 8))}, ("Co", "O"))
    posed = compose(data, [{"type": "poisson"}, {"type": "tv", "weight": 0.1}, {"type": "nonnegative"}])
    with pytest.raises(UserError, match=r"x0: has the shape \(2, 64, 64\), but the unknown has \(2, 8, 8\)"):
        solve(posed, make_solver("chambolle_pock", tau=0.1), np.ones((2, 64, 64)))


def test_maps_without_a_name_are_refused() -> None:
    with pytest.raises(UserError, match=r"elements: names 1 \(Co\) for 2 maps"):
        Dataset({"maps": np.ones((2, 8, 8))}, ("Co",))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_leave_the_start_as_it_was(solver: str, dtype: Any) -> None:
    built, start = build(taken(solver, "fused"), dtype)
    kept, algorithm = start.copy(), make_solver(solver)
    split = fit(algorithm, built)
    state = algorithm.init(split, start)
    for _ in range(2):
        state = algorithm.step(split, state)
    np.testing.assert_array_equal(start, kept)
