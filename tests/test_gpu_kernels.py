"""The CUDA kernels, run on the CPU from the same source, against the operators and the Numba kernels."""

from __future__ import annotations

from typing import Any

import fast_cases
import numpy as np
import pytest
from covering import every_pair
from fast_cases import RECIPES, FastCase, Recipe, agrees, fast_case, iterated, tv
from host_device import COMPILER, NO_COMPILER, HostDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.engines.gpu.engine import DeviceEngine
from fusionkit.engines.sums import Evaluation
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.terms import Array

pytestmark = pytest.mark.skipif(COMPILER is None, reason=NO_COMPILER)

DTYPES = [np.float32, np.float64]
KINDS = {kind: its for kind, its in fast_cases.KINDS.items() if len(its) == 3}  # sums of lengths
CHECKED = [*((recipe, "tv") for recipe in RECIPES), *(("fused", kind) for kind in KINDS if kind != "tv")]
SHAPES = [(1, 1, 1), (3, 1, 65), (2, 33, 7), (1, 40, 64), (8, 9, 1), (4, 17, 23)]


def tolerance(dtype: Any) -> float:
    return 128 * float(np.finfo(dtype).eps)


def device_engine(case: FastCase, term: ComposedPenalty | None, steps: int = 1, backwards: bool = False) -> Any:
    kernel: Any = None if term is None else term.kernel
    return DeviceEngine(case.spec, kernel, case.x.shape, case.x.dtype, steps, HostDevice(backwards))


@pytest.mark.parametrize(
    ("kind", "shape", "weight", "rho", "dtype"), every_pair([*KINDS], SHAPES, [0.0, 0.1, 1e6], [1.0, 1.5], DTYPES)
)
def test_iteration_is_that_of_the_definition(
    kind: str, shape: tuple[int, int, int], weight: float, rho: float, dtype: Any
) -> None:
    case = fast_case(RECIPES["fused"], shape, dtype)
    term = tv(shape, weight, case.x.dtype, *KINDS[kind])
    x, duals = device_engine(case, term).step(case.v, (), (case.p,), (0.05, 0.4), rho)
    for one, expected in zip((x, *duals), iterated(case, case.v, 0.05, 0.4, rho, term), strict=True):
        close = np.isclose(one, expected, rtol=tolerance(dtype), atol=tolerance(dtype))
        assert np.count_nonzero(~close) <= 1 + 0.002 * close.size  # pixels whose step one of the two shortened


def joint_prox(recipe: str, dtype: Any, steps: int) -> tuple[Array, Array]:
    """The result of the kernels, and that of the definition."""
    case = fast_case(RECIPES[recipe], (3, 20, 65), dtype)
    found, _ = device_engine(case, None, steps).step(case.v, (), (), (0.2,))
    return found, iterated(case, case.v, 0.2, 0.4, 1.0, None, steps)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_sum_of_terms_has_its_joint_prox(recipe: str, dtype: Any) -> None:
    found, expected = joint_prox(recipe, dtype, 1)
    close = np.isclose(found, expected, rtol=tolerance(dtype), atol=tolerance(dtype))
    assert np.count_nonzero(~close) <= 1 + 0.002 * close.size


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "no_background"])
def test_many_newton_steps_find_the_same_minimiser(recipe: str, dtype: Any) -> None:
    actual, expected = joint_prox(recipe, dtype, 30)
    np.testing.assert_allclose(actual, expected, atol=1e-3 if dtype == np.float32 else 1e-6)


@pytest.mark.parametrize(
    ("recipe", "kind", "weight", "dtype"), [(*case, *rest) for case, *rest in every_pair(CHECKED, [0.0, 0.1], DTYPES)]
)
def test_check_is_that_of_the_definition(recipe: str, kind: str, weight: float, dtype: Any) -> None:
    case = fast_case(RECIPES[recipe], (3, 20, 130), dtype)
    check = device_engine(case, tv(case.x.shape, weight, case.x.dtype, *KINDS[kind])).check(case.x, (), (case.p,))
    agrees(check, case, case.split(weight, *KINDS[kind]), recipe)


@settings(max_examples=15)
@given(
    n=st.integers(1, 4),
    ny=st.integers(1, 30),
    nx=st.integers(1, 300),
    seed=st.integers(0, 99),
    kind=st.sampled_from(sorted(KINDS)),
)
def test_the_order_of_the_threads_does_not_change_a_bit(n: int, ny: int, nx: int, seed: int, kind: str) -> None:
    case = fast_case(Recipe(), (n, ny, nx), np.float32, seed)
    term = tv(case.x.shape, 0.1, case.x.dtype, *KINDS[kind])
    actual: list[tuple[Array, Array, Evaluation]] = []
    for backwards in (False, True):
        engine = device_engine(case, term, backwards=backwards)
        x, (p,) = engine.step(engine.put(case.v), (), (engine.put(case.p),), (0.3, 0.4), 1.5)
        actual.append((x, p, engine.check(x, (), (p,))))
    np.testing.assert_array_equal(actual[0][0], actual[1][0])
    np.testing.assert_array_equal(actual[0][1], actual[1][1])
    assert actual[0][2] == actual[1][2]


@pytest.mark.parametrize("kind", KINDS)
def test_iterations_follow_those_of_the_numba_kernels(kind: str) -> None:
    fast_engine: Any = pytest.importorskip("fusionkit.engines.cpu.tv", reason="the compiled kernels need Numba")
    case = fast_case(RECIPES["fused"], (3, 33, 130), np.float32)
    term = tv(case.x.shape, 0.1, case.x.dtype, *KINDS[kind])
    device, host = device_engine(case, term), fast_engine.TVEngine(case.spec, term.kernel, case.x.shape, case.x.dtype)
    (x, p), (y, q) = (case.x.copy(), case.p.copy()), (case.x.copy(), case.p.copy())
    for iteration in range(40):
        rho = 1.6 if iteration < 39 else 1.0
        x, (p,) = device.step(x, (), (p,), (0.05, 0.4), rho)
        host.step(y, (), (q,), (0.05, 0.4), rho)
    np.testing.assert_allclose(x, y, atol=1e-5)
    np.testing.assert_allclose(p, q, atol=1e-5)


@pytest.mark.parametrize("gamma", [1.0, 1.4, 1.7, 2.0, 2.5])
def test_iterations_reach_the_minimum(gamma: float) -> None:
    case = fast_case(Recipe(gamma=gamma, coupled=0.3), (2, 16, 21), np.float64)
    engine = device_engine(case, tv(case.x.shape, 0.1, case.x.dtype))
    x, p = case.x.copy(), np.zeros_like(case.p)
    for iteration in range(3000):
        x, (p,) = engine.step(x, (), (p,), (0.4, 0.3), 1.0 if iteration == 2999 else 1.5)
    certificate = engine.check(x, (), (p,)).certificate
    assert certificate is not None
    assert certificate.optimality < 1e-6


def test_a_lone_gradient_is_left_to_the_definition() -> None:
    case = fast_case(RECIPES["maps"], (2, 8, 9), np.float32)
    check = device_engine(case, tv(case.x.shape, 0.1, case.x.dtype)).check(case.x, (), (np.zeros_like(case.p),))
    assert check.certificate is None


def test_an_engine_with_other_parameters_uses_the_memory_of_the_former() -> None:
    case = fast_case(RECIPES["fused"], (2, 8, 9), np.float32)
    first = device_engine(case, tv(case.x.shape, 0.1, case.x.dtype))
    kernel: Any = tv(case.x.shape, 0.2, case.x.dtype).kernel
    second = DeviceEngine(case.spec, kernel, case.x.shape, case.x.dtype, 1, first.device, first)
    actual = second.step(case.x, (), (case.p,), (0.1, 0.4))
    fresh = device_engine(case, tv(case.x.shape, 0.2, case.x.dtype)).step(case.x, (), (case.p,), (0.1, 0.4))
    np.testing.assert_array_equal(actual[0], fresh[0])
    assert all(a is b for a, b in zip(first._data, second._data, strict=True) if a.size > 1)
