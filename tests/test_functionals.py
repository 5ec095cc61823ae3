"""Every functional: value, prox against the definition, Moreau identity, dual ball, zero weight, dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyproximal
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproximal.optimization.primal import ProximalPoint

from fusionkit.build import Context
from fusionkit.data.dataset import Dataset
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.functional import to_pyproximal
from fusionkit.options import Spec
from fusionkit.terms import HasDualBall

SHAPE = (2, 3, 2, 2)
DTYPES = [np.float32, np.float64]


def huber_value(y: np.ndarray) -> float:
    total = 0.0
    for t in np.linalg.norm(y.reshape(2, -1), axis=0):
        total += t * t / (2 * 0.7) if t <= 0.7 else t - 0.35
    return total


def nuclear_value(y: np.ndarray) -> float:
    return float(np.linalg.svd(np.moveaxis(y, (0, 1), (-2, -1)), compute_uv=False).sum())


# type, options, value with weight 1 of y (2, 3, 2, 2), whether it is a norm
FUNCTIONALS: list[tuple[str, dict[str, Any], Callable[..., Any], bool]] = [
    ("l1", {}, lambda y: np.abs(y).sum(), True),
    ("l21", {}, lambda y: np.sqrt(y[0] ** 2 + y[1] ** 2).sum(), True),
    ("l21", {"axes": 2}, lambda y: np.sqrt((y**2).sum(axis=(0, 1))).sum(), True),
    ("l2", {}, lambda y: 0.5 * (y**2).sum(), False),
    ("euclidean", {}, lambda y: np.linalg.norm(y), True),
    ("huber", {"smoothing": 0.7}, huber_value, False),
    ("nuclear", {}, nuclear_value, True),
    ("pyproximal", {"operator": "L1"}, lambda y: np.abs(y).sum(), False),
    ("pyproximal", {"operator": "L21"}, lambda y: np.sqrt(y[0] ** 2 + y[1] ** 2).sum(), False),
    ("pyproximal", {"operator": "L2", "arguments": {"b": {"data": "b"}}}, lambda y: 0.5 * ((y - 1) ** 2).sum(), False),
    ("pyproximal", {"operator": "HuberCircular", "arguments": {"alpha": 1e-9}}, np.linalg.norm, False),
]
IDS = [f"{kind}-{'-'.join(map(str, options.values()))}" for kind, options, _, _ in FUNCTIONALS]
NORMS = [row for row in FUNCTIONALS if row[3]]
NORM_IDS = [name for name, row in zip(IDS, FUNCTIONALS, strict=True) if row[3]]


def build(kind: str, options: dict[str, Any], dtype: Any = np.float64, shape: tuple[int, ...] = SHAPE) -> Any:
    context = Context(Dataset({"b": np.ones(24)}), shape, ("a", "b"), np.dtype(dtype), "terms[0]")
    return context.build("functionals", Spec.model_validate({"type": kind, **options}), "functional")


def vectors(dtype: Any) -> st.SearchStrategy[np.ndarray]:
    # many equal and zero values, where the corners are; no values whose squares leave float32
    values = st.one_of(st.sampled_from([0.0, 1.0, -2.0]), st.floats(-5, 5, width=16).map(lambda v: round(v, 3)))
    return hnp.arrays(dtype, int(np.prod(SHAPE)), elements=values)


steps = st.sampled_from([0.05, 0.5, 3.0])
weights = st.sampled_from([0.0, 0.3, 2.0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "options", "value", "is_norm"), FUNCTIONALS, ids=IDS)
@settings(deadline=None, max_examples=12)
@given(data=st.data(), weight=weights)
def test_value(
    kind: str, options: dict[str, Any], value: Any, is_norm: bool, dtype: Any, data: st.DataObject, weight: float
) -> None:
    y = data.draw(vectors(dtype))
    expected = weight * value(y.reshape(SHAPE).astype(np.float64))
    found = build(kind, {**options, "weight": weight}, dtype)(y)
    assert isinstance(found, float)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "options", "value", "is_norm"), FUNCTIONALS, ids=IDS)
@settings(deadline=None, max_examples=12)
@given(data=st.data(), weight=weights, step=steps)
def test_prox(
    kind: str,
    options: dict[str, Any],
    value: Any,
    is_norm: bool,
    dtype: Any,
    data: st.DataObject,
    weight: float,
    step: float,
) -> None:
    """No point has a lower g(y) + |y - v|^2 / 2t, the dual prox obeys Moreau's identity, and the input stays."""
    functional = build(kind, {**options, "weight": weight}, dtype)
    v = data.draw(vectors(dtype))
    before = v.copy()
    p, q = functional.prox(v, np.float64(step)), functional.proxdual(v / step, 1 / step)
    np.testing.assert_array_equal(v, before)
    assert (p.dtype, p.shape, q.dtype, q.shape) == (dtype, v.shape, dtype, v.shape)
    tolerance = 1e-5 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(p + step * q, v, atol=10 * tolerance * max(1, step))

    def objective(y: np.ndarray) -> float:
        return weight * value(y.reshape(SHAPE)) + float(((y - v) ** 2).sum()) / (2 * step)

    found = objective(p.astype(np.float64))
    for other in competitors(v.astype(np.float64), p.astype(np.float64)):
        # g is convex: the objective is strongly convex around its minimiser
        excess = float(((other - p) ** 2).sum()) / (2 * step)
        assert found + excess <= objective(other) + 20 * tolerance * (1 + found + excess)


def competitors(v: np.ndarray, p: np.ndarray) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    near = [p + scale * random.standard_normal(v.size) for scale in (1e-4, 1e-2, 0.3, 2) for _ in range(4)]
    return [v, 0 * v, 0.5 * (v + p), 0.9 * p, 1.1 * p, *near]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "options", "value", "is_norm"), NORMS, ids=NORM_IDS)
@settings(deadline=None, max_examples=12)
@given(data=st.data(), weight=weights)
def test_dual_ball(
    kind: str, options: dict[str, Any], value: Any, is_norm: bool, dtype: Any, data: st.DataObject, weight: float
) -> None:
    """The projection is idempotent, obeys <p, y> <= g(y) for all y with equality for some, and is the nearest point."""
    norm = build(kind, {**options, "weight": weight}, dtype)
    assert isinstance(build(kind, options), HasDualBall)
    p, y = data.draw(vectors(dtype)), data.draw(vectors(dtype))
    inside = norm.project_dual(p)
    tolerance = 20 * float(np.finfo(dtype).eps) * (1 + weight) * (1 + float(np.abs(p).sum()))
    np.testing.assert_allclose(norm.project_dual(inside), inside, atol=tolerance)
    np.testing.assert_array_equal(norm.proxdual(p, 0.3), inside)
    for direction in (y, p, p - inside):
        assert np.vdot(inside, direction) <= norm(direction) + tolerance * (1 + np.abs(direction).sum())
    # the nearest point of a convex set: p - inside is normal there, so that its support is reached at the projection
    outward = p - inside
    assert np.vdot(inside, outward) == pytest.approx(norm(outward), abs=tolerance * (1 + float(np.abs(outward).sum())))
    if weight == 0:
        np.testing.assert_array_equal(inside, 0)


@pytest.mark.parametrize("kind", ["l1", "l21", "euclidean"])
def test_dual_projection_in_place(kind: str) -> None:
    norm, p = build(kind, {"weight": 0.5}), np.random.default_rng(0).standard_normal(24)
    expected = norm.project_dual(p)
    assert norm.project_dual(p, out=p) is p
    np.testing.assert_array_equal(p, expected)


def test_functionals_that_are_no_norms_do_not_claim_a_dual_ball() -> None:
    assert not any(
        isinstance(build(kind, options), HasDualBall) for kind, options, _, is_norm in FUNCTIONALS if not is_norm
    )


def test_huber_gradient() -> None:
    functional = build("huber", {"smoothing": 0.7, "weight": 2.0})
    y = np.random.default_rng(0).standard_normal(24)
    steps = 1e-6 * np.eye(24)
    numeric = [(functional(y + step) - functional(y - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(functional.grad(y), numeric, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0])
def test_nuclear_prox_where_the_rows_are_nearly_parallel(scale: float) -> None:
    """A singular value of 1e-3 of the other is shrunk exactly, in float32 too, where eigenvalues of J J' lose it."""
    j = np.outer([1.0, 2.0], [1.0, -1.0, 0.5]) + scale * 1e-3 * np.outer([2.0, -1.0], [1.0, 1.0, 0.0])
    left, values, right = np.linalg.svd(j)
    expected = (left * np.maximum(values - 1e-3, 0)) @ right[:2]
    found = build("nuclear", {}, np.float32, (2, 3, 1)).prox(j.astype(np.float32).ravel(), 1e-3).reshape(2, 3)
    np.testing.assert_allclose(found, expected, atol=2e-6)


# pyproximal's functions that need no other object, with arguments; whether they are declared convex
NAMED: list[tuple[str, dict[str, Any], bool]] = [
    ("Box", {"lower": -0.5, "upper": 0.7}, True),
    ("EuclideanBall", {"center": 0.0, "radius": 1.0}, True),
    ("HalfSpace", {"w": {"data": "b"}, "b": 0.5}, True),
    ("L1Ball", {"radius": 1.0}, True),
    ("Simplex", {"radius": 1.0}, True),
    ("L21_plus_L1", {}, True),
    ("Nuclear", {"dim": [4, 6]}, True),
    ("Intersection", {"sigma": 1.0}, True),
    ("L0Ball", {"radius": 3}, False),
    ("SCAD", {"sigma": 1.0}, False),
    ("Log", {"sigma": 1.0}, False),
    ("ETP", {"sigma": 1.0}, False),
    ("Geman", {"sigma": 1.0}, False),
    ("QuadraticEnvelopeCard", {"mu": 1.0}, False),
    ("Orthogonal", {"f": {"functional": "l1"}, "Q": {"operator": {"type": "pylops", "operator": "Flip"}}}, False),
    ("VStack", {"ops": [{"functional": "l1"}, {"functional": "l2"}], "nn": [10, 14]}, False),
]


@pytest.mark.parametrize(("name", "arguments", "convex"), NAMED, ids=[name for name, _, _ in NAMED])
@settings(deadline=None, max_examples=8)
@given(data=st.data(), step=st.sampled_from([0.05, 0.5, 0.9]))
def test_named_prox(name: str, arguments: dict[str, Any], convex: bool, data: st.DataObject, step: float) -> None:
    functional = build("pyproximal", {"operator": name, "arguments": arguments, "weight": 0.8})
    assert functional.convex is convex
    v = data.draw(vectors(np.float64))
    before = v.copy()
    p = functional.prox(v, step)
    np.testing.assert_array_equal(v, before)

    def objective(y: np.ndarray) -> float:
        return functional(y) + float(((y - v) ** 2).sum()) / (2 * step)

    found = objective(p)
    assert np.isfinite(found)
    # an indicator counts points within 1e-4 of its border as inside
    assert all(found <= objective(y) + 1e-3 * (1 + found) + 1e-3 * np.abs(v).sum() / step for y in competitors(v, p))


@pytest.mark.parametrize("name", ["Huber", "L0", "Log1", "RelaxedMumfordShah"])
def test_unfaithful_prox_is_warned_about(name: str) -> None:
    """The prox does not minimise value plus quadratic: some competitor is clearly lower."""
    arguments = {"Huber": {"alpha": 0.5}, "Log1": {"sigma": 1.0, "delta": 0.1}}.get(name, {})
    with pytest.warns(FusionkitWarning, match=f"pyproximal's {name}: .*do not rely on"):
        functional = build("pyproximal", {"operator": name, "arguments": arguments})
    random, step, worst = np.random.default_rng(0), 0.8, 0.0
    for _ in range(10):
        v = np.pad(random.uniform(-3, 3, 2), (0, 22))
        grid = [v * np.pad([s, t], (0, 22)) for s in np.linspace(0, 1, 21) for t in np.linspace(0, 1, 21)]
        values = [functional(y) + float(((y - v) ** 2).sum()) / (2 * step) for y in (functional.prox(v, step), *grid)]
        worst = max(worst, values[0] - min(values[1:]))
    assert worst > 0.01


def test_indicator_is_zero_inside_and_infinite_outside() -> None:
    box = build("pyproximal", {"operator": "Box", "arguments": {"lower": 0.0}, "weight": 3.0})
    assert box(np.ones(24)) == 0
    assert box(-np.ones(24)) == np.inf
    assert build("pyproximal", {"operator": "Box", "arguments": {"lower": 0.0}, "weight": 0.0})(-np.ones(24)) == 0


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("hubr", {}, r"no functional 'hubr'; did you mean 'huber'"),
        ("l21", {"axes": 5}, r"axes: the vector has the shape"),
        ("huber", {}, r"smoothing: is missing"),
        ("huber", {"smoothing": 0.0}, r"smoothing: .*greater than 0|smoothing: must be"),
        ("l1", {"weight": -1.0}, r"weight"),
        ("pyproximal", {"operator": "Nuclar"}, r"operator: .* no ProxOperator 'Nuclar'; did you mean 'Nuclear'"),
        ("pyproximal", {"operator": "Nonlinear"}, r"pyproximal has no ProxOperator 'Nonlinear'"),
        ("pyproximal", {"operator": "Huber"}, r"arguments.alpha: is missing"),
        ("pyproximal", {"operator": "L1", "arguments": {"sigm": 1.0}}, r"arguments.sigm: unknown .*'sigma'"),
        (
            "pyproximal",
            {"operator": "L2", "arguments": {"b": {"data": "c"}}},
            r"arguments.b.data: there is no data called 'c'; known: b",
        ),
        ("pyproximal", {"operator": "L2", "arguments": {"b": [1.0, 2.0]}}, r"L2 cannot be applied"),
        ("pyproximal", {"operator": "Nuclear"}, r"Nuclear cannot be applied"),
    ],
)
def test_refusals(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        build(kind, options)
    assert str(error.value).startswith("terms[0].functional")


def test_nuclear_refuses_three_directions() -> None:
    with pytest.raises(UserError, match="1 x n or 2 x n"):
        build("nuclear", {}, shape=(3, 2, 4, 4, 4))


@pytest.mark.parametrize(("kind", "options", "value", "is_norm"), FUNCTIONALS, ids=IDS)
def test_a_functional_works_in_pyproximal(kind: str, options: dict[str, Any], value: Any, is_norm: bool) -> None:
    functional, y = build(kind, options), np.linspace(-2, 3, int(np.prod(SHAPE)))
    operator = to_pyproximal(functional)
    assert isinstance(operator, pyproximal.ProxOperator)
    assert operator(y) == functional(y)
    np.testing.assert_array_equal(operator.prox(y, 0.5), functional.prox(y, 0.5))
    np.testing.assert_array_equal(operator.proxdual(y, 0.5), functional.proxdual(y, 0.5))
    np.testing.assert_array_equal(operator.grad(y), functional.grad(y))
    # a composition of pyproximal, here 2 g, has the prox that follows from Moreau's identity
    twice = 2.0 * operator
    np.testing.assert_allclose(twice.prox(y, 0.5), functional.prox(y, 1.0))
    # its solvers take the functional unchanged
    taken = ProximalPoint(functional, y, tau=0.5, niter=1)
    np.testing.assert_array_equal(taken, functional.prox(y, 0.5))
