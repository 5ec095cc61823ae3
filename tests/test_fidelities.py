"""Data-fidelity terms: abilities, gradients, expansions, proximal operators, refusals; a new term is a row of TERMS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pylops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from fusionkit.build import Context
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.linear import PylopsMap
from fusionkit.operators.fidelity import Fidelity, Forward, LinearForward, Loss, fidelity
from fusionkit.operators.fidelity.least_squares import LeastSquaresLoss
from fusionkit.operators.fidelity.loss import LossFunctional
from fusionkit.operators.fidelity.poisson import PoissonLoss, least_epsilon
from fusionkit.operators.forward.identity import Identity
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.options import Spec
from fusionkit.terms import Array, Composed, Differentiable, Pixelwise, Proximable, Smooth

SHAPE = (3, 6, 5)
LABELS = ("Sc", "Dy", "O")
DTYPES = [np.float32, np.float64]
DYSCO3 = Path(__file__).parents[1].parent / "shared" / "data" / "dysco3.npz"


def arrays() -> dict[str, Array]:
    random = np.random.default_rng(5)
    maps = random.random(SHAPE)
    maps[maps < 0.2] = 0.0  # pixels without counts
    return {
        "maps": maps,
        "haadf": 2.5 * random.random(SHAPE[1:]),
        "X": random.standard_normal((9, 2)),
        "y": random.standard_normal(9),
        "two": random.random((2, 6, 5)),
        "coarse": random.random((3, 3, 2)),
        "small": random.random((3, 2)),
        "mixing": np.array([[0.7, 0.2, 0.0], [0.3, 0.5, 0.9]]),
    }


def term(spec: dict[str, Any], dtype: Any = np.float64, shape: tuple[int, ...] = SHAPE, **more: Array) -> Fidelity:
    context = Context(Dataset(arrays() | more), shape, LABELS, np.dtype(dtype))
    return context.build("terms", Spec.model_validate(spec), "terms[1]")


POISSON_SUM = {"type": "poisson", "weight": 0.3, "data": "haadf", "forward": "sum"}
ABSORPTION = {"type": "absorption", "mu": {"Sc": 0.4, "Dy": 1.7, "O": 0.9}, "incident": 2.0}
SMOOTHING = {"type": "pylops", "operator": "Smoothing2D", "arguments": {"nsmooth": [3, 3]}}
PS, SP, SC = (Pixelwise, Smooth), (Pixelwise, Smooth, Proximable), (Composed, Smooth)
# name: spec, what the term is (and nothing else), convex
TERMS: dict[str, tuple[dict[str, Any], tuple[type, ...], bool]] = {
    "haadf": ({"type": "haadf", "weight": 1.7}, PS, False),
    "haadf_1": ({"type": "haadf", "gamma": 1, "weight": 0.8}, PS, True),
    "haadf_1.3": ({"type": "haadf", "gamma": 1.3, "weight": 0.8}, PS, False),
    "haadf_2": ({"type": "haadf", "gamma": 2.0, "z": {"Sc": 1, "Dy": 1.5, "O": 0.5}}, PS, False),
    "haadf_0.7": ({"type": "haadf", "gamma": 0.7}, (Pixelwise,), False),
    "written_out": ({"type": "least_squares", "data": "haadf", "forward": "power_sum"}, PS, False),
    "least_squares": ({"type": "least_squares", "data": "maps", "weight": 2.5}, SP, True),
    "poisson": ({"type": "poisson", "weight": 0.24, "epsilon": 0.1}, SP, True),
    "poisson_0": ({"type": "poisson", "weight": 0.24, "epsilon": 0}, (Pixelwise, Proximable), True),
    "poisson_sum": (POISSON_SUM, PS, True),
    "poisson_sum_0": (POISSON_SUM | {"epsilon": 0.0}, (Pixelwise,), True),
    "poisson_power_sum": (POISSON_SUM | {"forward": {"type": "power_sum", "gamma": 1.5}}, PS, False),
    "one_element": (
        {"type": "least_squares", "data": "haadf", "forward": {"type": "element", "element": "O"}},
        PS,
        True,
    ),
    "absorption": ({"type": "least_squares", "data": "haadf", "weight": 1.3, "forward": ABSORPTION}, PS, False),
    "poisson_absorption": (POISSON_SUM | {"forward": ABSORPTION}, PS, False),
    "poisson_absorption_0": (POISSON_SUM | {"forward": ABSORPTION, "epsilon": 0}, (Pixelwise,), False),
    "blurred": ({"type": "least_squares", "data": "maps", "forward": {"type": "blur", "sigma": 1.0}}, SC, True),
    "poisson_blurred": ({"type": "poisson", "forward": {"type": "blur", "sigma": 1.0}}, SC, True),
    "poisson_0_blurred": (
        {"type": "poisson", "epsilon": 0, "forward": {"type": "blur", "sigma": 1}},
        (Composed,),
        True,
    ),
    "smoothed": ({"type": "least_squares", "data": "maps", "forward": SMOOTHING}, SC, True),
    "poisson_promised": ({"type": "poisson", "forward": SMOOTHING | {"nonnegative": True}}, SC, True),
    "elements": (
        {"type": "least_squares", "data": "two", "forward": {"type": "elements", "elements": {"O": 0.4, "Sc": 2.0}}},
        (Smooth, Pixelwise, Composed),
        True,
    ),
    "spectral": (
        {"type": "poisson", "data": "two", "forward": {"type": "spectral", "mixing": "mixing", "background": None}},
        (Smooth, Pixelwise, Composed),
        True,
    ),
    "poisson_scan": ({"type": "poisson", "data": "coarse", "forward": {"type": "scan", "shape": [3, 2]}}, SC, True),
    "scan_of_power_sum": (
        {
            "type": "least_squares",
            "data": "small",
            "forward": {"type": "scan", "shape": [3, 2], "reduce": "mean", "forward": {"type": "power_sum"}},
        },
        (Smooth,),
        False,
    ),
    "poisson_unpromised": ({"type": "poisson", "forward": SMOOTHING}, (Composed,), True),
}
ABILITIES = (Smooth, Pixelwise, Proximable, Composed)


def having(ability: type) -> pytest.MarkDecorator:
    """The rows of TERMS with an ability."""
    return pytest.mark.parametrize("name", [name for name, row in TERMS.items() if ability in row[1]])


def positive(seed: int = 3) -> Array:
    return np.random.default_rng(seed).random(SHAPE) + 0.05


def central_differences(exact: Differentiable, x: Array, h: float = 1e-5) -> Array:
    found = np.zeros(x.size)
    for k in range(x.size):
        d = np.zeros(x.size)
        d[k] = h
        d = d.reshape(x.shape)
        found[k] = (exact.value(x + d) - exact.value(x - d)) / (2 * h)
    return found.reshape(x.shape)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_type_says_what_the_term_is(name: str, dtype: Any) -> None:
    spec, abilities, convex = TERMS[name]
    found = term(spec, dtype)
    assert {kind for kind in ABILITIES if isinstance(found, kind)} == set(abilities)
    assert found.convex is convex
    assert found.name == spec["type"]
    assert found.data.dtype == dtype
    assert not found.data.flags.writeable
    assert type(found.value(positive().astype(dtype))) is float


@pytest.mark.parametrize("name", [name for name, row in TERMS.items() if Smooth in row[1] or Pixelwise in row[1]])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_is_that_of_the_value(name: str, dtype: Any) -> None:
    spec = TERMS[name][0]
    x = positive()
    expected = central_differences(_differentiable(term(spec)), x)
    found = _differentiable(term(spec, dtype))
    given_x = x.astype(dtype)
    gradient = found.gradient(given_x)
    assert gradient.dtype == dtype
    tolerance = 5e-6 if dtype is np.float32 else 1e-8
    np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
    out = np.full_like(given_x, 7.0)
    assert found.gradient(given_x, out) is out
    np.testing.assert_array_equal(out, gradient)
    np.testing.assert_array_equal(given_x, x.astype(dtype))


@having(Smooth)
@pytest.mark.parametrize("dtype", DTYPES)
def test_smooth_means_finite_on_the_border(name: str, dtype: Any) -> None:
    found = _differentiable(term(TERMS[name][0], dtype))
    x = positive().astype(dtype)
    x[:, ::2] = 0.0
    for point in (x, np.zeros_like(x)):
        assert np.isfinite(found.value(point))
        assert np.isfinite(found.gradient(point)).all()


def test_information_of_coinciding_spectra_is_that_of_the_rest() -> None:
    """An element whose spectrum is its own keeps its information; that of two with one spectrum is nil."""
    mixing = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.8]])
    spec = {"type": "poisson", "data": "two", "forward": {"type": "spectral", "mixing": "mixing", "background": None}}
    found = _pixelwise(term(spec, mixing=mixing)).information(positive(), slice(None))
    alone = 0.8**2 / (0.8 * positive()[2] + 0.1)
    np.testing.assert_allclose(found[2], alone, rtol=1e-6)
    assert found[:2].max() < 1e-6 * alone.min()


def test_information_of_a_mixture_is_that_of_its_fisher_matrix() -> None:
    """As many sets of channels as elements, and one set more."""
    spec = {"type": "poisson", "data": "maps", "forward": {"type": "spectral", "mixing": "mixing", "background": None}}
    for mixing in (np.array([[0.7, 0.2, 0.0], [0.3, 0.5, 0.1], [0.0, 0.3, 0.9]]), np.eye(4, 3) + 0.1):
        more = {"maps": np.random.default_rng(1).random((len(mixing), *SHAPE[1:])), "mixing": mixing}
        found = _pixelwise(term(spec, **more)).information(positive(), slice(None))
        expected = np.tensordot(mixing, positive(), 1) + 0.1
        fisher = np.einsum("kyx,ki,kj->yxij", 1.0 / expected, mixing, mixing)
        np.testing.assert_allclose(found, 1.0 / np.einsum("yxii->iyx", np.linalg.inv(fisher)), rtol=1e-6)


@having(Pixelwise)
@pytest.mark.parametrize("dtype", DTYPES)
def test_expansion(name: str, dtype: Any) -> None:
    found = _pixelwise(term(TERMS[name][0], dtype))
    x = positive().astype(dtype)
    kept = x.copy()
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    whole = found.gradient(x)
    total = 0.0
    for rows in (slice(0, 4), slice(4, 6)):
        block = found.expand(x[:, rows], rows)
        assert block.gradient.dtype == block.curvature.dtype == dtype
        assert block.gradient.shape == block.curvature.shape == x[:, rows].shape
        np.testing.assert_allclose(block.gradient, whole[:, rows], rtol=tolerance, atol=tolerance)
        assert (block.curvature >= 0).all()
        if block.coupling is not None:
            assert block.coupling.dtype == dtype
            assert block.coupling.shape == x[:, rows].shape
        values = found.pixel_values(x[:, rows], rows)
        assert values.dtype == dtype
        assert values.shape == x[0, rows].shape
        total += float(values.sum(dtype=np.float64))
    assert total == pytest.approx(found.value(x), rel=tolerance)
    np.testing.assert_array_equal(x, kept)


@having(Pixelwise)
def test_expansion_bounds_the_hessian(name: str) -> None:
    found = _pixelwise(term(TERMS[name][0]))
    x, h = positive(), 1e-5
    n = len(x)
    expansion = found.expand(x, slice(0, x.shape[1]))
    model = np.einsum("iyx,ij->yxij", expansion.curvature, np.eye(n))
    if expansion.coupling is not None:
        model += np.einsum("iyx,jyx->yxij", expansion.coupling, expansion.coupling)
    hessian = np.zeros_like(model)
    for j in range(n):  # pixels are independent, so one difference serves all of them
        d = np.zeros_like(x)
        d[j] = h
        hessian[..., j] = np.moveaxis(found.gradient(x + d) - found.gradient(x - d), 0, -1) / (2 * h)
    scale = np.abs(hessian).max()
    assert np.linalg.eigvalsh(model - hessian).min() >= -1e-6 * scale
    if TERMS[name][2] and name != "spectral":  # whose model is a majorant
        np.testing.assert_allclose(model, hessian, rtol=1e-6, atol=1e-6 * scale)


@having(Pixelwise)
@pytest.mark.parametrize("dtype", DTYPES)
def test_expansion_is_finite_everywhere(name: str, dtype: Any) -> None:
    found = _pixelwise(term(TERMS[name][0], dtype))
    for fill in (0.0, -0.5, 1e-30, 100.0):
        expansion = found.expand(np.full(SHAPE, fill, dtype), slice(0, SHAPE[1]))
        for part in (expansion.gradient, expansion.curvature, expansion.coupling):
            assert part is None or np.isfinite(part).all()


@having(Proximable)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [0.03, 1.0, 40.0])
def test_prox_is_the_minimiser(name: str, dtype: Any, step: float) -> None:
    found = term(TERMS[name][0], dtype)
    assert isinstance(found, Proximable)
    v = (3 * np.random.default_rng(8).standard_normal(SHAPE)).astype(dtype)
    kept = v.copy()
    x = found.prox(v, step)
    assert x.dtype == dtype
    low = 0.0 if isinstance(found.loss, PoissonLoss) else -50.0
    for b, point, minimiser in zip(found.data.ravel()[::7], v.ravel()[::7], x.ravel()[::7], strict=True):
        best = brute_force(found.loss, float(b), float(point), step * found.weight, low)
        assert minimiser == pytest.approx(best, abs=2e-5)
    out = np.empty_like(v)
    assert found.prox(v, step, out) is out
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(v, kept)


def brute_force(loss: Loss, b: float, v: float, step: float, low: float) -> float:
    """The minimiser of phi(m; b) + (m - v)^2 / (2 step) over low <= m <= 50, by a bounded scalar search."""

    def objective(m: float) -> float:
        return float(loss.values(np.array([m]), np.array([b]))[0]) + (m - v) ** 2 / (2 * step)

    search: Any = minimize_scalar(objective, bounds=(low, 50.0), method="bounded", options={"xatol": 1e-10})
    found = float(search.x)
    return low if objective(low) <= objective(found) else found


FINITE = st.floats(-1e3, 1e3)
STEPS = st.floats(1e-3, 1e3)
COUNTS = st.just(0.0) | st.floats(1e-6, 1e3)  # no values that vanish in float32


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=50)
@given(v=FINITE, b=COUNTS, step=STEPS, epsilon=st.sampled_from([0.0, 1e-3, 0.1, 5.0]))
def test_poisson_prox_is_optimal(dtype: Any, v: float, b: float, step: float, epsilon: float) -> None:
    loss = PoissonLoss(epsilon)
    prox = loss.prox(np.array([v], dtype), np.array([b], dtype), step)
    m = float(prox[0])
    assert prox.dtype == dtype
    assert m >= 0
    # (m - v) + step (1 - b / (m + eps)) is 0 inside and >= 0 at the border; here times (m + eps)
    mean = m + epsilon
    slope = (m - v + step) * mean - step * b
    rounding = 2e-6 if dtype is np.float32 else 1e-13
    allowed = rounding * ((abs(m) + abs(v) + step + epsilon) * (mean + epsilon) + step * b)
    assert slope >= -allowed
    if m > 0:
        assert slope <= allowed


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=25)
@given(v=st.floats(-50, 50), b=st.floats(0, 50), step=st.floats(0.01, 10), weight=st.floats(0.1, 10))
def test_moreau_against_the_known_conjugates(dtype: Any, v: float, b: float, step: float, weight: float) -> None:
    """proxdual of the functional against the closed-form prox of the conjugate, derived independently."""
    point = np.array([v], dtype)
    data = np.array([b], dtype)
    tolerance = 1e-4 if dtype is np.float32 else 1e-10
    operator = LinearForward(PylopsMap(pylops.Identity(1, dtype=str(np.dtype(dtype))), (1,), (1,)), nonnegative=True)
    squares = fidelity("squares", weight, LeastSquaresLoss(), operator, data)
    counts = fidelity("counts", weight, PoissonLoss(0.0), operator, data)
    assert isinstance(squares, Composed)
    assert isinstance(counts, Composed)
    dual = squares.functional.proxdual(point, step)
    assert dual.dtype == dtype
    assert float(dual[0]) == pytest.approx((v - step * b) / (1 + step / weight), rel=tolerance, abs=tolerance * 50)
    expected = 0.5 * (weight + v - np.sqrt((v - weight) ** 2 + 4 * step * weight * b))
    dual = counts.functional.proxdual(point, step)
    assert float(dual[0]) == pytest.approx(expected, rel=tolerance, abs=tolerance * 50)
    primal = counts.functional.prox(point / dtype(step), 1 / step)
    np.testing.assert_allclose(dual + dtype(step) * primal, point, rtol=tolerance, atol=tolerance * 50)


@pytest.mark.parametrize("loss", [LeastSquaresLoss(), PoissonLoss(0.0), PoissonLoss(0.2)], ids=repr)
@settings(deadline=None, max_examples=25)
@given(pair=st.tuples(FINITE, FINITE), b=st.floats(0, 100), step=STEPS)
def test_prox_is_firmly_nonexpansive(loss: Loss, pair: tuple[float, float], b: float, step: float) -> None:
    v = np.array(pair)
    p = loss.prox(v, np.full(2, b), step)
    moved, image = v[1] - v[0], p[1] - p[0]
    assert image * moved >= image**2 - 1e-9 * (1 + moved**2)


@having(Composed)
@pytest.mark.parametrize("dtype", DTYPES)
def test_composed_fidelity_agrees_with_itself(name: str, dtype: Any) -> None:
    found = term(TERMS[name][0], dtype)
    assert isinstance(found, Composed)
    x = positive().astype(dtype)
    image = found.operator.apply(x).ravel()
    assert found.functional(image) == pytest.approx(found.value(x), rel=1e-5)
    p = found.functional.prox(image, 0.7)
    assert p.dtype == dtype
    assert p.shape == image.shape
    np.testing.assert_allclose(found.functional.proxdual(image / 0.7, 1 / 0.7), (image - p) / 0.7, rtol=1e-3, atol=1e-4)
    if isinstance(found, Smooth):  # the gradient of the functional, pulled back, is the gradient of the term
        assert isinstance(found.functional, LossFunctional)
        pulled = found.operator.adjoint(found.functional.grad(image).reshape(found.operator.range))
        np.testing.assert_allclose(pulled, found.gradient(x), rtol=1e-4, atol=1e-5)


def test_offset_of_a_linear_forward_reaches_the_functional() -> None:
    matrix, offset, data = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([1.0, -1.0]), np.array([3.0, 4.0])
    model = LinearForward(PylopsMap(pylops.MatrixMult(matrix), (2,), (2,)), offset)
    found = fidelity("f", 2.0, LeastSquaresLoss(), model, data)
    assert isinstance(found, Composed)
    x = np.array([0.5, 0.25])
    assert found.value(x) == pytest.approx((1 + 1 - 3) ** 2 + (0.25 - 1 - 4) ** 2)
    assert found.functional(matrix @ x) == pytest.approx(found.value(x))
    z = np.array([0.3, 0.2])
    expected = (z + 0.5 * 2.0 * (data - offset)) / 2.0
    np.testing.assert_allclose(found.functional.prox(z, 0.5), expected)


def test_values_by_hand() -> None:
    b, m = np.array([0.0, 2.0, 3.0]), np.array([1.0, 2.0, 0.5])
    np.testing.assert_allclose(PoissonLoss(0.1).values(m, b), m - b * np.log(m + 0.1))
    np.testing.assert_array_equal(PoissonLoss(0.0).values(np.zeros(2), np.array([0.0, 1.0])), [0.0, np.inf])
    assert np.isposinf(PoissonLoss(0.1).values(np.array([-0.2]), np.array([1.0]))[0])
    np.testing.assert_allclose(LeastSquaresLoss().values(m, b), (m - b) ** 2 / 2)
    found = term({"type": "poisson", "weight": 0.0, "epsilon": 0})
    assert found.value(np.zeros(SHAPE)) == 0.0


class Product(Forward):
    """A model that is neither pixelwise nor linear: the product of neighbouring values."""

    range = (3,)

    def apply(self, x: Array) -> Array:
        return x[1:] * x[:-1]

    def adjoint(self, x: Array, r: Array) -> Array:
        pulled = np.zeros_like(x)
        pulled[1:] += r * x[:-1]
        pulled[:-1] += r * x[1:]
        return pulled


def test_any_other_forward_model() -> None:
    data = np.array([1, 2, 3])  # integers
    x = np.array([0.5, 1.0, 1.5, 2.0])
    found = fidelity("product", 0.5, LeastSquaresLoss(), Product(), data)
    assert isinstance(found, Smooth)
    assert not isinstance(found, Pixelwise | Proximable | Composed)
    assert not found.convex
    assert found.data.dtype == np.float64
    assert data.flags.writeable
    np.testing.assert_allclose(found.gradient(x), central_differences(found, x), rtol=1e-7)
    out = np.empty_like(x)
    assert found.gradient(x, out) is out
    counts = fidelity("counts", 0.5, PoissonLoss(0.1), Product(), data)
    assert isinstance(counts, Differentiable)
    assert not isinstance(counts, Smooth)  # this prediction need not be >= 0


def test_regression_term() -> None:
    spec = {"type": "least_squares", "name": "fit", "data": "y", "forward": {"type": "affine", "matrix": "X"}}
    found = term(spec, shape=(3,))
    given_arrays = arrays()
    w = np.array([0.3, -0.4, 0.2])
    residual = given_arrays["X"] @ w[:2] + 0.2 - given_arrays["y"]
    assert found.name == "fit"
    assert isinstance(found, Smooth)
    assert isinstance(found, Composed)
    assert found.value(w) == pytest.approx(0.5 * float(residual @ residual))
    np.testing.assert_allclose(found.gradient(w), [*(given_arrays["X"].T @ residual), residual.sum()])


def test_flat_predictions_take_data_of_any_shape() -> None:
    operator = LinearForward(PylopsMap(pylops.MatrixMult(np.eye(30)), SHAPE[1:], (30,)))
    found = fidelity("flat", 1.0, LeastSquaresLoss(), operator, arrays()["haadf"])
    assert found.data.shape == (30,)


NEGATIVE = arrays()["maps"].copy()
NEGATIVE[1, 2, 3] = NEGATIVE[2, 0, 0] = -0.5
ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "weight_negative": ({"type": "haadf", "weight": -1.0}, r"^terms\[1\].weight: .*-1"),
    "weight_nan": ({"type": "poisson", "weight": float("nan")}, r"^terms\[1\].weight: "),
    "weight_infinite": ({"type": "poisson", "weight": float("inf")}, r"^terms\[1\].weight: "),
    "gamma": ({"type": "haadf", "gamma": 4.5}, r"^terms\[1\].gamma: .*4.5"),
    "epsilon": ({"type": "poisson", "epsilon": -0.1}, r"^terms\[1\].epsilon: .*-0.1"),
    "epsilon_infinite": ({"type": "poisson", "epsilon": float("inf")}, r"^terms\[1\].epsilon: "),
    "misspelt": ({"type": "haadf", "wieght": 1.0}, r"^terms\[1\].wieght: unknown key; did you mean 'weight'"),
    "no_data_key": ({"type": "least_squares"}, r"^terms\[1\].data: is missing"),
    "no_such_data": ({"type": "haadf", "data": "haafd"}, r"^terms\[1\].data: .*'haafd'; did you mean 'haadf'"),
    "z": ({"type": "haadf", "z": {"Sc": 21}}, r"^terms\[1\].z: has no value for Dy, O"),
    "forward": ({"type": "poisson", "forward": "idenity"}, r"^terms\[1\].forward.type: .*did you mean 'identity'"),
    "shape": (
        {"type": "least_squares", "data": "haadf"},
        r"^terms\[1\]: .*predicts shape \(3, 6, 5\) but the data have shape \(6, 5\)",
    ),
    "shape_of_poisson": (
        {"type": "poisson", "forward": "power_sum"},
        r"^terms\[1\]: .*predicts shape \(6, 5\) but the data have shape \(3, 6, 5\)",
    ),
    "negative": (
        {"type": "poisson", "data": "negative"},
        r"^terms\[1\]: .*2 values \(the first at \[2, 3\] of Dy\) that are negative; use type: gaussian",
    ),
    "negative_image": (
        {"type": "poisson", "data": "shift", "forward": "sum"},
        r"^terms\[1\]: .*hold 30 values \(the first at \[0, 0\]\) that are negative",
    ),
    "not_finite": (
        {"type": "least_squares", "data": "broken"},
        r"^terms\[1\]: the data hold 1 value \(the first at \[0, 1\] of Sc\) that are not finite",
    ),
}


@pytest.mark.parametrize(("spec", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_name_the_key(spec: dict[str, Any], message: str) -> None:
    broken = arrays()["maps"].copy()
    broken[0, 0, 1] = np.nan
    with pytest.raises(UserError, match=message):
        term(spec, negative=NEGATIVE.copy(), broken=broken, shift=arrays()["haadf"] - 9)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_python_weight_is_checked(weight: float) -> None:
    with pytest.raises(UserError, match="mine: the weight is"):
        fidelity("mine", weight, LeastSquaresLoss(), Identity((1, 2, 2)), np.zeros((1, 2, 2)))


def test_python_data_are_checked() -> None:
    with pytest.raises(UserError, match="mine: the data are of type complex128"):
        fidelity("mine", 1.0, LeastSquaresLoss(), Identity((1, 2, 2)), np.zeros((1, 2, 2), complex))
    with pytest.raises(UserError, match="epsilon: is -1"):
        PoissonLoss(-1)


@pytest.mark.skipif(not DYSCO3.exists(), reason="the DyScO3 recording (../shared/data/dysco3.npz) is not here")
def test_canonical_objective_at_the_maps() -> None:
    """F(b) = 31760.37 on the canonical problem, with TV written out."""
    recording = np.load(DYSCO3)

    def normalised(name: str) -> Array:
        image = recording[name].astype(np.float64)
        image -= image.min()
        return image / image.max()

    maps = np.stack([normalised(name) for name in LABELS])
    z = np.array([21.0, 66.0, 8.0])
    haadf = fidelity("haadf", 1.0, LeastSquaresLoss(), PowerSum(1.6, z / z.mean(), (256, 256)), normalised("HAADF"))
    poisson = fidelity("poisson", 0.24, PoissonLoss(0.1), Identity(maps.shape), maps)
    down = np.diff(maps, axis=1, append=maps[:, -1:])
    across = np.diff(maps, axis=2, append=maps[:, :, -1:])
    tv = 0.1 * float(np.sqrt(down**2 + across**2).sum())
    assert haadf.value(maps) + poisson.value(maps) + tv == pytest.approx(31760.37, abs=0.005)


def _differentiable(found: Fidelity) -> Differentiable:
    assert isinstance(found, Differentiable)
    return found


def _pixelwise(found: Fidelity) -> Pixelwise:
    assert isinstance(found, Pixelwise)
    return found


@pytest.mark.parametrize("factor", [1.0, 0.01, 250.0])
def test_the_least_epsilon_takes_a_hundredth_of_the_emptiest_map(factor: float) -> None:
    rng = np.random.default_rng(0)
    counts = np.stack([rng.poisson(mean, (64, 64)) for mean in (20.0, 0.2, 0.0)]).astype(float)
    least = least_epsilon(factor * counts)
    assert least == pytest.approx(factor * 0.01 * counts[1].mean(), rel=0.01)
    assert least_epsilon(np.zeros((1, 4, 4))) > 0.0
