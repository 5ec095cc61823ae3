"""Every linear operator: dot test, norm bound, dtype, in-place results; the gradient against loops and pylops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pylops
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fusionkit.build import Context
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.linear import PylopsMap
from fusionkit.options import Spec
from fusionkit.terms import CosineDiagonal, LinearMap

DTYPES = [np.float32, np.float64]
SHAPES = [(3, 4, 5), (2, 1, 6), (1, 3, 3), (5, 4), (1, 4), (7,), (2, 3, 4, 3)]

# name, options, shape of the unknown, expected range, whether the norm is exact (else an upper bound)
OPERATORS: list[tuple[str, dict[str, Any], tuple[int, ...], tuple[int, ...], bool]] = [
    ("identity", {}, (3, 4, 5), (3, 4, 5), True),
    *(("gradient", {}, shape, (max(len(shape) - (len(shape) > 2), 1), *shape), True) for shape in SHAPES),
    ("guided_gradient", {"guide": "A"}, (2, 3, 4), (2, 2, 3, 4), False),
    ("guided_gradient", {"guide": "A", "eta": 2.0, "smoothing": 0.7}, (3, 4), (2, 3, 4), False),
    *(("laplacian", {}, shape, shape, True) for shape in SHAPES),
    ("symmetric_gradient", {}, (2, 3, 4, 5), (3, 3, 4, 5), False),
    ("symmetric_gradient", {}, (2, 4, 5), (3, 4, 5), False),
    ("symmetric_gradient", {}, (1, 9), (1, 9), False),
    ("symmetric_gradient", {}, (3, 2, 3, 4, 3), (6, 2, 3, 4, 3), False),
    ("pylops", {"operator": "FirstDerivative", "arguments": {"axis": 1}}, (3, 4, 5), (3, 4, 5), False),
    ("pylops", {"operator": "Laplacian", "arguments": {"axes": [1, 2]}}, (3, 4, 5), (3, 4, 5), False),
    ("pylops", {"operator": "MatrixMult", "arguments": {"A": [[1, 2], [3, 4], [5, 6]]}}, (2,), (3,), False),
    ("pylops", {"operator": "MatrixMult", "arguments": {"A": {"data": "A"}}}, (4,), (3,), False),
    ("pylops", {"operator": "Convolve1D", "arguments": {"h": [1, 2, 1], "offset": 1}}, (8,), (8,), False),
    ("pylops", {"operator": "Restriction", "arguments": {"iava": [0, 2]}}, (5,), (2,), False),
    ("pylops", {"operator": "Sum", "arguments": {"axis": 0}}, (3, 4, 5), (4, 5), False),
    ("pylops", {"operator": "Identity"}, (3, 4, 5), (3, 4, 5), False),
    ("pylops", {"operator": "Pad", "arguments": {"pad": [[0, 0], [1, 1]]}}, (3, 4), (3, 6), False),
    (
        "pylops",
        {"operator": "VStack", "arguments": {"ops": [{"operator": "gradient"}, {"operator": "identity"}]}},
        (2, 3, 4),
        (72,),
        False,
    ),
]
IDS = [f"{name}-{options.get('operator', '')}-{shape}" for name, options, shape, _, _ in OPERATORS]


def context(shape: tuple[int, ...], dtype: Any = np.float64) -> Context:
    data = {"A": np.arange(12.0).reshape(3, 4)}
    return Context(Dataset(data), shape, tuple("abcdefgh"[: shape[0]]), np.dtype(dtype), "terms[0]")


def build(name: str, options: dict[str, Any], shape: tuple[int, ...], dtype: Any = np.float64) -> LinearMap:
    inner = context(shape, dtype)
    return inner.build("operators", Spec.model_validate({"type": name, **options}), "operator")


def dense(linear_map: LinearMap) -> np.ndarray:
    size = int(np.prod(linear_map.domain))
    columns = [linear_map.apply(row.reshape(linear_map.domain)).ravel() for row in np.eye(size)]
    return np.stack(columns, axis=1)


def arrays(shape: tuple[int, ...], dtype: Any) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(dtype, shape, elements=st.floats(-100, 100, width=32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "options", "shape", "image", "exact"), OPERATORS, ids=IDS)
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_dot(
    name: str,
    options: dict[str, Any],
    shape: tuple[int, ...],
    image: tuple[int, ...],
    exact: bool,
    dtype: Any,
    data: st.DataObject,
) -> None:
    """<K x, y> = <x, K' y>; shapes and dtype are as declared, inputs stay and ``out`` gets the same numbers."""
    linear_map = build(name, options, shape, dtype)
    x, y = data.draw(arrays(shape, dtype)), data.draw(arrays(image, dtype))
    x0, y0 = x.copy(), y.copy()
    kx, ky = linear_map.apply(x), linear_map.adjoint(y)
    assert (linear_map.domain, linear_map.range, kx.shape, ky.shape) == (shape, image, image, shape)
    assert (kx.dtype, ky.dtype) == (dtype, dtype)
    scale = np.linalg.norm(kx.astype(np.float64)) * np.linalg.norm(y.astype(np.float64)) + 1e-12
    difference = np.vdot(kx.astype(np.float64), y) - np.vdot(x, ky.astype(np.float64))
    assert abs(difference) <= 20 * np.finfo(dtype).eps * (scale + np.abs(x).sum() * np.abs(ky).max(initial=0))
    np.testing.assert_array_equal(linear_map.apply(x, out=np.full(image, 7, dtype)), kx)
    np.testing.assert_array_equal(linear_map.adjoint(y, out=np.full(shape, 7, dtype)), ky)
    np.testing.assert_array_equal(x, x0)
    np.testing.assert_array_equal(y, y0)


@pytest.mark.parametrize(("name", "options", "shape", "image", "exact"), OPERATORS, ids=IDS)
def test_norm(name: str, options: dict[str, Any], shape: tuple[int, ...], image: tuple[int, ...], exact: bool) -> None:
    """The norm is an upper bound of the largest singular value, and equal to it where declared exact."""
    linear_map = build(name, options, shape)
    largest = float(np.linalg.norm(dense(linear_map), 2))
    assert largest <= linear_map.norm * (1 + 1e-9)
    if exact:
        assert linear_map.norm == pytest.approx(largest, abs=1e-12)


def test_norm_of_symmetric_gradient_is_tight_on_an_image() -> None:
    linear_map = build("symmetric_gradient", {}, (2, 1, 14, 14))
    assert linear_map.norm <= 1.05 * np.linalg.norm(dense(linear_map), 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_is_that_of_pylops(shape: tuple[int, ...]) -> None:
    axes = range(1 if len(shape) > 2 else 0, len(shape))
    stack = pylops.VStack([pylops.FirstDerivative(shape, axis=axis, kind="forward", edge=False) for axis in axes])
    np.testing.assert_array_equal(dense(build("gradient", {}, shape)), stack.todense())


def test_gradient_is_the_forward_difference() -> None:
    x = np.random.default_rng(0).random((2, 3, 4))
    expected = np.zeros((2, 2, 3, 4))
    for i in range(2):
        for j in range(3):
            for k in range(4):
                expected[0, i, j, k] = x[i, j + 1, k] - x[i, j, k] if j < 2 else 0
                expected[1, i, j, k] = x[i, j, k + 1] - x[i, j, k] if k < 3 else 0
    np.testing.assert_allclose(build("gradient", {}, x.shape).apply(x), expected)


def test_symmetric_gradient_has_the_frobenius_norm() -> None:
    w = np.random.default_rng(0).random((2, 1, 4, 5))
    parts = build("symmetric_gradient", {}, w.shape).apply(w)
    for j in range(1, 4):
        for k in range(1, 5):
            jacobian = np.array(
                [[w[a, 0, j, k] - w[a, 0, j - 1, k], w[a, 0, j, k] - w[a, 0, j, k - 1]] for a in range(2)]
            )
            symmetric = (jacobian + jacobian.T) / 2
            assert np.linalg.norm(parts[:, 0, j, k]) == pytest.approx(np.linalg.norm(symmetric))


@pytest.mark.parametrize(
    ("name", "options", "shape", "message"),
    [
        ("gradiant", {}, (3, 4), r"no operator 'gradiant'; did you mean 'gradient'"),
        ("gradient", {"edge": True}, (3, 4), r"edge: unknown key"),
        ("symmetric_gradient", {}, (3, 4, 5), r"no vector field"),
        ("guided_gradient", {"guide": "B"}, (2, 3, 4), r"guide: there is no data called 'B'; known: A"),
        ("guided_gradient", {"guide": "A"}, (2, 4, 5), r"guide: 'A' has the shape \(3, 4\) .* unknown \(2, 4, 5\)"),
        ("guided_gradient", {"guide": "A"}, (4,), r"guide: 'A' .* name an image"),
        ("guided_gradient", {"guide": "A", "eta": 0.0}, (3, 4), r"eta"),
        ("pylops", {"operator": "Laplcian"}, (3, 4), r"operator: pylops has no .*'Laplcian'; did you mean 'Laplacian'"),
        ("pylops", {"operator": "lsqr"}, (3,), r"'lsqr' is not a LinearOperator"),
        ("pylops", {"operator": "FunctionOperator"}, (3,), r"is not a LinearOperator that a config can make"),
        ("pylops", {"operator": "FFT"}, (8,), r"complex values"),
        ("pylops", {"operator": "Sum", "arguments": {"axs": 0}}, (3, 4), r"arguments.axs: unknown argument; .*'axis'"),
        ("pylops", {"operator": "MatrixMult"}, (3,), r"arguments.A: is missing"),
        ("pylops", {"operator": "MatrixMult", "arguments": {"A": [[1.0]]}}, (3,), r"takes 1 values .* has 3"),
        (
            "pylops",
            {"operator": "MatrixMult", "arguments": {"A": {"data": "B"}}},
            (3,),
            r"no data called 'B'; known: A",
        ),
        ("pylops", {"operator": "MatrixMult", "arguments": {"A": {"file": "B"}}}, (3,), r"arguments.A: is not a value"),
        ("pylops", {"operator": "FirstDerivative", "arguments": {"kind": "fwd"}}, (3,), r"rejects them: kind must be"),
        ("pylops", {"operator": "FirstDerivative", "arguments": {"axis": 7}}, (3,), r"rejects them: axis 7"),
        ("pylops", {"operator": "Identity", "arguments": {"N": ["a"]}}, (3,), r"arguments: Identity has no sizes: "),
        ("pylops", {"operator": "Identity", "arguments": {"N": [1.5, 2.0]}}, (3,), r"arguments: "),
        ("pylops", {}, (3,), r"operator: is missing"),
    ],
)
def test_refusals(name: str, options: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        build(name, options, shape)
    assert str(error.value).startswith("terms[0].operator")


@pytest.mark.parametrize("name", ["gradient", "identity"])
@pytest.mark.parametrize("shape", SHAPES)
def test_normal_eigenvalues(name: str, shape: tuple[int, ...]) -> None:
    """K'K has these values in the orthonormal cosine basis over the axes of the map."""
    linear_map = build(name, {}, shape)
    assert isinstance(linear_map, CosineDiagonal)
    x, axes = np.random.default_rng(0).random(shape), linear_map.cosine_axes()
    values = linear_map.normal_eigenvalues() * np.asarray(scipy.fft.dctn(x, axes=axes, norm="ortho"))
    expected = build(name, {}, shape).adjoint(build(name, {}, shape).apply(x))
    actual = np.asarray(scipy.fft.idctn(values, axes=axes, norm="ortho"))
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_an_operator_that_works_in_place_gives_an_array_of_its_own() -> None:
    own = PylopsMap(pylops.Identity(6), (2, 3), (2, 3))
    x = np.ones((2, 3))
    for image in (own.apply(x), own.adjoint(x)):
        image *= 2.0
    np.testing.assert_array_equal(x, 1.0)
