"""Every registered solver on every small problem: it refuses according to the tables, else it reaches the optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from problems import NONNEGATIVE, POISSON, PROBLEMS, SOLVERS, TV, build, known, needs, problem_of, refuses, solved

from fusionkit.certificate import Certificate
from fusionkit.compose_problem import make_solver
from fusionkit.engines.kernel_terms import TotalVariation
from fusionkit.engines.local_steps import RULES, rule_of
from fusionkit.errors import RefusalError
from fusionkit.loop import solve
from fusionkit.problem import Slots
from fusionkit.registry import table
from fusionkit.result import Result, Status
from fusionkit.solver import fit
from fusionkit.solvers.steps import Balance, StallRule, adapt_local_steps

TOLERANCE = 2e-5
SINGLE_TOLERANCE = 1e-4
AGREEMENT = 1e-4  # relative, in the objective
IN_SINGLE = ("fused", "tv_denoising", "poisson_without_background", "box", "regression", "sparse_bounded")
MATRIX = [(solver, problem) for solver in table("solvers") for problem in PROBLEMS]
TAKEN = [pair for pair in MATRIX if not refuses(*pair)]


def best(problem: str) -> float:
    """The lowest objective that a solver reaches."""
    solvers = [solver for solver in table("solvers") if known(solver).convergent and not refuses(solver, problem)]
    return min(solved(solver, problem, "float64", TOLERANCE).objective for solver in solvers)


def check_sane(result: Result, problem: str, dtype: str) -> None:
    """Finite, feasible, of the right type, and with the objective of the terms at x."""
    built, _ = build(problem, "float64")
    assert result.x.dtype == np.dtype(dtype)
    assert result.x.shape == built.shape
    assert np.all(np.isfinite(result.x))
    lower, upper = np.asarray(built.bounds.lower), np.asarray(built.bounds.upper)
    assert np.all(result.x >= lower.astype(dtype))
    assert np.all(result.x <= upper.astype(dtype))
    again = built.value(result.x.astype(np.float64))
    if "auxiliary" in PROBLEMS[problem].needs:  # w = 0 there, the best w in the result
        assert result.objective <= again
    else:
        assert result.objective == pytest.approx(again, rel=1e-9 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize(("solver", "problem"), TAKEN)
def test_converges_to_the_optimum(solver: str, problem: str) -> None:
    result = solved(solver, problem, "float64", TOLERANCE)
    check_sane(result, problem, "float64")
    if not known(solver).convergent:
        assert result.objective >= best(problem) - AGREEMENT * abs(best(problem))
        return
    assert result.status is Status.CONVERGED, result.message
    assert result.optimality <= TOLERANCE
    assert result.objective == pytest.approx(best(problem), rel=AGREEMENT)


@pytest.mark.parametrize(("solver", "problem"), [pair for pair in MATRIX if refuses(*pair)])
def test_refuses_what_the_tables_say(solver: str, problem: str) -> None:
    built, start = build(problem)
    fitting = [name for name in table("solvers") if not refuses(name, problem)]
    with pytest.raises(RefusalError) as caught:
        solve(built, make_solver(solver), start)
    text = str(caught.value)
    assert text.startswith(f"solver {solver}: cannot take the term '")
    assert any(f"'{term.name}'" in text for term in built.terms)
    assert text.endswith(f"solvers that can: {', '.join(fitting)}")


@pytest.mark.parametrize(("solver", "problem"), [pair for pair in TAKEN if pair[1] in IN_SINGLE])
def test_single_precision_is_enough(solver: str, problem: str) -> None:
    result = solved(solver, problem, "float32", SINGLE_TOLERANCE)
    check_sane(result, problem, "float32")
    if known(solver).convergent:
        assert result.status is Status.CONVERGED, result.message
        assert result.objective == pytest.approx(best(problem), rel=5 * AGREEMENT)


@pytest.mark.parametrize("solver", table("solvers"))
def test_keeps_its_options_and_names_itself(solver: str) -> None:
    made = make_solver(solver, max_iterations=7, tolerance=1e-3)
    assert made.name == solver
    assert (made.options.max_iterations, made.options.tolerance) == (7, 1e-3)


def test_tables_name_registered_solvers_and_needs_only() -> None:
    every = {need for problem in PROBLEMS for need in needs(problem)}
    assert set(SOLVERS) <= set(table("solvers"))
    assert all(row.lacks <= every for row in SOLVERS.values())


@pytest.mark.parametrize(
    ("best", "waited", "alignment", "drift", "factor", "shrink"),
    [
        (np.inf, 0, 1e-4, 0.0, 1.0, 1.0),
        (np.inf, 0, 1e-6, 0.0, 1.5, 1.0),  # improves, and lags
        (np.inf, 0, 1e-6, -0.1, 1.0, 1.0),  # improves, and turns back
        (1e-4, 0, 1e-6, 0.0, 1.0, 1.0),  # worse, with patience
        (1e-4, 9, 1e-7, 0.5, 0.6, 0.6),  # a stall of pixels that orbit
        (1e-4, 9, 1e-7, 0.9, 1.5, 1.0),  # a stall of a short step
    ],
)
def test_local_steps_adapt(
    best: float, waited: int, alignment: float, drift: float, factor: float, shrink: float
) -> None:
    rule, certificate = StallRule(best, waited), Certificate(1e-3, alignment, 0.0)
    new, _, actual = adapt_local_steps(RULES[TotalVariation], rule, Balance(), certificate, drift)
    assert (new.shrink, actual) == pytest.approx((shrink, factor))


@pytest.mark.parametrize(
    ("penalties", "local"),
    [
        ([{"type": "tgv", "weight": 0.1}], True),
        ([{"type": "tgv", "weight": 0.1}, TV], True),
        ([TV, {"type": "anisotropic_tv", "weight": 0.1}], True),
        ([TV, {"type": "huber_tv", "smoothing": 0.5, "weight": 0.1}], False),
        ([TV, {"type": "l1", "operator": "laplacian", "weight": 0.1}], False),
        ([TV, {"type": "l1", "weight": 0.1}], False),
    ],
)
def test_which_penalties_take_local_steps(penalties: list[dict[str, Any]], local: bool) -> None:
    split = problem_of([POISSON, *penalties, NONNEGATIVE]).sort(Slots(pixelwise=True, auxiliary=True))
    assert (rule_of(split) is not None) is local


@pytest.mark.parametrize("alignment", [1.0, 0.0])
def test_admm_changes_its_penalty_but_not_its_duals(alignment: float) -> None:
    built, start = build("tv_denoising")
    solver = make_solver("admm")
    split = fit(solver, built)
    state = solver.init(split, start)
    for _ in range(3):
        state = solver.step(split, state)
    changed = solver.adapt(split, state, Certificate(1e-3, alignment, 0.0))
    before, after = solver.steps(state)["rho"], solver.steps(changed)["rho"]
    assert after > before if alignment else after < before
    np.testing.assert_allclose(after * changed.multiplier, before * state.multiplier)
    for b, a in zip(state.multipliers, changed.multipliers, strict=True):
        np.testing.assert_allclose(after * a, before * b)
