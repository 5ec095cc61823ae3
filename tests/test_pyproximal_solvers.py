"""pyproximal's solvers on fusionkit's terms: they agree with the same algorithms of the project."""

from __future__ import annotations

import numpy as np
import pyproximal
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from problems import build
from pyproximal.optimization.cls_primal import ADMM
from pyproximal.optimization.cls_primaldual import PrimalDual

from fusionkit.compose_problem import make_solver
from fusionkit.engines.choose import joint_prox
from fusionkit.errors import FusionkitWarning
from fusionkit.loop import solve
from fusionkit.solver import State, fit
from fusionkit.solvers.pyproximal_admm import PyproximalADMMState
from fusionkit.solvers.pyproximal_parts import CoupledFunction, DirectFunction, Graph, stack, stacked_map, unstack
from fusionkit.solvers.pyproximal_primal_dual import PyproximalPrimalDualState

OURS = ["pyproximal_primal_dual", "pyproximal_admm"]


PROBLEMS = ["fused", "tv_denoising", "box"]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_admm_iterates_are_those_of_our_solver(problem: str) -> None:
    """With one composed term and equal fixed steps the iterations agree up to the order of operations."""
    built, start = build(problem)
    solvers = (
        make_solver("pyproximal_admm", tolerance=0.0, max_iterations=60, tau=0.1),
        make_solver("admm", tolerance=0.0, max_iterations=60, rho=10.0),
    )
    first, second = (solve(built, solver, start) for solver in solvers)
    assert first.objective == pytest.approx(second.objective, rel=1e-6)
    np.testing.assert_allclose(first.x, second.x, atol=2e-3)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_primal_dual_iterates_are_those_of_the_formula(problem: str) -> None:
    """With fixed steps; pyproximal extrapolates the primal variable, `ChambollePock` the dual one."""
    built, start = build(problem)
    solver = make_solver("pyproximal_primal_dual", tolerance=0.0, max_iterations=60, tau=0.05)
    result = solve(built, solver, start)
    split = fit(solver, built)
    prox, coupling, sigma = joint_prox(split), split.coupling, result.steps["mu"]
    x = built.bounds.prox(start, 1.0)
    x_bar, p = x, coupling.zeros(x.dtype)[0]
    for _ in range(60):
        p = coupling.proxdual(0, p + sigma * coupling.apply(x_bar, coupling.auxiliary_zeros(x.dtype))[0], sigma)
        new = prox(x - 0.05 * coupling.adjoint([p], np.empty_like(x)), 0.05, x)
        x, x_bar = new, 2 * new - x
    np.testing.assert_allclose(result.x, x, atol=2e-3)


@pytest.mark.parametrize(("name", "engine"), [("pyproximal_primal_dual", PrimalDual), ("pyproximal_admm", ADMM)])
def test_the_engine_is_that_of_the_library(name: str, engine: type) -> None:
    built, start = build("fused")
    solver = make_solver(name)
    state: State = solver.init(fit(solver, built), start)
    assert isinstance(state, PyproximalPrimalDualState | PyproximalADMMState)
    assert type(state.engine) is engine


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_iterates_keep_their_precision(name: str, dtype: type) -> None:
    built, start = build("fused", dtype)
    solver = make_solver(name)
    split = fit(solver, built)
    state = solver.init(split, start)
    for _ in range(3):
        state = solver.step(split, state)
    assert {array.dtype for array in (state.x, *state.duals)} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("problem", ["fused", "fused_linear"])
def test_a_step_does_not_change_the_iterate_that_it_starts_from(name: str, problem: str) -> None:
    built, start = build(problem)
    solver = make_solver(name)
    split = fit(solver, built)
    state = solver.step(split, solver.init(split, start))
    kept, duals = state.x.copy(), [p.copy() for p in state.duals]
    solver.step(split, state)
    np.testing.assert_array_equal(state.x, kept)
    for now, then in zip(state.duals, duals, strict=True):
        np.testing.assert_array_equal(now, then)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
@pytest.mark.parametrize("problem", ["tv_denoising", "sparse_bounded"])
def test_the_projection_onto_the_graph_is_a_projection(problem: str, data: st.DataObject) -> None:
    """The result lies on the graph, and the difference is orthogonal to it."""
    built, _ = build(problem)
    split = fit(make_solver("pyproximal_admm"), built)
    size = int(np.prod(built.shape))
    images = stacked_map(split, np.dtype(np.float64))
    finite = st.floats(-5, 5, width=32)
    point = data.draw(hnp.arrays(np.float64, size + images.shape[0], elements=finite))
    other = data.draw(hnp.arrays(np.float64, size, elements=finite))
    actual = Graph(split).prox(point, 1.0)
    np.testing.assert_allclose(images.matvec(actual[:size]), actual[size:], atol=1e-9)
    on_graph = np.concatenate([other, images.matvec(other)])
    scale = 1.0 + np.linalg.norm(point) * np.linalg.norm(on_graph)
    assert abs((point - actual) @ on_graph) <= 1e-9 * scale


@settings(deadline=None, max_examples=15)
@given(step=st.floats(0.05, 20.0), data=st.data())
@pytest.mark.parametrize("problem", ["tv_denoising", "sparse_bounded", "huber_tv"])
def test_the_coupled_function_keeps_the_moreau_identity(problem: str, step: float, data: st.DataObject) -> None:
    built, _ = build(problem)
    split = fit(make_solver("pyproximal_primal_dual"), built)
    size = stacked_map(split, np.dtype(np.float64)).shape[0]
    v = data.draw(hnp.arrays(np.float64, size, elements=st.floats(-5, 5, width=32)))
    g = CoupledFunction(split)
    assert isinstance(g, pyproximal.ProxOperator)
    np.testing.assert_allclose(g.prox(v, step) + step * g.proxdual(v / step, 1.0 / step), v, atol=1e-9)


def test_the_parts_have_the_values_of_the_terms() -> None:
    built, start = build("fused")
    split = fit(make_solver("pyproximal_primal_dual"), built)
    flat = start.ravel()
    images = stacked_map(split, np.dtype(np.float64)).matvec(flat)
    total = DirectFunction(split, start, 1)(flat) + CoupledFunction(split)(images)
    assert total == pytest.approx(built.value(start), rel=1e-12)
    assert [part.shape for part in unstack(split, images)] == [t.operator.range for t in split.coupling.terms]
    np.testing.assert_array_equal(stack(unstack(split, images), np.dtype(np.float64)), images)


def test_a_broken_step_condition_is_warned_about() -> None:
    built, start = build("fused")
    solver = make_solver("pyproximal_primal_dual", tau=1.0, mu=1.0, max_iterations=1)
    with pytest.warns(FusionkitWarning, match=r"use mu <= 0\.1\d*"):
        solve(built, solver, start)
