"""The compiled dual step, divergence, iteration and check against their definitions in NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fast_cases import RECIPES, FastCase, Recipe, fast_case, tv
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.certificate import certify
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.terms import Array

REASON = "the compiled kernels need Numba"
fast_tv: Any = pytest.importorskip("fusionkit.fast_tv", reason=REASON)
fast_engine: Any = pytest.importorskip("fusionkit.fast_engine", reason=REASON)
fast_check: Any = pytest.importorskip("fusionkit.fast_check", reason=REASON)

DTYPES = [np.float32, np.float64]
SHAPES = [(1, 1, 1), (3, 1, 65), (2, 33, 7), (1, 40, 64), (8, 9, 1), (3, 20, 257)]


def tolerance(dtype: Any) -> float:
    return 32 * float(np.finfo(dtype).eps)


def ascended(x_bar: Array, p: Array, sigma: float, weight: float) -> Array:
    """The dual step by the operators."""
    term = tv(x_bar.shape, weight, x_bar.dtype)
    moved = p + x_bar.dtype.type(sigma) * term.operator.apply(x_bar)
    return term.functional.proxdual(moved.ravel(), sigma).reshape(p.shape)


def iterated(case: FastCase, x_bar: Array, tau: float, sigma: float, weight: float) -> tuple[Array, Array, Array]:
    """One iteration as solvers/chambolle_pock.py states it."""
    p = ascended(x_bar, case.p, sigma, weight)
    v = case.x - case.x.dtype.type(tau) * tv(case.x.shape, weight, case.x.dtype).operator.adjoint(p)
    x = PixelwiseProx(case.terms, case.bounds)(v, tau, case.x, 1)
    return x, 2 * x - case.x, p


def stepped(
    case: FastCase, x_bar: Array, tau: float, sigma: float, weight: float, threads: int = 1
) -> tuple[Array, Array, Array]:
    x, x_bar, p = case.x.copy(), x_bar.copy(), case.p.copy()
    engine = fast_engine.Engine(case.spec, weight, x.shape, x.dtype, 1, threads)
    engine.step(x, x_bar, p, tau, sigma)
    return x, x_bar, p


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight", [0.0, 0.1, 1e6])
@pytest.mark.parametrize("shape", SHAPES)
def test_dual_step_and_divergence(shape: tuple[int, int, int], weight: float, dtype: Any) -> None:
    case = fast_case(RECIPES["fused"], shape, dtype)
    expected, p, x = ascended(case.x, case.p, 0.7, weight), case.p.copy(), case.x.copy()
    fast_tv.dual_step(x, p, 0.7, weight, threads=2)
    np.testing.assert_allclose(p, expected, atol=tolerance(dtype))
    np.testing.assert_array_equal(x, case.x)
    adjoint = tv(shape, weight, case.x.dtype).operator.adjoint(case.p)
    np.testing.assert_allclose(fast_tv.adjoint(case.p, np.empty_like(x)), adjoint, atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_iteration_is_that_of_the_definition(shape: tuple[int, int, int], dtype: Any) -> None:
    case = fast_case(RECIPES["fused"], shape, dtype)
    for found, expected in zip(
        stepped(case, case.v, 0.05, 0.4, 0.1), iterated(case, case.v, 0.05, 0.4, 0.1), strict=True
    ):
        close = np.isclose(found, expected, atol=2 * tolerance(dtype))
        assert np.count_nonzero(~close) <= 1 + 0.002 * close.size  # pixels whose step one of the two shortened


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 8),
    ny=st.integers(1, 40),
    nx=st.integers(1, 300),
    threads=st.integers(2, 5),
    seed=st.integers(0, 100),
)
def test_threads_do_not_change_a_bit(n: int, ny: int, nx: int, threads: int, seed: int) -> None:
    case = fast_case(Recipe(), (n, ny, nx), np.float32, seed)
    one, many = (stepped(case, case.v, 0.3, 0.4, 0.1, count) for count in (1, threads))
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)


def test_iterations_reach_the_minimum() -> None:
    case = fast_case(RECIPES["fused_linear"], (3, 16, 21), np.float64)
    x, x_bar, p = case.x.copy(), case.x.copy(), np.zeros_like(case.p)
    engine = fast_engine.Engine(case.spec, 0.1, x.shape, x.dtype)
    for _ in range(3000):
        engine.step(x, x_bar, p, 0.5, 0.25)
    check = fast_check.Checker(engine).check(x, p, np.empty_like(x))
    assert check.certificate is not None
    assert check.certificate.optimality < 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight", [0.0, 0.1])
@pytest.mark.parametrize("recipe", RECIPES)
def test_check_is_that_of_the_definition(recipe: str, weight: float, dtype: Any) -> None:
    case = fast_case(RECIPES[recipe], (3, 20, 130), dtype)
    checks = []
    for threads in (1, 2):
        engine = fast_engine.Engine(case.spec, weight, case.x.shape, case.x.dtype, 1, threads)
        residual = np.empty_like(case.x)
        checks.append((fast_check.Checker(engine).check(case.x, case.p, residual), residual))
    (check, residual), (other, _) = checks
    assert check == other
    split, nothing = case.split(weight), (np.zeros(0, dtype),)
    values = split.values(case.x, nothing)
    for name, column in (("haadf", "coupled"), ("poisson", "poisson"), ("squares", "squares"), ("tv", "tv")):
        assert getattr(check, column) == pytest.approx(values.get(name, 0.0), rel=1e-6)
    expected = certify(split, case.x, nothing, (case.p,))
    assert check.certificate is not None or recipe == "nothing"
    if check.certificate is not None:
        for name in ("stationarity", "alignment", "feasibility"):
            assert getattr(check.certificate, name) == pytest.approx(getattr(expected, name), rel=2e-5, abs=1e-7)
    gradient = sum(
        (term.gradient(case.x) for term in case.terms), tv(case.x.shape, weight, case.x.dtype).operator.adjoint(case.p)
    )
    np.testing.assert_allclose(residual, gradient, rtol=1e-4, atol=1e-4)


def test_a_lone_gradient_is_left_to_the_definition() -> None:
    case = fast_case(RECIPES["maps"], (2, 8, 9), np.float32)
    engine = fast_engine.Engine(case.spec, 0.1, case.x.shape, case.x.dtype)
    check = fast_check.Checker(engine).check(case.x, np.zeros_like(case.p), np.empty_like(case.x))
    assert check.certificate is None


def test_a_weight_of_zero_switches_an_infinite_value_off() -> None:
    case = fast_case(RECIPES["no_background"], (2, 8, 9), np.float32)
    assert case.spec.poisson is not None
    case.x[:] = 0
    for weight, expected in ((0.0, 0.0), (1.0, np.inf)):
        spec = replace(case.spec, poisson=replace(case.spec.poisson, weight=weight))
        engine = fast_engine.Engine(spec, 0.1, case.x.shape, case.x.dtype)
        assert fast_check.Checker(engine).check(case.x, case.p, np.empty_like(case.x)).poisson == expected
