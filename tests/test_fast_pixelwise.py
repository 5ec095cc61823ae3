"""The compiled joint prox against its definition in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from fast_cases import RECIPES, FastCase, Recipe, fast_case
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.engines.kernel_terms import Kernel, PixelwiseSpec, Unsupported, describe
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.problem import Box
from fusionkit.terms import Array, Expansion, Pixelwise

fast_pixelwise: Any = pytest.importorskip("fusionkit.engines.cpu.joint_prox", reason="the compiled kernels need Numba")

DTYPES = [np.float32, np.float64]


def both(case: FastCase, step: float, newton_steps: int = 1, threads: int = 1) -> tuple[Array, Array]:
    definition = PixelwiseProx(case.terms, case.bounds)(case.v, step, case.x, newton_steps)
    return definition, fast_pixelwise.prox(case.spec, case.v, step, case.x, newton_steps, threads=threads)


def objective(case: FastCase, x: Array, step: float) -> Array:
    """The objective of the prox at each pixel, from the terms in double precision."""
    exact, rows = x.astype(np.float64), slice(0, x.shape[1])
    total = ((exact - case.v) ** 2).sum(axis=0) / (2 * step)
    for term in case.terms:
        total = total + term.pixel_values(exact, rows)
    return total


def check_agreement(case: FastCase, step: float) -> None:
    """The same values, except at pixels whose step one of the two shortened; there the objective is no worse."""
    definition, actual = both(case, step)
    close = np.isclose(actual, definition, rtol=1e-4, atol=1e-5).all(axis=0)
    assert np.count_nonzero(~close) <= 1 + 0.01 * close.size
    worst, reached = objective(case, definition, step), objective(case, actual, step)
    rounding = 64 * np.finfo(case.x.dtype).eps
    assert np.all(reached <= worst + rounding * (1 + np.abs(worst)))
    assert np.all((actual >= case.bounds.lower) & (actual <= case.bounds.upper))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_one_step_is_that_of_the_definition(recipe: str, dtype: Any) -> None:
    check_agreement(fast_case(RECIPES[recipe], (3, 20, 65), dtype), 0.3)


@pytest.mark.parametrize("n", [*range(1, 9), 9, 20, 32])
@pytest.mark.parametrize("nx", [1, 7, 64, 65, 257])
def test_any_number_of_elements_and_any_width(n: int, nx: int) -> None:
    check_agreement(fast_case(Recipe(squares=0.2), (n, 5, nx), np.float32, seed=n), 0.2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "no_background"])
def test_many_steps_find_the_same_minimiser(recipe: str, dtype: Any) -> None:
    case = fast_case(RECIPES[recipe], (2, 9, 33), dtype)
    definition, actual = both(case, 0.1, newton_steps=30)
    np.testing.assert_allclose(actual, definition, atol=1e-3 if dtype == np.float32 else 1e-6)


@settings(deadline=None, max_examples=25)
@given(
    gamma=st.floats(1.0, 4.0),
    weights=st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 5.0), st.floats(0.0, 5.0)),
    upper=st.floats(0.3, 3.0),
    step=st.floats(1e-3, 10.0),
    seed=st.integers(0, 1000),
)
def test_no_step_increases_the_objective(
    gamma: float, weights: tuple[float, float, float], upper: float, step: float, seed: int
) -> None:
    coupled, poisson, squares = weights
    case = fast_case(Recipe(coupled, gamma, poisson, 0.05, squares, 0.0, upper), (3, 4, 19), np.float32, seed)
    found = fast_pixelwise.prox(case.spec, case.v, step, case.x, threads=1)
    before, after = objective(case, case.x, step), objective(case, found, step)
    scale = 1 + np.abs(before) + ((case.x - case.v) ** 2).sum(axis=0) / step
    assert np.all(after <= before + 1e-5 * scale)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_change_a_bit(threads: int) -> None:
    case = fast_case(RECIPES["fused"], (3, 61, 130), np.float32)
    np.testing.assert_array_equal(both(case, 0.3, threads=threads)[1], both(case, 0.3)[1])


def test_inputs_are_left_alone_and_out_may_be_the_start() -> None:
    case = fast_case(RECIPES["everything"], (3, 12, 31), np.float32)
    x, v = case.x.copy(), case.v.copy()
    actual = fast_pixelwise.prox(case.spec, case.v, 0.3, case.x, 2)
    np.testing.assert_array_equal(case.x, x)
    np.testing.assert_array_equal(case.v, v)
    assert fast_pixelwise.prox(case.spec, v, 0.3, x, 2, out=x) is x
    np.testing.assert_array_equal(x, actual)


def test_a_nan_stays_in_its_pixel() -> None:
    case = fast_case(RECIPES["fused"], (2, 6, 20), np.float32)
    clean = fast_pixelwise.prox(case.spec, case.v, 0.3, case.x)
    case.x[1, 3, 5] = np.nan
    actual = fast_pixelwise.prox(case.spec, case.v, 0.3, case.x)
    assert np.isnan(actual[1, 3, 5])
    elsewhere = np.ones((6, 20), bool)
    elsewhere[3, 5] = False
    np.testing.assert_array_equal(actual[:, elsewhere], clean[:, elsewhere])


@dataclass
class Described(Pixelwise):
    """A term with a kernel description."""

    kernel: Kernel | None
    name: str = "described"

    def value(self, x: Array) -> float:
        raise AssertionError

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        raise AssertionError

    def expand(self, x: Array, rows: slice) -> Expansion:
        raise AssertionError

    def pixel_values(self, x: Array, rows: slice) -> Array:
        raise AssertionError


def described(spec: PixelwiseSpec) -> list[Described]:
    return [Described(kernel) for kernel in (spec.squares, spec.coupled, spec.poisson) if kernel is not None]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_sum_of_described_terms_is_supported(recipe: str) -> None:
    case = fast_case(RECIPES[recipe], (2, 4, 5), np.float32)
    spec = describe(described(case.spec), case.bounds, case.x.shape)
    for name in ("coupled", "poisson", "squares", "lower", "upper"):
        assert getattr(spec, name) is getattr(case.spec, name) or getattr(spec, name) == getattr(case.spec, name)


def test_what_the_kernels_do_not_know_is_not_supported() -> None:
    case = fast_case(RECIPES["everything"], (2, 4, 5), np.float32)
    terms, spec = described(case.spec), case.spec
    assert spec.coupled is not None
    root, shape = Described(replace(spec.coupled, gamma=0.5)), case.x.shape
    box, others = Box(np.zeros(shape), np.inf), [Described(replace(spec.coupled), f"other {k}") for k in range(3)]
    for wrong, bounds, of, reason in (
        ([Described(None)], case.bounds, shape, "no kernel is compiled for described"),
        ([*terms, *others], case.bounds, shape, "other 2 couples the elements after 3 other terms"),
        ([root], case.bounds, shape, "exponents from 1 to 4, but that of described is 0.5"),
        (terms, box, shape, "the bounds differ between values"),
        (terms, case.bounds, (33, 4, 5), "at most 32 elements, but there are 33"),
        (terms, case.bounds, (20,), r"the unknown has the shape \(20,\)"),
    ):
        with pytest.raises(Unsupported, match=reason):
            describe(wrong, bounds, of)
