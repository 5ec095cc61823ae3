"""Forward models: predictions, adjoints, options and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pylops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.build import Context
from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.errors import UserError
from fusionkit.linear import PylopsMap
from fusionkit.operators.forward import Forward, LinearForward, PixelwiseChain, PixelwiseForward
from fusionkit.operators.forward.absorption import Attenuation
from fusionkit.operators.forward.blur import GaussianBlur
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.options import Spec

SHAPE = (3, 6, 5)
LABELS = ("Sc", "Dy", "O")
DTYPES = [np.float32, np.float64]
MATRIX = np.random.default_rng(7).standard_normal((9, 2))
BACKGROUND = np.random.default_rng(8).random((1, 6, 5))
MIXING = np.array([[0.7, 0.2, 0.0]])


def context(dtype: Any = np.float64, shape: tuple[int, ...] = SHAPE, labels: tuple[str, ...] = LABELS) -> Context:
    return Context(
        Dataset(
            {"X": MATRIX.copy(), "flat": np.ones(4), "background": BACKGROUND, "mixing": MIXING, "signed": -MIXING}
        ),
        shape,
        labels,
        np.dtype(dtype),
        "terms[0]",
    )


def forward(spec: dict[str, Any] | str, dtype: Any = np.float64, shape: tuple[int, ...] = SHAPE) -> Forward:
    return context(dtype, shape).build("forwards", Spec.model_validate(spec), "forward")


FORWARDS: dict[str, tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    # name: the spec, shape of the unknown, shape of the prediction
    "identity": ({"type": "identity"}, SHAPE, SHAPE),
    "identity_of_a_vector": ({"type": "identity"}, (4,), (4,)),
    "power_sum": ({"type": "power_sum"}, SHAPE, SHAPE[1:]),
    "power_sum_1": ({"type": "power_sum", "gamma": 1}, SHAPE, SHAPE[1:]),
    "power_sum_2": ({"type": "power_sum", "gamma": 2.0, "z": "absolute"}, SHAPE, SHAPE[1:]),
    "power_sum_3": ({"type": "power_sum", "gamma": 3.0, "z": {"O": 1, "Dy": 2.5, "Sc": 0.5}}, SHAPE, SHAPE[1:]),
    "power_sum_0.7": ({"type": "power_sum", "gamma": 0.7}, SHAPE, SHAPE[1:]),
    "power_sum_calibrated": (
        {"type": "power_sum", "gain": 2.5, "offset": 0.3, "k_factors": {"O": 1.7}},
        SHAPE,
        SHAPE[1:],
    ),
    "z_contrast": ({"type": "z_contrast", "gamma": 1.7}, SHAPE, SHAPE[1:]),
    "z_contrast_calibrated": ({"type": "z_contrast", "gain": 3, "offset": -0.2}, SHAPE, SHAPE[1:]),
    "absorption": ({"type": "absorption", "mu": {"Sc": 0.4, "O": 1.3}, "incident": 2.5}, SHAPE, SHAPE[1:]),
    "sum": ({"type": "sum"}, SHAPE, SHAPE[1:]),
    "element": ({"type": "element", "element": "O"}, SHAPE, SHAPE[1:]),
    "blur": ({"type": "blur", "sigma": 1.3}, SHAPE, SHAPE),
    "elements": ({"type": "elements", "elements": {"O": 0.4, "Sc": 2.0}}, SHAPE, (2, 6, 5)),
    "elements_above_background": (
        {"type": "elements", "elements": ["Dy"], "background": "background"},
        SHAPE,
        (1, 6, 5),
    ),
    "spectral": ({"type": "spectral", "mixing": "mixing", "background": "background"}, SHAPE, (1, 6, 5)),
    "scan_of_spectral": (
        {"type": "scan", "shape": [3, 5], "forward": {"type": "spectral", "mixing": "mixing", "background": None}},
        SHAPE,
        (1, 3, 5),
    ),
    "scan_binned": ({"type": "scan", "shape": [3, 5]}, SHAPE, (3, 3, 5)),
    "scan_of_uneven_pixels": ({"type": "scan", "shape": [4, 3], "reduce": "mean"}, SHAPE, (3, 4, 3)),
    "scan_finer": ({"type": "scan", "shape": [12, 7]}, SHAPE, (3, 12, 7)),
    "scan_of_a_part": ({"type": "scan", "shape": [2, 3], "rows": [1, 5], "columns": [0.5, 4]}, SHAPE, (3, 2, 3)),
    "scan_of_elements": (
        {"type": "scan", "shape": [3, 5], "forward": {"type": "elements", "elements": ["O", "Dy"]}},
        SHAPE,
        (2, 3, 5),
    ),
    "scan_of_power_sum": (
        {"type": "scan", "shape": [2, 2], "reduce": "mean", "forward": {"type": "power_sum", "gamma": 1.7}},
        SHAPE,
        (2, 2),
    ),
    "affine": ({"type": "affine", "matrix": "X"}, (3,), (9,)),
    "linear": ({"type": "linear", "operator": "identity"}, SHAPE, SHAPE),
    "pylops_sum": ({"type": "pylops", "operator": "Sum", "arguments": {"axis": 0}}, SHAPE, SHAPE[1:]),
    "pylops_smoothing": (
        {"type": "pylops", "operator": "Smoothing2D", "arguments": {"nsmooth": [3, 3]}, "nonnegative": True},
        SHAPE,
        SHAPE,
    ),
}
TABLE = pytest.mark.parametrize(("spec", "domain", "predicted"), FORWARDS.values(), ids=FORWARDS.keys())


@TABLE
@pytest.mark.parametrize("dtype", DTYPES)
def test_shape_dtype_and_untouched_input(
    spec: dict[str, Any], domain: tuple[int, ...], predicted: tuple[int, ...], dtype: Any
) -> None:
    model = forward(spec, dtype, domain)
    x = np.random.default_rng(0).random(domain).astype(dtype) + dtype(0.1)
    kept = x.copy()
    prediction = model.apply(x)
    pulled = model.adjoint(x, prediction)
    assert model.range == predicted == prediction.shape
    assert pulled.shape == domain
    assert prediction.dtype == pulled.dtype == dtype
    assert not np.shares_memory(prediction, x)
    np.testing.assert_array_equal(x, kept)


@TABLE
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES))
def test_adjoint_is_that_of_the_jacobian(
    spec: dict[str, Any], domain: tuple[int, ...], predicted: tuple[int, ...], seed: int, dtype: Any
) -> None:
    random = np.random.default_rng(seed)
    model = forward(spec, dtype, domain)
    x = random.random(domain) + 0.2
    d = random.standard_normal(domain)
    r = random.standard_normal(predicted)
    h = 1e-5  # the prediction is evaluated in float64, the adjoint in the dtype
    exact = forward(spec, np.float64, domain)
    moved = (exact.apply(x + h * d) - exact.apply(x - h * d)) / (2 * h)
    pulled = model.adjoint(x.astype(dtype), r.astype(dtype))
    scale = float(np.linalg.norm(moved) * np.linalg.norm(r))
    tolerance = 2e-5 if dtype is np.float32 else 1e-8
    assert abs(float(np.sum(moved * r)) - float(np.sum(pulled.astype(np.float64) * d))) <= tolerance * scale + 1e-12


@pytest.mark.parametrize("name", FORWARDS)
def test_nonnegative_is_true_where_it_is_declared(name: str) -> None:
    spec, domain, _ = FORWARDS[name]
    model = forward(spec, np.float64, domain)
    x = (np.random.default_rng(1).random(domain) < 0.2).astype(np.float64)
    assert not model.nonnegative or model.apply(x).min() >= -1e-12  # pylops smooths by FFT


@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.4, 1.6, 2.0, 3.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_jet_of_power_sum(gamma: float, dtype: Any) -> None:
    model = PowerSum(gamma, [0.4, 1.7, 0.9], SHAPE[1:])
    z = np.array([0.4, 1.7, 0.9])[:, None, None]
    x = np.random.default_rng(2).random(SHAPE).astype(dtype) + dtype(0.05)
    t = z * x.astype(np.float64)
    jet = model.jet(x)
    assert jet.bend is not None
    assert jet.prediction.dtype == jet.slope.dtype == jet.bend.dtype == dtype
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(jet.prediction, (t**gamma).sum(axis=0), rtol=tolerance)
    np.testing.assert_allclose(model.apply(x), (t**gamma).sum(axis=0), rtol=tolerance)
    np.testing.assert_allclose(np.broadcast_to(jet.slope, SHAPE), gamma * z * t ** (gamma - 1), rtol=tolerance)
    bend = gamma * (gamma - 1) * z**2 * t ** (gamma - 2)
    np.testing.assert_allclose(np.broadcast_to(jet.bend, SHAPE), bend, rtol=tolerance)
    assert model.jet(x, second=False).bend is None


@pytest.mark.parametrize("gamma", [1.0, 1.6])
def test_chain_has_the_derivatives_of_its_function_of_the_sum(gamma: float) -> None:
    """Slope and diagonal of the second derivative of 2.5 exp(-sum (Z x)^gamma), by central differences."""
    model = PixelwiseChain(Attenuation(2.5), PowerSum(gamma, [0.4, 1.7, 0.9], SHAPE[1:]))
    x, h = np.random.default_rng(2).random(SHAPE) + 0.1, 1e-5
    jet = model.jet(x)
    assert jet.bend is not None
    np.testing.assert_allclose(jet.prediction, model.apply(x), rtol=1e-14)
    for i in range(len(x)):
        d = np.zeros_like(x)
        d[i] = h
        ahead, behind = model.jet(x + d, second=False), model.jet(x - d, second=False)
        np.testing.assert_allclose(jet.slope[i], (ahead.prediction - behind.prediction) / (2 * h), rtol=1e-7)
        np.testing.assert_allclose(jet.bend[i], (ahead.slope - behind.slope)[i] / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("gamma", [0.7, 1.4, 1.6, 2.0])
def test_power_sum_is_finite_at_zero_and_flat_below(gamma: float) -> None:
    model = PowerSum(gamma, [1.0, 2.0], (1, 3))
    x = np.array([[[0.0, -1.0, 0.0]], [[0.0, 0.0, 0.5]]], np.float32)
    jet = model.jet(x)
    assert jet.bend is not None
    assert np.isfinite(jet.slope).all()
    assert np.isfinite(jet.bend).all()
    np.testing.assert_allclose(jet.prediction, [[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(jet.bend[0, 0, 0], gamma * (gamma - 1) * 1e-4 ** (gamma - 2), rtol=1e-5)
    if gamma > 1:
        assert jet.slope[0, 0, 0] == 0


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ("absolute", [21.0, 66.0, 8.0]),
        ("relative", [21 * 3 / 95, 66 * 3 / 95, 8 * 3 / 95]),
        ({"O": 3, "Sc": 1.5, "Dy": 2.0}, [1.5, 2.0, 3.0]),
    ],
)
def test_z(z: Any, expected: list[float]) -> None:
    assert atomic_number("Dy") == 66
    model = forward({"type": "power_sum", "gamma": 1.0, "z": z})
    for index, value in enumerate(expected):
        x = np.zeros(SHAPE)
        x[index] = 1.0
        np.testing.assert_allclose(model.apply(x), value)


def test_sum_and_element_take_what_they_say() -> None:
    x = np.random.default_rng(3).random(SHAPE)
    np.testing.assert_allclose(forward("sum").apply(x), x.sum(axis=0))
    np.testing.assert_array_equal(forward({"type": "element", "element": "Dy"}).apply(x), x[1])


def test_affine_is_a_regression_model() -> None:
    model = forward({"type": "affine", "matrix": "X"}, np.float64, (3,))
    w = np.array([2.0, -1.0, 0.5])
    np.testing.assert_allclose(model.apply(w), MATRIX @ w[:2] + 0.5)
    assert model.linear
    assert not model.nonnegative


@settings(deadline=None, max_examples=20)
@given(
    sigma=st.floats(0.2, 6.0),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 8)),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(DTYPES),
)
def test_blur_is_its_own_adjoint_and_keeps_sums(sigma: float, shape: tuple[int, ...], seed: int, dtype: Any) -> None:
    random = np.random.default_rng(seed)
    x, y = random.random(shape).astype(dtype), random.random(shape).astype(dtype)
    probe = GaussianBlur(shape, sigma)
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    assert np.vdot(probe.apply(x), y) == pytest.approx(np.vdot(x, probe.adjoint(y)), rel=tolerance)
    np.testing.assert_allclose(probe.apply(x).sum(axis=(1, 2)), x.sum(axis=(1, 2)), rtol=tolerance * 10)
    assert np.linalg.norm(probe.apply(x)) <= np.linalg.norm(x) * (1 + tolerance)
    out = np.empty_like(x)
    assert probe.apply(x, out) is out
    np.testing.assert_array_equal(out, probe.apply(x))


SCANS = [
    ((3, 5), {}, "sum"),
    ((4, 3), {}, "mean"),
    ((12, 7), {}, "sum"),
    ((2, 3), {"rows": [1.0, 5.0], "columns": [0.5, 4.0]}, "sum"),
    ((2, 3), {"rows": [1.5, 5.0]}, "mean"),
]


@pytest.mark.parametrize(("pixels", "part", "reduce"), SCANS)
def test_scan_against_a_fine_grid(pixels: tuple[int, int], part: dict[str, Any], reduce: str) -> None:
    """Each pixel is cut into small ones, which count for the pixel of the other scan that holds their centre."""
    fine = 84  # every edge of the table lies between small pixels
    x = np.random.default_rng(5).random(SHAPE)
    small = np.repeat(np.repeat(x, fine, axis=1), fine, axis=2) / fine**2
    rows, columns = part.get("rows", [0, SHAPE[1]]), part.get("columns", [0, SHAPE[2]])
    expected = np.zeros((SHAPE[0], *pixels))
    places = [
        np.floor((((np.arange(size * fine) + 0.5) / fine) - first) / (last - first) * count).astype(int)
        for size, (first, last), count in zip(SHAPE[1:], (rows, columns), pixels, strict=True)
    ]
    inside = np.ix_(*[(one >= 0) & (one < count) for one, count in zip(places, pixels, strict=True)])
    where = np.ix_(*places)
    for element in range(SHAPE[0]):
        np.add.at(
            expected[element], tuple(np.broadcast_arrays(*where)[i][inside] for i in (0, 1)), small[element][inside]
        )
    if reduce == "mean":
        expected /= (rows[1] - rows[0]) * (columns[1] - columns[0]) / (pixels[0] * pixels[1])
    model = forward({"type": "scan", "shape": list(pixels), "reduce": reduce, **part})
    np.testing.assert_allclose(model.apply(x), expected, rtol=1e-9)
    assert isinstance(model, LinearForward)
    size = int(np.prod(SHAPE))
    dense = np.stack([model.apply(row.reshape(SHAPE)).ravel() for row in np.eye(size)], axis=1)
    largest = float(np.linalg.norm(dense, 2))
    assert largest <= model.linear_map.norm * (1 + 1e-9) <= 1.5 * largest


def test_elements_take_their_factors_and_the_background() -> None:
    x = np.random.default_rng(6).random(SHAPE)
    model = forward({"type": "elements", "elements": {"O": 0.5, "Sc": 2.0}})
    np.testing.assert_allclose(model.apply(x), np.stack([0.5 * x[2], 2.0 * x[0]]))
    above = forward({"type": "elements", "elements": {"Dy": 3.0}, "background": "background"})
    np.testing.assert_allclose(above.apply(x), 3.0 * x[1:2] + BACKGROUND)


def test_spectral_mixes_the_elements_of_its_columns() -> None:
    x = np.random.default_rng(6).random(SHAPE)
    model = forward({"type": "spectral", "mixing": "mixing", "background": "background", "elements": ["O", "Sc", "Dy"]})
    np.testing.assert_allclose(model.apply(x), 0.7 * x[2:] + 0.2 * x[:1] + BACKGROUND)


def test_linear_forward_in_python_with_an_offset() -> None:
    operator = pylops.MatrixMult(MATRIX)
    offset = np.arange(9.0)
    model = LinearForward(PylopsMap(operator, (2,), (9,)), offset)
    w = np.array([1.0, -2.0])
    np.testing.assert_allclose(model.apply(w), MATRIX @ w + offset)
    np.testing.assert_allclose(model.adjoint(w, offset), MATRIX.T @ offset)
    offset[:] = 0
    np.testing.assert_allclose(model.apply(w), MATRIX @ w + np.arange(9.0))
    with pytest.raises(UserError, match=r"has shape \(4,\)"):
        LinearForward(PylopsMap(operator, (2,), (9,)), np.ones(4))


def test_rows_are_independent() -> None:
    x = np.random.default_rng(4).random(SHAPE)
    for spec in ("identity", "power_sum", "sum", {"type": "absorption", "mu": {"O": 1.0}}):
        model = forward(spec)
        assert isinstance(model, PixelwiseForward)
        np.testing.assert_array_equal(model.apply(x[:, 2:4]), model.apply(x)[..., 2:4, :])


ERRORS: dict[str, tuple[dict[str, Any], tuple[int, ...], str]] = {
    "gamma_zero": ({"type": "power_sum", "gamma": 0.0}, SHAPE, r"^terms\[0\].forward.gamma: .*0.0"),
    "gamma_large": ({"type": "power_sum", "gamma": 4.5}, SHAPE, r"^terms\[0\].forward.gamma: .*4.5"),
    "gamma_nan": ({"type": "power_sum", "gamma": float("nan")}, SHAPE, r"^terms\[0\].forward.gamma: "),
    "gamma_text": ({"type": "power_sum", "gamma": "1.6"}, SHAPE, r"^terms\[0\].forward.gamma: .*'1.6'"),
    "z_word": ({"type": "power_sum", "z": "relativ"}, SHAPE, r"^terms\[0\].forward.z: is 'relativ'; write relative"),
    "z_missing": ({"type": "power_sum", "z": {"Sc": 21, "O": 8}}, SHAPE, r"forward.z: has no value for Dy"),
    "z_unknown": (
        {"type": "power_sum", "z": {"Sc": 21, "Dy": 66, "O": 8, "N": 7}},
        SHAPE,
        r"forward.z: names 'N', which has no map",
    ),
    "z_negative": ({"type": "power_sum", "z": {"Sc": -1, "Dy": 66, "O": 8}}, SHAPE, r"forward.z: is -1 for Sc"),
    "z_infinite": ({"type": "power_sum", "z": {"Sc": float("inf"), "Dy": 66, "O": 8}}, SHAPE, r"forward.z: is inf for"),
    "unknown_key": ({"type": "power_sum", "gama": 1.6}, SHAPE, r"forward.gama: unknown key; did you mean 'gamma'"),
    "mu_unknown": ({"type": "absorption", "mu": {"N": 1.0}}, SHAPE, r"forward.mu: names 'N', which has no map"),
    "mu_negative": ({"type": "absorption", "mu": {"O": -1.0}}, SHAPE, r"forward.mu.O: must be .*>= 0, got -1"),
    "mu_zero": ({"type": "absorption", "mu": {"O": 0}}, SHAPE, r"forward.mu: is 0 for every element"),
    "incident": ({"type": "absorption", "mu": {"O": 1}, "incident": 0}, SHAPE, r"forward.incident: must be .*> 0"),
    "absorption_of_vector": ({"type": "absorption", "mu": {"O": 1}}, (4,), r"forward: needs maps .*\(4,\)"),
    "no_maps": ({"type": "power_sum"}, (4,), r"forward: needs maps .*\(4,\)"),
    "no_element": ({"type": "element", "element": "Pb"}, SHAPE, r"forward.element: there is no map of 'Pb'"),
    "sigma_zero": ({"type": "blur", "sigma": 0.0}, SHAPE, r"forward.sigma: .*0.0"),
    "sigma_nan": ({"type": "blur", "sigma": float("nan")}, SHAPE, r"forward.sigma: .*nan"),
    "sigma_narrow": ({"type": "blur", "sigma": 1e-320}, SHAPE, r"^terms\[0\].forward.sigma: .*must be >= 0.125"),
    "sigma_wide": ({"type": "blur", "sigma": 1e30}, (1, 3, 20), r"^terms\[0\].forward.sigma: is 1e\+30 .*<= 20"),
    "blur_of_vector": ({"type": "blur", "sigma": 1.0}, (4,), r"forward: needs images.*\(4,\)"),
    "spectral_columns": (
        {"type": "spectral", "mixing": "X", "background": None},
        SHAPE,
        r"forward.mixing: 'X' has the shape \(9, 2\), and there are 3 elements; give a row for each map",
    ),
    "spectral_negative": (
        {"type": "spectral", "mixing": "signed", "background": None},
        SHAPE,
        r"forward.mixing: 'signed' has negative values",
    ),
    "spectral_absent": (
        {"type": "spectral", "mixing": "mixing", "background": None, "elements": ["O", "Pb", "Sc"]},
        SHAPE,
        r"forward.elements: there is no map of 'Pb'",
    ),
    "elements_absent": ({"type": "elements", "elements": ["Pb"]}, SHAPE, r"forward.elements: there is no map of 'Pb'"),
    "elements_twice": ({"type": "elements", "elements": ["O", "O"]}, SHAPE, r"forward.elements: 'O' is listed twice"),
    "elements_none": ({"type": "elements", "elements": {}}, SHAPE, r"forward.elements: must be .*not empty"),
    "elements_factor": ({"type": "elements", "elements": {"O": 0}}, SHAPE, r"forward.elements.O: must be .*> 0, got 0"),
    "elements_of_vector": ({"type": "elements", "elements": ["O"]}, (4,), r"forward: needs maps .*\(4,\)"),
    "background_absent": (
        {"type": "elements", "elements": ["O"], "background": "backgroud"},
        SHAPE,
        r"forward.background: there is no data called 'backgroud'; did you mean 'background'",
    ),
    "background_shape": (
        {"type": "elements", "elements": ["O"], "background": "flat"},
        SHAPE,
        r"forward.background: 'flat' has shape \(4,\); the prediction has \(1, 6, 5\)",
    ),
    "scan_shape": ({"type": "scan", "shape": [0, 2]}, SHAPE, r"forward.shape\[0\]: must be .*>= 1, got 0"),
    "scan_outside": ({"type": "scan", "shape": [2, 2], "rows": [2, 7]}, SHAPE, r"forward.rows: is \[2.*<= 6"),
    "scan_backwards": ({"type": "scan", "shape": [2, 2], "columns": [3, 1]}, SHAPE, r"forward.columns: is \[3"),
    "scan_of_vector": ({"type": "scan", "shape": [2, 2]}, (4,), r"forward: needs images.*\(4,\)"),
    "matrix_absent": ({"type": "affine", "matrix": "Y"}, (3,), r"forward.matrix: there is no data called 'Y'"),
    "matrix_flat": ({"type": "affine", "matrix": "flat"}, (3,), r"forward.matrix: 'flat' has shape \(4,\)"),
    "matrix_size": ({"type": "affine", "matrix": "X"}, SHAPE, r"forward.matrix: 'X' has 2 features.*\(3, 6, 5\)"),
    "pylops_unknown": ({"type": "pylops", "operator": "Smoothing2d"}, SHAPE, r"forward.operator: .*did you mean"),
    "pylops_argument": ({"type": "pylops", "operator": "Sum", "arguments": {"axes": 0}}, SHAPE, r"arguments.axes: "),
    "pylops_size": (
        {"type": "pylops", "operator": "Sum", "arguments": {"dims": [4, 4], "axis": 0}},
        SHAPE,
        r"arguments: .*16 values but the unknown has 90",
    ),
    "wrong_promise": (
        {"type": "pylops", "operator": "FirstDerivative", "arguments": {"axis": 1}, "nonnegative": True},
        SHAPE,
        r"forward.nonnegative: this operator has negative entries",
    ),
}


@pytest.mark.parametrize(("spec", "domain", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_name_the_key(spec: dict[str, Any], domain: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        forward(spec, np.float64, domain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5.0, [1.0]), "gamma: is 5.0"),
        ((1.6, [1.0, -1.0]), "z: is"),
        ((1.6, [0.0, 0.0]), "z: is"),
        ((1.6, [np.nan]), "z: is"),
    ],
)
def test_power_sum_in_python_checks_its_arguments(arguments: tuple[float, list[float]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PowerSum(*arguments, pixels=(2, 2))


@pytest.mark.parametrize("sigma", [-1.0, 0.0, 1e-320, 0.12, 8.1, 1e30, float("inf"), float("nan")])
def test_blur_in_python_checks_sigma(sigma: float) -> None:
    with pytest.raises(UserError, match="sigma: is "):
        GaussianBlur(SHAPE, sigma)


@pytest.mark.parametrize("sigma", [0.125, 8.0])
def test_blur_takes_the_limits_of_sigma(sigma: float) -> None:
    x = np.eye(6)[None]
    actual = GaussianBlur(x.shape, sigma).apply(x)
    assert actual.sum() == pytest.approx(6)
    assert 0 < actual[0, 0, 1] < actual[0, 0, 0]
