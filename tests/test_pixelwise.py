"""The joint pixelwise prox: against brute force, descent, bounds, and finite values for any input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from covering import every_pair
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from fusionkit.operators.fidelity import fidelity
from fusionkit.operators.fidelity.least_squares import LeastSquaresLoss
from fusionkit.operators.fidelity.poisson import PoissonLoss
from fusionkit.operators.forward import PixelwiseChain
from fusionkit.operators.forward.absorption import Attenuation
from fusionkit.operators.forward.identity import Identity
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.problem import Box
from fusionkit.terms import Array, Pixelwise

PIXELS = (2, 3)
GAMMAS = (1.0, 1.4, 1.6, 2.0, 3.0)


WEIGHT = 0.24  # of the Poisson term


def column(z: Array) -> Array:
    return z[:, None, None]


@dataclass(frozen=True)
class Pixels:
    """Independent pixels and the parameters of a joint prox.

    Parameters
    ----------
    n : elements.
    gamma : exponent of the HAADF model.
    step : of the prox.
    upper : upper bound, ``inf`` for none.
    epsilon : background of the Poisson term.
    scale : of counts and maps.
    seed : of the data.
    images : number of HAADF-like terms.
    """

    n: int
    gamma: float
    step: float
    upper: float = np.inf
    epsilon: float = 0.1
    scale: float = 1.0
    seed: int = 0
    images: int = 1

    def data(self) -> tuple[Array, Sequence[tuple[Array, Array]]]:
        """Counts (n, ny, nx), and Z (n,) with the image (ny, nx) of each HAADF-like term."""
        random = np.random.default_rng(self.seed)
        counts = self.scale * random.gamma(1.0, 1.0, (self.n, *PIXELS)) * (random.random((self.n, *PIXELS)) < 0.7)
        pairs = [(random.uniform(0.3, 2.0, self.n), self.scale * random.gamma(2.0, 1.0, PIXELS))]
        pairs += [(random.uniform(0.3, 2.0, self.n), self.scale * random.gamma(2.0, 1.0, PIXELS))] * (self.images - 1)
        return counts, pairs

    def terms(self, dtype: Any) -> tuple[Pixelwise, ...]:
        counts, pairs = self.data()
        found = [fidelity("poisson", WEIGHT, PoissonLoss(self.epsilon), Identity(counts.shape), counts.astype(dtype))]
        for index, (z, image) in enumerate(pairs):
            model = PowerSum(self.gamma, z, PIXELS)
            found.append(fidelity(f"haadf{index}", 1.0, LeastSquaresLoss(), model, image.astype(dtype)))
        return tuple(term for term in found if isinstance(term, Pixelwise))

    def point(self, dtype: Any) -> Array:
        random = np.random.default_rng(self.seed + 1)
        return (self.scale * random.normal(0.5, 1.0, (self.n, *PIXELS))).astype(dtype)

    @property
    def bounds(self) -> Box:
        return Box(0.0, self.upper)

    def parts(self, x: Array, v: Array) -> list[Array]:
        """The summands of the prox's objective at each pixel, written out in float64."""
        counts, pairs = self.data()
        x, v = x.astype(np.float64), v.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(counts > 0, counts * np.log(x + self.epsilon), 0.0)
        squares = [0.5 * (((column(z) * x) ** self.gamma).sum(0) - image) ** 2 for z, image in pairs]
        return [((x - v) ** 2).sum(0) / (2 * self.step), WEIGHT * (x - logs).sum(0), *squares]

    def objective(self, x: Array, v: Array) -> Array:
        return np.sum(self.parts(x, v), axis=0)

    def gradient(self, x: Array, v: Array) -> Array:
        counts, pairs = self.data()
        total = (x - v) / self.step + WEIGHT * (1 - counts / (x + self.epsilon))
        for z, image in pairs:
            scaled = column(z) * x
            total += self.gamma * column(z) * scaled ** (self.gamma - 1) * ((scaled**self.gamma).sum(0) - image)
        return total

    def starts(self, v: Array) -> list[Array]:
        guesses = [np.clip(v, 1e-3, None), np.full_like(v, 0.1 * self.scale), np.full_like(v, self.scale)]
        corners = [
            np.where(column(np.arange(self.n, dtype=float)) == i, self.scale, np.full_like(v, 1e-3))
            for i in range(self.n)
        ]
        return [np.clip(start, 0.0, self.upper).astype(v.dtype) for start in (*guesses, *corners)]


def minimised(case: Pixels, v: Array, start: Array) -> Array:
    """The objective at each pixel after a general minimiser from ``start``, all pixels at once."""

    def objective(u: Array) -> tuple[float, Array]:
        x = u.reshape(v.shape)
        return float(case.objective(x, v).sum()), case.gradient(x, v).ravel()

    found = minimize(
        objective,
        start.ravel(),
        jac=True,
        bounds=[(0.0, None if np.isinf(case.upper) else case.upper)] * v.size,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000, "maxfun": 3000},
    )
    return case.objective(found.x.reshape(v.shape), v)


def cases(gammas: tuple[float, ...] = GAMMAS) -> st.SearchStrategy[Pixels]:
    return st.builds(
        Pixels,
        n=st.integers(1, 4),
        gamma=st.sampled_from(gammas),
        step=st.sampled_from([1e-3, 0.1, 1.0, 30.0]),
        upper=st.sampled_from([np.inf, 0.8]),
        epsilon=st.sampled_from([0.1, 1e-3]),
        seed=st.integers(0, 10_000),
        images=st.integers(1, 2),
    )


@settings(max_examples=12)
@given(cases())
def test_finds_what_brute_force_finds(case: Pixels) -> None:
    v = case.point(np.float64)
    prox = PixelwiseProx(case.terms(np.float64), case.bounds)
    actual = [case.objective(prox(v, case.step, start, 200), v) for start in case.starts(v)]
    expected = np.min([minimised(case, v, start) for start in case.starts(v)], axis=0)
    np.testing.assert_array_less(np.min(actual, axis=0), expected + 1e-6 * (1 + np.abs(expected)))


@settings(max_examples=12)
@given(cases())
def test_ends_where_nothing_is_left_to_gain(case: Pixels) -> None:
    v = case.point(np.float64)
    # a thousand: without the negative curvature the model may be far too steep, and progress slow
    x = PixelwiseProx(case.terms(np.float64), case.bounds)(v, case.step, case.starts(v)[0], 1000)
    reached = case.objective(x, v)
    np.testing.assert_array_less(reached - minimised(case, v, x), 1e-8 * (1 + np.abs(reached)))


@given(cases((1.0,)), st.sampled_from([0.98, 1.02]))
def test_a_start_a_hair_above_a_bound_is_no_trap(case: Pixels, factor: float) -> None:
    v = case.point(np.float64)
    prox = PixelwiseProx(case.terms(np.float64), case.bounds)
    minimiser = prox(v, case.step, np.full_like(v, 0.5), 200)
    actual = prox(v, case.step, case.bounds.prox(factor * minimiser + 1e-9, case.step), 30)
    expected = case.objective(minimiser, v)
    np.testing.assert_array_less(case.objective(actual, v), expected + 1e-9 * (1 + np.abs(expected)))


EXTREMES = [
    (Pixels(n, gamma, step, upper, epsilon, scale, seed=3, images=images), dtype)
    for (n, images), gamma, step, (upper, epsilon, scale), dtype in every_pair(
        [(1, 1), (3, 1), (3, 2)],
        [0.7, 1.0, 1.6, 3.0],
        [1e-6, 1.0, 1e6],
        [(np.inf, 0.1, 1.0), (np.inf, 0.0, 1e4), (0.3, 1e-9, 1e-4), (0.0, 0.1, 1.0)],
        [np.float32, np.float64],
    )
]


@pytest.mark.parametrize(("case", "dtype"), EXTREMES, ids=str)
def test_never_worse_never_outside_always_finite(case: Pixels, dtype: Any) -> None:
    v = case.point(dtype)
    prox = PixelwiseProx(case.terms(dtype), case.bounds)
    tiny = np.minimum(np.full_like(v, np.finfo(dtype).tiny), dtype(case.upper))
    for x in (np.clip(v, 0.0, case.upper), np.zeros_like(v), tiny, *case.starts(v)):
        for _ in range(4):
            before = case.objective(x, v)
            kept, x = x.copy(), prox(v, case.step, x)
            assert np.all(np.isfinite(x))
            assert np.all(x >= 0)
            assert np.all(x <= dtype(case.upper))
            after = case.objective(x, v)
            # the halving compares sums in the precision of x
            slack = 2e-6 * np.abs(before) + 20 * np.finfo(dtype).eps * sizes(case, kept, v)
            assert np.all((after <= before + slack) | ~np.isfinite(before))


def sizes(case: Pixels, x: Array, v: Array) -> Array:
    """The magnitudes of the summands of a pixel's objective, to which rounding is relative."""
    return np.sum(np.abs(case.parts(x, v)), axis=0)


@pytest.mark.parametrize("weight", [0.0, 1e-30, 1e30])
def test_weights_from_nothing_to_huge(weight: float) -> None:
    b = np.ones((2, *PIXELS), np.float32)
    terms = (
        fidelity("poisson", weight, PoissonLoss(0.1), Identity(b.shape), b),
        fidelity("haadf", weight, LeastSquaresLoss(), PowerSum(1.6, [1.0, 2.0], PIXELS), b[0]),
    )
    x = PixelwiseProx(tuple(t for t in terms if isinstance(t, Pixelwise)), Box(0.0))(0.5 * b, 1.0, b, 30)
    assert np.all(np.isfinite(x))
    if weight < 1:
        np.testing.assert_allclose(x, 0.5, rtol=1e-5)


def test_no_counts_and_no_signal_give_zero() -> None:
    b = np.zeros((2, *PIXELS))
    terms = (
        fidelity("poisson", 1.0, PoissonLoss(0.1), Identity(b.shape), b),
        fidelity("haadf", 1.0, LeastSquaresLoss(), PowerSum(1.6, [1.0, 2.0], PIXELS), b[0]),
    )
    x = PixelwiseProx(tuple(t for t in terms if isinstance(t, Pixelwise)), Box(0.0))(b, 1.0, b + 1, 50)
    np.testing.assert_array_equal(x, 0.0)


def test_without_terms_it_is_the_projection_and_inputs_stay() -> None:
    v = np.linspace(-1, 2, 12).reshape(2, 2, 3)
    kept = v.copy()
    np.testing.assert_array_equal(PixelwiseProx((), Box(0.0, 1.0))(v, 1.0, v), np.clip(v, 0, 1))
    case = Pixels(2, 1.6, 1.0)
    x = case.point(np.float64)
    start = np.clip(x, 0, None)
    before = start.copy()
    PixelwiseProx(case.terms(np.float64), case.bounds)(x, 1.0, start, 3)
    np.testing.assert_array_equal(v, kept)
    np.testing.assert_array_equal(start, before)


@given(cases(), st.sampled_from([np.float32, np.float64]))
def test_blocks_and_output_buffers_change_nothing(case: Pixels, dtype: Any) -> None:
    """In place, and with bounds as arrays, it gives the same bits."""
    v = case.point(dtype)
    start = case.starts(v)[0]
    expected = PixelwiseProx(case.terms(dtype), case.bounds)(v, case.step, start, 2)
    arrays = Box(np.zeros((1, *PIXELS), dtype), np.full(PIXELS, case.upper, dtype))
    actual = PixelwiseProx(case.terms(dtype), arrays)(v, case.step, start, 2, out=start)
    assert actual is start
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("step", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("counting", [True, False])
def test_chain_of_a_weighted_sum_takes_part(step: float, counting: bool) -> None:
    """Absorption with counts of the maps: the joint prox reaches the value of a general minimiser at each pixel."""
    random = np.random.default_rng(3)
    mu, counts = np.array([0.4, 1.3, 0.8]), random.gamma(1.0, 1.0, (3, *PIXELS))
    image = 2.0 * np.exp(-random.gamma(2.0, 0.5, PIXELS))
    bright = PixelwiseChain(Attenuation(2.0), PowerSum(1.0, mu, PIXELS), nonnegative=True)
    loss = PoissonLoss(0.0) if counting else LeastSquaresLoss()
    terms = (
        fidelity("maps", WEIGHT, PoissonLoss(0.1), Identity(counts.shape), counts),
        fidelity("bright", 5.0, loss, bright, image),
    )
    pixelwise = tuple(term for term in terms if isinstance(term, Pixelwise))
    assert len(pixelwise) == 2
    v = random.normal(0.5, 1.0, counts.shape)

    def objective(x: Array) -> Array:
        m, squares = 2.0 * np.exp(-np.tensordot(mu, x, 1)), ((x - v) ** 2).sum(0) / (2 * step)
        fit = m - image * np.log(m) if counting else 0.5 * (m - image) ** 2
        return squares + WEIGHT * (x - counts * np.log(x + 0.1)).sum(0) + 5.0 * fit

    starts = [np.full_like(v, 0.1), np.ones_like(v), np.clip(v, 1e-3, None)]
    actual = [objective(PixelwiseProx(pixelwise, Box(0.0))(v, step, start, 200)) for start in starts]
    expected = [
        objective(
            minimize(
                lambda u: float(objective(u.reshape(v.shape)).sum()),
                start.ravel(),
                bounds=[(0.0, None)] * v.size,
                method="L-BFGS-B",
                options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000, "maxfun": 100_000},
            ).x.reshape(v.shape)
        )
        for start in starts
    ]
    np.testing.assert_allclose(np.min(actual, axis=0), np.min(expected, axis=0), rtol=1e-6, atol=1e-8)
