"""The compiled iteration and check against their definitions in NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from covering import every_pair
from fast_cases import KINDS, RECIPES, FastCase, Recipe, agrees, fast_case, iterated, tv
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.engines.kernel_terms import TotalVariation
from fusionkit.engines.local_steps import PixelSteps, local_boost, local_steps
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.terms import Array

fast_engine: Any = pytest.importorskip("fusionkit.engines.cpu.tv", reason="the compiled kernels need Numba")

DTYPES = [np.float32, np.float64]
CHECKED = [*((recipe, "tv") for recipe in RECIPES), *(("fused", kind) for kind in KINDS if kind != "tv")]
SHAPES = [(1, 1, 1), (3, 1, 65), (2, 33, 7), (1, 40, 64), (8, 9, 1), (3, 20, 257), (32, 5, 140)]


def tolerance(dtype: Any) -> float:
    return 32 * float(np.finfo(dtype).eps)


def stepped(
    case: FastCase,
    x: Array,
    tau: float,
    sigma: float,
    rho: float,
    term: ComposedPenalty,
    threads: int = 1,
    boost: Array | None = None,
) -> tuple[Array, Array]:
    x, p = x.copy(), case.p.copy()
    engine = fast_engine.TVEngine(case.spec, term.kernel, x.shape, x.dtype, threads=threads)
    engine.step(x, (), (p,), (tau, sigma), rho, boost)
    return x, p


@pytest.mark.parametrize(
    ("kind", "shape", "weight", "rho", "dtype"), every_pair([*KINDS], SHAPES, [0.0, 0.1, 1e6], [1.0, 1.5], DTYPES)
)
def test_iteration_is_that_of_the_definition(
    kind: str, shape: tuple[int, int, int], weight: float, rho: float, dtype: Any
) -> None:
    case = fast_case(RECIPES["fused"], shape, dtype)
    term = tv(shape, weight, case.x.dtype, *KINDS[kind])
    for found, expected in zip(
        stepped(case, case.v, 0.05, 0.4, rho, term), iterated(case, case.v, 0.05, 0.4, rho, term), strict=True
    ):
        close = np.isclose(found, expected, atol=4 * tolerance(dtype))
        assert np.count_nonzero(~close) <= 1 + 0.002 * close.size  # pixels whose step one of the two shortened


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "huber"])
def test_local_steps_are_those_of_the_definition(kind: str) -> None:
    shape = (3, 20, 257)
    case = fast_case(RECIPES["fused"], shape, np.float64)
    term = tv(shape, 0.1, case.x.dtype, *KINDS[kind])
    split = case.split(0.1, *KINDS[kind])
    engine = fast_engine.TVEngine(case.spec, term.kernel, shape, case.x.dtype, threads=2)
    random = np.random.default_rng(5)
    moved = case.x + random.integers(-1, 2, shape)
    arrays = random.integers(0, 99, shape, np.uint8), moved, random.integers(-10, 11, shape, np.int8)
    expected = local_boost(split, case.x, 0.4, PixelSteps(*arrays))
    found = engine.boost(case.x, 0.4, PixelSteps(*arrays))
    assert expected is not None
    assert found is not None
    boost = expected.boost
    assert 1 < np.median(boost) < boost.max()
    for name in ("boost", "seen", "runs"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert found.drift == pytest.approx(expected.drift)
    for found, right in zip(
        stepped(case, case.v, 0.05, 0.4, 1.5, term, 2, boost),
        iterated(case, case.v, 0.05, 0.4, 1.5, term, boost=boost),
        strict=True,
    ):
        assert np.count_nonzero(~np.isclose(found, right, atol=4 * tolerance(np.float64))) <= 1 + 0.002 * found.size


def test_a_pixel_that_drifts_gets_longer_steps_and_loses_them_when_it_turns() -> None:
    case = fast_case(RECIPES["fused"], (1, 3, 3), np.float64)
    split, local, boosts, drifts = case.split(0.1, *KINDS["tv"]), None, list[int](), list[float]()
    for shift in (0, 1, 2, 3, 4, 5, 6, 5):
        local = local_boost(split, case.x + 1e-9 * shift, 20.0, local)
        assert local is not None
        boosts.append(int(local.boost.max()))
        drifts.append(local.drift)
    assert boosts[0] == boosts[2] == boosts[-1] > 3 * boosts[-2] > 0
    assert drifts == [0.0, 0.0, *(5 * [1.0]), -1.0]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 9), (1, 9, 8), (3, 7, 5)])
def test_local_steps_meet_the_step_condition(shape: tuple[int, int, int]) -> None:
    boost = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    operator, random = gradient_map(shape), np.random.default_rng(1)
    tau, factor = local_steps(boost, 1.0, np.dtype(np.float64))
    x, length = random.standard_normal(shape), 0.0
    for _ in range(300):  # power iterations on T^(1/2) K' Sigma K T^(1/2)
        x = tau**0.5 * operator.adjoint(factor / 8.0 * operator.apply(tau**0.5 * x))
        length = float(np.linalg.norm(x))
        x /= length or 1.0
    assert length <= 1.0 + 1e-12


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_iteration_that_is_not_relaxed_is_feasible(kind: str, dtype: Any) -> None:
    case = fast_case(RECIPES["fused"], (3, 20, 257), dtype)
    term = tv(case.x.shape, 0.1, case.x.dtype, *KINDS[kind])
    x, p = stepped(case, case.v - 1, 0.3, 0.4, 1.0, term, threads=2)
    assert case.bounds.value(x) == 0.0
    squares = (p.astype(np.float64) ** 2).sum(axis=(0, 1) if KINDS[kind][0] else 0)
    radii = 0.1 * np.linspace(0.5, 1.5, 3)[:, None, None] if KINDS[kind][2] else 0.1
    lengths = np.abs(p) if kind == "anisotropic" else np.sqrt(squares)
    assert (lengths <= radii * (1 + tolerance(dtype))).all()


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 32),
    ny=st.integers(1, 40),
    nx=st.integers(1, 300),
    threads=st.integers(2, 5),
    seed=st.integers(0, 100),
    kind=st.sampled_from(sorted(KINDS)),
)
def test_threads_do_not_change_a_bit(n: int, ny: int, nx: int, threads: int, seed: int, kind: str) -> None:
    case = fast_case(Recipe(), (n, ny, nx), np.float32, seed)
    term = tv(case.x.shape, 0.1, case.x.dtype, *KINDS[kind])
    one, many = (stepped(case, case.v, 0.3, 0.4, 1.5, term, count) for count in (1, threads))
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_iterations_reach_the_minimum(kind: str) -> None:
    case = fast_case(RECIPES["fused_linear"], (3, 16, 21), np.float64)
    x, p = case.x.copy(), np.zeros_like(case.p)
    engine = fast_engine.TVEngine(case.spec, tv(x.shape, 0.1, x.dtype, *KINDS[kind]).kernel, x.shape, x.dtype)
    for iteration in range(2000):
        engine.step(x, (), (p,), (0.5, 0.25), 1.0 if iteration == 1999 else 1.5)
    check = engine.check(x, (), (p,))
    assert check.certificate is not None
    assert check.certificate.optimality < 1e-6


@pytest.mark.parametrize(
    ("recipe", "kind", "weight", "dtype"), [(*case, *rest) for case, *rest in every_pair(CHECKED, [0.0, 0.1], DTYPES)]
)
def test_check_is_that_of_the_definition(recipe: str, kind: str, weight: float, dtype: Any) -> None:
    case = fast_case(RECIPES[recipe], (3, 20, 130), dtype)
    term = tv(case.x.shape, weight, case.x.dtype, *KINDS[kind])
    checks = []
    for threads in (1, 2):
        engine = fast_engine.TVEngine(case.spec, term.kernel, case.x.shape, case.x.dtype, threads=threads)
        checks.append(engine.check(case.x, (), (case.p,)))
        residual = engine.memory[1]
    check, other = checks
    assert check == other
    agrees(check, case, case.split(weight, *KINDS[kind]), recipe)
    gradient = sum((one.gradient(case.x) for one in case.terms), term.operator.adjoint(case.p))
    np.testing.assert_allclose(residual, gradient, rtol=1e-4, atol=1e-4)


def test_a_lone_gradient_is_left_to_the_definition() -> None:
    case = fast_case(RECIPES["maps"], (2, 8, 9), np.float32)
    engine = fast_engine.TVEngine(case.spec, TotalVariation(0.1), case.x.shape, case.x.dtype)
    check = engine.check(case.x, (), (np.zeros_like(case.p),))
    assert check.certificate is None


def test_a_weight_of_zero_switches_an_infinite_value_off() -> None:
    case = fast_case(RECIPES["no_background"], (2, 8, 9), np.float32)
    assert case.spec.poisson is not None
    case.x[:] = 0
    for weight, expected in ((0.0, 0.0), (1.0, np.inf)):
        spec = replace(case.spec, poisson=replace(case.spec.poisson, weight=weight))
        engine = fast_engine.TVEngine(spec, TotalVariation(0.1), case.x.shape, case.x.dtype)
        assert engine.check(case.x, (), (case.p,)).values[1] == expected
