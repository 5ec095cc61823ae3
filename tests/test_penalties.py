"""Every penalty and constraint: values against plain formulas, types of terms, zero weights, TGV on ramps, refusals."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import cvxpy as cp
import numpy as np
import pylops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fusionkit.build import Context
from fusionkit.data.dataset import Dataset
from fusionkit.data.field_of_view import edge_facts
from fusionkit.errors import UserError
from fusionkit.operators.linear.symmetric_gradient import symmetric_gradient_map
from fusionkit.options import Spec
from fusionkit.terms import Array, Bounds, Composed, HasDualBall, Proximable

SHAPE = (2, 3, 4)
DTYPES = [np.float32, np.float64]
GUIDE = np.array([[0.0, 0.1, 2.0, 2.0], [0.0, 0.3, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0]])


def build(spec: dict[str, Any], shape: tuple[int, ...] = SHAPE, dtype: Any = np.float64) -> Any:
    context = Context(Dataset({"b": np.ones(24), "v": GUIDE}), shape, ("a", "b"), np.dtype(dtype))
    return context.build("terms", Spec.model_validate(spec), "terms[0]")


def slopes(x: np.ndarray) -> np.ndarray:
    """Forward differences (n, ny, nx, 2) by loops, zero at the last row and column."""
    n, ny, nx = x.shape
    out = np.zeros((*x.shape, 2))
    for i in range(n):
        for j in range(ny):
            for k in range(nx):
                out[i, j, k, 0] = x[i, j + 1, k] - x[i, j, k] if j + 1 < ny else 0
                out[i, j, k, 1] = x[i, j, k + 1] - x[i, j, k] if k + 1 < nx else 0
    return out


def huber(x: np.ndarray) -> float:
    t = np.linalg.norm(slopes(x), axis=-1)
    return float(np.where(t <= 0.5, t**2, t - 0.25).sum())


def isotropic(x: np.ndarray) -> float:
    return float(np.linalg.norm(slopes(x), axis=-1).sum())


def nuclear(x: np.ndarray) -> float:
    return float(np.linalg.svd(np.moveaxis(slopes(x), 0, -1), compute_uv=False).sum())


def along(x: np.ndarray, eta: float) -> np.ndarray:
    """Slopes (n, ny, nx, 2) without their part across the edges of the guide, pixel by pixel."""
    v, out = slopes(GUIDE[None])[0], slopes(x)
    for i, j, k in np.ndindex(*x.shape):
        xi = v[j, k] / np.sqrt(v[j, k] @ v[j, k] + eta**2)
        out[i, j, k] = (np.eye(2) - np.outer(xi, xi)) @ out[i, j, k]
    return out


# the term, its type, its value at weight 1 by a plain formula; a new penalty is tested by one more row
GRADIENT = {"operator": "gradient"}
PENALTIES: list[tuple[dict[str, Any], type, Callable[..., Any]]] = [
    ({"type": "tv"}, Composed, isotropic),
    ({"type": "tv", "per_element": {"b": 3.0}}, Composed, lambda x: isotropic(x[:1]) + 3.0 * isotropic(x[1:])),
    ({"type": "anisotropic_tv"}, Composed, lambda x: np.abs(slopes(x)).sum()),
    ({"type": "huber_tv", "smoothing": 0.5}, Composed, huber),
    ({"type": "vectorial_tv"}, Composed, lambda x: np.sqrt((slopes(x) ** 2).sum(axis=(0, 3))).sum()),
    ({"type": "vectorial_tv", "coupling": "nuclear"}, Composed, nuclear),
    (
        {"type": "directional_tv", "guide": "v", "eta": 0.5, "smoothing": 0.0},
        Composed,
        lambda x: np.sqrt((along(x, 0.5) ** 2).sum(axis=(0, 3))).sum(),
    ),
    (
        {"type": "directional_tv", "guide": "v", "eta": 0.5, "smoothing": 0.0, "coupling": "none"},
        Composed,
        lambda x: np.linalg.norm(along(x, 0.5), axis=-1).sum(),
    ),
    (  # a window that hardly reaches the next pixel
        {"type": "structure_tensor_tv", "guide": "v", "eta": 0.5, "smoothing": 0.0, "window": 0.1},
        Composed,
        lambda x: np.sqrt((along(x, 0.5) ** 2).sum(axis=(0, 3))).sum(),
    ),
    ({"type": "tgv"}, Composed, isotropic),  # with the auxiliary field at zero
    ({"type": "tgv", "coupling": "joint"}, Composed, lambda x: np.sqrt((slopes(x) ** 2).sum(axis=(0, 3))).sum()),
    ({"type": "l1"}, Proximable, lambda x: np.abs(x).sum()),
    ({"type": "l2"}, Proximable, lambda x: 0.5 * (x**2).sum()),
    ({"type": "l1", **GRADIENT}, Composed, lambda x: np.abs(slopes(x)).sum()),
    ({"type": "l2", **GRADIENT}, Composed, lambda x: 0.5 * (slopes(x) ** 2).sum()),
    ({"type": "penalty", "functional": "l21", **GRADIENT}, Composed, isotropic),
    ({"type": "penalty", "functional": "nuclear", **GRADIENT}, Composed, nuclear),
    ({"type": "penalty", "functional": {"type": "huber", "smoothing": 0.5}, **GRADIENT}, Composed, huber),
    ({"type": "penalty", "functional": "euclidean"}, Proximable, np.linalg.norm),
    ({"type": "pyproximal", "operator": "Euclidean"}, Proximable, np.linalg.norm),
    ({"type": "pyproximal", "operator": "L21", "on": "gradient"}, Composed, isotropic),
    (
        {"type": "l1", "operator": {"type": "pylops", "operator": "Sum", "arguments": {"axis": 0}}},
        Composed,
        lambda x: np.abs(x.sum(axis=0)).sum(),
    ),
]
IDS = ["-".join(str(v) for v in spec.values()) for spec, *_ in PENALTIES]

images = hnp.arrays(np.float32, SHAPE, elements=st.floats(-4, 4, width=16))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("spec", "kind", "value"), PENALTIES, ids=IDS)
@settings(deadline=None, max_examples=10)
@given(x=images, weight=st.sampled_from([0.0, 0.3, 2.0]))
def test_value(spec: dict[str, Any], kind: type, value: Any, dtype: Any, x: np.ndarray, weight: float) -> None:
    term = build({**spec, "weight": weight}, dtype=dtype)
    actual = term.value(x.astype(dtype))
    assert isinstance(actual, float)
    assert actual == pytest.approx(weight * value(x.astype(np.float64)), rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("spec", "kind", "value"), PENALTIES, ids=IDS)
def test_kind(spec: dict[str, Any], kind: type, value: Any, dtype: Any) -> None:
    """The class says what a term can do; composed terms have proxes on the range and keep the dtype."""
    term = build(spec, dtype=dtype)
    assert {one for one in (Composed, Proximable) if isinstance(term, one)} == {kind}
    assert (term.convex, term.name) == (True, spec["operator"] if spec["type"] == "pyproximal" else spec["type"])
    x = np.random.default_rng(0).random(SHAPE).astype(dtype)
    if isinstance(term, Composed):
        y = term.operator.apply(x)
        results = [y, term.functional.prox(y.ravel(), 0.5), term.functional.proxdual(y.ravel(), 0.5)]
        assert term.operator.adjoint(y).shape == SHAPE
    else:
        out = np.empty_like(x)
        assert term.prox(x, 0.5, out=out) is out
        np.testing.assert_array_equal(out, term.prox(x, 0.5))
        results = [out]
    assert {result.dtype for result in results} == {np.dtype(dtype)}


@pytest.mark.parametrize("spec", [{"type": "tv"}, {"type": "tgv"}, {"type": "anisotropic_tv"}])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (1, 4, 5), (2, 4, 1)])
def test_unknowns_of_other_shapes(spec: dict[str, Any], shape: tuple[int, ...]) -> None:
    term = build(spec, shape)
    assert term.value(np.ones(shape)) == 0
    assert term.value(np.random.default_rng(0).random(shape)) > 0


def test_nonconvex_functionals_are_declared() -> None:
    assert build({"type": "pyproximal", "operator": "SCAD", "arguments": {"sigma": 1.0}}).convex is False
    on = {"operator": "SCAD", "arguments": {"sigma": 1.0}, "on": "gradient"}
    assert build({"type": "pyproximal", **on}).convex is False


def test_weight_scales_the_prox_of_a_named_function() -> None:
    x = np.linspace(-2, 2, 24).reshape(SHAPE)
    weighted = build({"type": "pyproximal", "operator": "L1", "weight": 0.5})
    np.testing.assert_allclose(weighted.prox(x, 0.6), np.sign(x) * np.maximum(np.abs(x) - 0.3, 0))
    assert build({"type": "l1", "name": "sparse"}).name == "sparse"


# ----------------------------------------------------------------------------------------------------------------- TGV


def tgv_value(term: Composed, x: Array, w: Array) -> float:
    assert term.auxiliary is not None
    return float(term.functional((term.operator.apply(x) + term.auxiliary.apply(w)).ravel()))


@pytest.mark.parametrize("dtype", DTYPES)
def test_tgv_of_affine_maps_is_zero(dtype: Any) -> None:
    """With w equal to the slope, up to the border; the isotropic TV of the same maps is not zero."""
    rows, columns = np.mgrid[:5, :6]
    x = np.stack([2.0 * rows - columns, 3.0 * columns + 1]).astype(dtype)
    w = np.empty((2, *x.shape), dtype)
    w[0], w[1] = np.array([2, 0]).reshape(2, 1, 1), np.array([-1, 3]).reshape(2, 1, 1)
    term = build({"type": "tgv", "weight": 0.7}, x.shape, dtype)
    assert tgv_value(term, x, w) == 0
    assert term.value(x) > 10


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES))
def test_tgv_operators(seed: int, dtype: Any) -> None:
    """Dot test of K and A, their norm bounds, and the dual ball of the stacked norms."""
    term = build({"type": "tgv", "weight": 0.7, "coupling": "joint" if seed % 2 else "none"}, dtype=dtype)
    random = np.random.default_rng(seed)
    y = random.standard_normal(term.operator.range).astype(dtype)
    for linear_map in (term.operator, term.auxiliary):
        x = random.standard_normal(linear_map.domain).astype(dtype)
        image = linear_map.apply(x)
        assert np.vdot(image, y) == pytest.approx(float(np.vdot(x, linear_map.adjoint(y))), rel=1e-3, abs=1e-4)
        assert np.linalg.norm(image) <= linear_map.norm * np.linalg.norm(x) * (1 + 1e-6)
        assert (image.dtype, linear_map.range) == (dtype, y.shape)
    assert isinstance(build({"type": "tgv"}).functional, HasDualBall)
    y = y.ravel()
    inside = term.functional.project_dual(y)
    np.testing.assert_allclose(term.functional.project_dual(inside), inside, rtol=1e-6)
    assert np.vdot(inside, y) <= term.functional(y) * (1 + 1e-6)
    step = 0.4
    moved = term.functional.prox(y, step) + step * term.functional.proxdual(y / step, 1 / step)
    np.testing.assert_allclose(moved, y, atol=1e-5)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 4, 5), (2, 2, 3, 4)])
def test_symmetric_gradient_is_that_of_pylops(shape: tuple[int, ...]) -> None:
    """Diagonal components first, then the mixed ones times √2."""
    operator = symmetric_gradient_map(shape)
    axes = range(1 if len(shape) > 2 else 0, len(shape))
    parts = [pylops.FirstDerivative(shape, axis=axis, kind="backward", edge=False) for axis in axes]
    zero, k, half = pylops.Zero(int(np.prod(shape))), len(parts), np.sqrt(0.5)
    rows: list[list[Any]] = [[parts[a] if b == a else zero for b in range(k)] for a in range(k)]
    for a, b in combinations(range(k), 2):
        rows.append([half * parts[b] if c == a else half * parts[a] if c == b else zero for c in range(k)])
    block = pylops.Block(rows)
    random = np.random.default_rng(0)
    w, q = random.standard_normal(operator.domain), random.standard_normal(operator.range)
    np.testing.assert_allclose(operator.apply(w).ravel(), block.matvec(w.ravel()), atol=1e-12)
    np.testing.assert_allclose(operator.adjoint(q).ravel(), block.rmatvec(q.ravel()), atol=1e-12)


def test_tgv_is_the_minimum_that_cvxpy_finds() -> None:
    """The definition in CVXPY, on one map: its optimal w gives the same value through K and A."""
    x = np.random.default_rng(1).random((1, 4, 5))
    a, b = cp.Variable((4, 5)), cp.Variable((4, 5))
    slope = slopes(x)[0]
    first = [slope[j, k] - cp.hstack([a[j, k] * (j < 3), b[j, k] * (k < 4)]) for j in range(4) for k in range(5)]
    second = []
    for j in range(4):
        for k in range(5):
            down = (a[j, k] - a[j - 1, k], b[j, k] - b[j - 1, k]) if j else (0 * a[0, 0], 0 * b[0, 0])
            right = (a[j, k] - a[j, k - 1], b[j, k] - b[j, k - 1]) if k else (0 * a[0, 0], 0 * b[0, 0])
            mixed = (down[1] + right[0]) / 2
            second.append(cp.hstack([down[0], mixed, mixed, right[1]]))
    ratio = 2.0
    objective = cp.Minimize(sum(map(cp.norm, first)) + ratio * sum(map(cp.norm, second)))
    best = cp.Problem(objective).solve(solver=cp.CLARABEL)
    term = build({"type": "tgv", "ratio": ratio}, x.shape)
    assert tgv_value(term, x, np.array([a.value, b.value])[:, None]) == pytest.approx(best, rel=1e-6)
    assert best < term.value(x)


# --------------------------------------------------------------------------------------------------------- constraints


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("spec", "lower", "upper"),
    [
        ({"type": "nonnegative"}, 0.0, np.inf),
        ({"type": "box"}, -np.inf, np.inf),
        ({"type": "box", "upper": 1}, -np.inf, 1.0),
        ({"type": "box", "lower": -0.5, "upper": None}, -0.5, np.inf),
        ({"type": "box", "lower": 0.5, "upper": 0.5}, 0.5, 0.5),
    ],
)
@settings(deadline=None, max_examples=10)
@given(x=images)
def test_bounds(spec: dict[str, Any], lower: float, upper: float, dtype: Any, x: np.ndarray) -> None:
    term = build(spec)
    assert isinstance(term, Bounds)
    assert (term.lower, term.upper, term.name, term.convex) == (lower, upper, spec["type"], True)
    x = x.astype(dtype)
    p = term.prox(x, 0.3)
    assert p.dtype == dtype
    np.testing.assert_array_equal(p, np.minimum(np.maximum(x, lower), upper))
    assert term.value(p) == 0
    assert term.value(x) == (0 if np.array_equal(p, x) else np.inf)


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        ({"type": "box", "lower": 2.0, "upper": 1.0}, SHAPE, r"lower \(2.0\) is above upper \(1.0\)"),
        ({"type": "box", "lower": float("nan")}, SHAPE, r"lower"),
        ({"type": "tv", "weight": -1.0}, SHAPE, r"weight"),
        ({"type": "tv", "weight": float("inf")}, SHAPE, r"weight"),
        ({"type": "tv", "wieght": 1.0}, SHAPE, r"wieght: unknown key; did you mean 'weight'"),
        ({"type": "tgv", "ratio": 0.0}, SHAPE, r"ratio"),
        ({"type": "tgv", "coupling": "joint"}, (4,), r"no elements to couple"),
        ({"type": "huber_tv"}, SHAPE, r"smoothing: is missing"),
        ({"type": "vectorial_tv", "coupling": "nuclaer"}, SHAPE, r"coupling"),
        ({"type": "directional_tv"}, SHAPE, r"guide: there is no data called 'haadf'; known: b, v"),
        ({"type": "directional_tv", "guide": "b"}, SHAPE, r"guide: 'b' has the shape \(24,\)"),
        ({"type": "structure_tensor_tv", "guide": "v", "window": 0.0}, SHAPE, r"window"),
        ({"type": "vectorial_tv"}, (4, 5), r"no elements to couple; use tv"),
        ({"type": "penalty"}, SHAPE, r"functional: is missing"),
        ({"type": "penalty", "functional": "nuclear"}, (3, 4, 5), r"functional: the nuclear norm takes"),
        ({"type": "penalty", "functional": "l1", "operator": "grad"}, SHAPE, r"operator.type: .*'grad'"),
        (
            {"type": "penalty", "functional": {"type": "l1", "weight": 2.0}},
            SHAPE,
            r"functional.weight: .*'weight' of the term",
        ),
        ({"type": "pyproximal", "operator": "L1", "on": "gradiant"}, SHAPE, r"on.type: .*'gradiant'.*'gradient'"),
        ({"type": "pyproximal", "operator": "Nuc"}, SHAPE, r"terms\[0\].operator: pyproximal has no"),
    ],
)
def test_refusals(spec: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        build(spec, shape)
    assert str(error.value).startswith("terms[0]")


@pytest.mark.parametrize("spec", [{"type": "tv"}, {"type": "vectorial_tv"}, {"type": "huber_tv", "smoothing": 1e-6}])
@pytest.mark.parametrize("coarser", [0, 1])
def test_total_variation_is_one_of_lengths(spec: dict[str, Any], coarser: int) -> None:
    """A blob on pixels that are twice as high, or twice as wide, has the total variation that it has on square ones."""
    y, x = np.mgrid[:64, :64]
    fine = np.exp(-((y - 31.5) ** 2 + 2.0 * (x - 31.5) ** 2) / 200.0)[None]
    pairs = fine.reshape(1, 32, 2, 64) if coarser == 0 else fine.reshape(1, 64, 32, 2)
    coarse = pairs.mean(axis=2 + coarser)
    edges = edge_facts(2.0, 1.0, "nm") if coarser == 0 else edge_facts(1.0, 2.0, "nm")

    def value(image: np.ndarray, facts: Any) -> float:
        dataset = Dataset({"maps": image}, ("Co",), metadata=facts)
        context = Context(dataset, image.shape, ("Co",), np.dtype(np.float64))
        return float(context.build("terms", Spec.model_validate(spec), "terms[0]").value(image))

    assert 2.0 * value(coarse, edges) == pytest.approx(value(fine, {}), rel=5e-3)
