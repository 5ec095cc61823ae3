"""Penalties so strong that the maps end constant, or affine with total generalised variation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionkit as fk
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.operators.linear.symmetric_gradient import symmetric_gradient_map
from fusionkit.solvers import flat_start


def plain(ramp: float, ny: int = 24, nx: int = 30) -> tuple[Any, float]:
    """Counts and an image of a field without structure."""
    random = np.random.default_rng(11)
    truth = np.array([20.0, 12.0])[:, None, None] * (1 + ramp * np.linspace(-0.5, 0.5, nx)) * np.ones((ny, 1))
    image = ((np.array([0.7, 1.3])[:, None, None] * truth) ** 1.7).sum(0)
    noise = 0.02 * image.mean()
    arrays = {"haadf": image + random.normal(0, noise, image.shape), "maps": random.poisson(truth).astype(float)}
    return fk.Dataset(arrays, elements=("O", "Ti")), noise**-2


@pytest.mark.parametrize(
    ("penalty", "weight", "ramp", "engine"),
    [
        ({"type": "tv"}, 30.0, 0.0, "numba"),
        ({"type": "tv", "per_element": {"O": 2.0}}, 1e4, 0.0, "numpy"),
        ({"type": "vectorial_tv"}, 1e4, 0.0, "numba"),
        ({"type": "tgv"}, 30.0, 1.0, "numba"),
        ({"type": "tgv", "coupling": "joint", "ratio": 1.2}, 2e3, 1.0, "numpy"),
    ],
)
def test_a_strong_penalty_ends_at_flat_maps(penalty: dict[str, Any], weight: float, ramp: float, engine: Any) -> None:
    data, image = plain(ramp)
    terms = [
        {"type": "haadf", "weight": image, "gamma": 1.7, "z": {"O": 0.7, "Ti": 1.3}},
        {"type": "poisson", "epsilon": 0.1},
        {**penalty, "weight": weight},
        "nonnegative",
    ]
    problem = fk.compose(data, terms, engine=engine)
    solver = fk.make_solver("chambolle_pock", tolerance=1e-4, max_iterations=60)
    result = fk.solve(problem, solver, fk.starting_point("auto", problem, data))
    assert result.status is fk.Status.CONVERGED
    second = np.diff(result.x, 2, axis=2) if ramp else np.diff(result.x, axis=2)
    assert np.abs(second).max() < 1e-3 * result.x.mean()


@pytest.mark.parametrize("penalty", ["tv", "tgv"])
def test_structure_keeps_the_start(penalty: str) -> None:
    data, _ = plain(0.0)
    maps = data.arrays["maps"].copy()
    maps[:, 5:15, 5:15] *= 3
    data = fk.Dataset({"maps": maps}, elements=("O", "Ti"))
    problem = fk.compose(data, [{"type": "poisson"}, {"type": penalty, "weight": 0.5}, "nonnegative"])
    solver = fk.make_solver("chambolle_pock")
    x0 = fk.starting_point("auto", problem, data)
    np.testing.assert_array_equal(solver.init(solver.accepts(problem), x0).x, x0)


@settings(deadline=None, max_examples=15)
@given(ny=st.integers(1, 20), nx=st.integers(1, 20), ratio=st.sampled_from([0.5, 1.2, 3.0]), seed=st.integers(0, 9))
def test_duals_balance_the_data(ny: int, nx: int, ratio: float, seed: int) -> None:
    gradient = np.random.default_rng(seed).standard_normal((2, ny, nx))
    rows, columns = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    affine = np.linalg.qr(np.stack([np.ones(ny * nx), rows.ravel(), columns.ravel()], 1))[0]
    gradient -= (gradient.reshape(2, -1) @ affine @ affine.T).reshape(gradient.shape)
    dual = flat_start.tgv_duals(gradient, ratio)
    p, q = dual[:2], dual[2:]
    scale = 1e-3 * np.abs(gradient).max() + 1e-12
    np.testing.assert_allclose(gradient_map(gradient.shape).adjoint(p), -gradient, atol=scale)
    np.testing.assert_allclose(symmetric_gradient_map(gradient.shape).adjoint(q), p, atol=scale)
