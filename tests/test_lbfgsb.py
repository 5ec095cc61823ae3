"""L-BFGS-B on the smoothed objective: the smoothing, its gradient, its bounds, and the note about it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from problems import build

from fusionkit.compose_problem import make_solver
from fusionkit.loop import solve
from fusionkit.solver import fit
from fusionkit.solvers.lbfgsb import envelope_gradients, smoothed

SMOOTHED = ["fused", "anisotropic_tv", "huber_tv", "nuclear_tv", "sparse_bounded", "pyproximal_by_name"]


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), mu=st.floats(0.01, 10.0))
@pytest.mark.parametrize("problem", SMOOTHED)
def test_gradient_is_that_of_the_smoothed_objective(problem: str, seed: int, mu: float) -> None:
    built, start = build(problem)
    split = fit(make_solver("lbfgsb"), built)
    mus = (mu,) * len(split.coupling.terms)
    random = np.random.default_rng(seed)
    x, direction = start + 0.5 * random.random(start.shape), random.standard_normal(start.shape)
    h = 1e-5
    slope = (smoothed(split, x + h * direction, mus)[0] - smoothed(split, x - h * direction, mus)[0]) / (2 * h)
    assert np.vdot(smoothed(split, x, mus)[1], direction) == pytest.approx(slope, rel=1e-4, abs=1e-4)


@settings(deadline=None, max_examples=25)
@given(
    x=hnp.arrays(np.float64, (3, 12, 10), elements=st.floats(0, 5, width=32)),
    mu=st.floats(1e-3, 10.0),
)
def test_smoothed_objective_lies_below_the_exact_one_by_no_more_than_the_bound(x: np.ndarray, mu: float) -> None:
    """F - mu lambda^2 N / 2 <= F_mu <= F for TV with weight lambda on N values."""
    built, _ = build("tv_denoising")
    split = fit(make_solver("lbfgsb"), built)
    exact, found = built.value(x), smoothed(split, x, (mu,))[0]
    rounding = 1e-12 * (1 + exact)
    assert exact - 0.5 * mu * 0.1**2 * x.size - rounding <= found <= exact + rounding


@settings(deadline=None, max_examples=25)
@given(
    x=hnp.arrays(np.float64, (3, 12, 10), elements=st.floats(0, 5, width=32)),
    mu=st.floats(1e-3, 10.0),
)
def test_gradients_of_the_envelope_are_feasible_duals(x: np.ndarray, mu: float) -> None:
    built, _ = build("tv_denoising")
    split = fit(make_solver("lbfgsb"), built)
    (p,) = envelope_gradients(split, x, (mu,))
    assert np.sqrt((p**2).sum(axis=0)).max() <= 0.1 * (1 + 1e-9)


def test_less_smoothing_ends_lower_and_nearer_to_the_optimum() -> None:
    built, start = build("fused")
    best = solve(built, make_solver("admm", tolerance=1e-5, max_iterations=5000), start).objective
    ends = [
        solve(built, make_solver("lbfgsb", smoothing=mu, tolerance=1e-9, max_iterations=8), start).objective - best
        for mu in (1.0, 0.1, 0.01)
    ]
    assert ends[0] > ends[1] > ends[2] > 0
    assert ends[2] < 1e-2 * ends[0]


def test_the_final_smoothing_is_kept_and_reported() -> None:
    built, start = build("fused")
    result = solve(built, make_solver("lbfgsb", smoothing=0.05, tolerance=1e-9, max_iterations=15), start)
    assert result.steps == {"smoothing_0": 0.05}
    assert result.status.value == "stalled"  # the smoothing keeps it from the tolerance
    assert len(result.notes) == 1
    assert "'tv'" in result.notes[0]
    assert "mu = 0.05" in result.notes[0]


def test_nothing_is_smoothed_where_every_term_is_smooth() -> None:
    built, start = build("regression")
    result = solve(built, make_solver("lbfgsb"), start)
    assert (result.status.value, result.notes) == ("converged", ())


def test_a_step_is_short_on_large_problems_and_as_long_as_asked() -> None:
    built, start = build("fused")
    few = solve(built, make_solver("lbfgsb", inner_iterations=2, max_iterations=1), start)
    many = solve(built, make_solver("lbfgsb", max_iterations=1), start)
    assert few.certificate.stationarity > many.certificate.stationarity
