"""The optimality certificate: zero at known solutions, without units, the same for every solver."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import MAPS, NONNEGATIVE, POISSON, SHAPE, TV, Z, arrays, build, problem_of, solved
from test_solvers import TAKEN

from fusionkit.build import Context
from fusionkit.certificate import Certificate, certify
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.loop import solve
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.options import Spec
from fusionkit.problem import Problem, Slots, Split
from fusionkit.result import Status
from fusionkit.solver import fit
from fusionkit.terms import Array, HasDualBall

PRIMAL_DUAL = Slots(pixelwise=True, auxiliary=True)


def certificate_of(split: Split, x: Array, *duals: Array) -> Certificate:
    return certify(split, x, split.coupling.auxiliary_zeros(x.dtype), duals)


def flat_solution(weight: float) -> tuple[Split, Array, Array]:
    """TV denoising so strong that each map becomes its mean: x and p in closed form."""
    maps = arrays()["maps"]
    problem = problem_of([MAPS, TV | {"weight": weight}])
    x = np.broadcast_to(maps.mean((1, 2), keepdims=True), SHAPE).copy()
    matrix = np.stack([gradient_map(SHAPE).apply(e).ravel() for e in np.eye(x.size).reshape(-1, *SHAPE)])
    p = np.linalg.lstsq(matrix, (maps - x).ravel(), rcond=None)[0].reshape(2, *SHAPE)
    assert np.sqrt((p**2).sum(0)).max() < weight
    return problem.sort(PRIMAL_DUAL), x, p


def test_zero_at_a_solution_in_closed_form() -> None:
    split, x, p = flat_solution(weight=3.0)
    actual = certificate_of(split, x, p)
    assert actual.optimality < 1e-12


@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_the_data_with_duals_at_zero_are_not_a_solution(engine: Any) -> None:
    """The gradient, the duals and so the scale of the gap vanish there, but not the gap."""
    dataset = Dataset({"maps": arrays()["maps"]}, elements=("Sc", "Dy", "O"))
    problem = compose(dataset, [MAPS, TV], engine=engine)
    x0 = arrays()["maps"].astype(np.float32)
    result = solve(problem, make_solver("chambolle_pock", tolerance=1e-4, max_iterations=2000), x0)
    assert result.trace["optimality"][0] > 0.1
    assert result.status is Status.CONVERGED


def test_zero_without_composed_terms() -> None:
    problem = problem_of([MAPS, {"type": "box", "lower": 0.2, "upper": 0.9}])
    x = np.clip(arrays()["maps"], 0.2, 0.9)
    assert certificate_of(problem.sort(PRIMAL_DUAL), x).optimality < 1e-14


def test_zero_at_the_least_squares_solution_of_a_lone_term() -> None:
    """G is not the vanishing gradient itself."""
    problem, _ = build("regression")
    split = problem.sort(PRIMAL_DUAL)
    design = np.column_stack([arrays()["X"], np.ones(40)])
    w = np.linalg.lstsq(design, arrays()["y"], rcond=None)[0]
    zero = np.zeros(40)
    assert certificate_of(split, w, zero).optimality < 1e-12
    near, far = (certificate_of(split, w + d, zero).optimality for d in (1e-4, 1e-2))
    assert near == pytest.approx(np.linalg.norm(1e-4 * np.ones(3)) / np.linalg.norm(w), rel=3)
    assert far == pytest.approx(100 * near, rel=0.05)


@pytest.mark.parametrize("part", ["x", "p"])
def test_grows_with_the_distance_from_the_solution(part: str) -> None:
    split, x, p = flat_solution(weight=3.0)
    random = np.random.default_rng(3)
    dx, dp = random.standard_normal(x.shape), random.standard_normal(p.shape)
    values = []
    for size in (0.0, 1e-6, 1e-4, 1e-2, 1.0):
        moved = (x + size * dx, p) if part == "x" else (x, p + size * dp)
        values.append(certificate_of(split, *moved).optimality)
    assert all(a < b for a, b in pairwise(values))


def fused(scale: float, factor: float, dtype: Any) -> Problem:
    """A canonical problem with other units of x (``scale``) and of the objective (``factor``)."""
    maps = scale * arrays()["maps"]
    data = Dataset({"maps": maps, "haadf": arrays()["haadf_1.6"].copy()}, ("Sc", "Dy", "O"))
    z = dict(zip(data.elements, (Z / scale).tolist(), strict=True))
    return compose(
        data,
        [
            {"type": "haadf", "weight": factor, "gamma": 1.6, "z": z},
            POISSON | {"weight": 0.24 * factor / scale, "epsilon": 0.1 * scale},
            TV | {"weight": 0.1 * factor / scale},
            NONNEGATIVE,
        ],
        precision="single" if dtype == np.float32 else "double",
    )


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-8), (np.float32, 2e-3)])
@given(
    scale=st.floats(-3, 3).map(lambda e: 10.0**e),
    factor=st.floats(-3, 3).map(lambda e: 10.0**e),
    seed=st.integers(0, 99),
)
def test_has_no_units(dtype: Any, rtol: float, scale: float, factor: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    x = np.maximum(random.normal(0.5, 0.5, SHAPE), 0.0)
    p = 0.06 * random.standard_normal((2, *SHAPE))
    actual = []
    for s, c in ((1.0, 1.0), (scale, factor)):
        split = fused(s, c, dtype).sort(PRIMAL_DUAL)
        actual.append(certificate_of(split, (s * x).astype(dtype), (c / s * p).astype(dtype)))
    for name in ("stationarity", "alignment", "feasibility"):
        assert getattr(actual[1], name) == pytest.approx(getattr(actual[0], name), rel=rtol)


@pytest.mark.parametrize(
    "problem", ["fused", "tv_denoising", "blur", "anisotropic_tv", "huber_tv", "nuclear_tv", "box"]
)
def test_does_not_depend_on_the_solver_that_asks(problem: str) -> None:
    built, start = build(problem)
    random = np.random.default_rng(5)
    actual: dict[str, Certificate] = {}
    for solver, name in TAKEN:
        if name == problem:
            split = fit(make_solver(solver), built)
            penalty = built.terms[-2] if built.bounds.active else built.terms[-1]
            random = np.random.default_rng(5)
            p = 0.06 * random.standard_normal((2, *SHAPE))
            duals = [p if term is penalty else np.zeros(term.operator.range) for term in split.coupling.terms]
            actual[solver] = certificate_of(split, start, *duals)
    assert len(actual) >= 4
    first = next(iter(actual.values()))
    for solver, other in actual.items():
        for name in ("stationarity", "alignment", "feasibility"):
            assert getattr(other, name) == pytest.approx(getattr(first, name), rel=1e-10), solver


def test_projected_gradient_formula() -> None:
    """|x - max(0, x - t r)| / |x| with t = |x| / G, written out."""
    split = problem_of([{"type": "haadf"}, POISSON, TV, NONNEGATIVE]).sort(PRIMAL_DUAL)
    random = np.random.default_rng(0)
    x = np.maximum(random.standard_normal(SHAPE), 0)
    p = random.standard_normal((2, *SHAPE))
    z, maps, image = Z[:, None, None], arrays()["maps"], arrays()["haadf"]
    haadf = 1.6 * z * (z * x) ** 0.6 * (((z * x) ** 1.6).sum(0) - image)
    poisson = 0.24 * (1 - maps / (x + 0.1))
    pulled = np.zeros(SHAPE)
    pulled[:, :-1] -= p[0, :, :-1]
    pulled[:, 1:] += p[0, :, :-1]
    pulled[..., :-1] -= p[1, ..., :-1]
    pulled[..., 1:] += p[1, ..., :-1]
    size = np.linalg.norm(x)
    t = size / np.sqrt(sum(np.sum(part**2) for part in (haadf, poisson, pulled)))
    expected = np.linalg.norm(x - np.maximum(0, x - t * (haadf + poisson + pulled))) / size
    assert certificate_of(split, x, p).stationarity == pytest.approx(expected, rel=1e-12)


NORMS = [
    {"type": "tv"},
    {"type": "anisotropic_tv"},
    {"type": "vectorial_tv"},
    {"type": "vectorial_tv", "coupling": "nuclear"},
    {"type": "penalty", "functional": "euclidean", "operator": "gradient"},
]


@pytest.mark.parametrize("spec", NORMS, ids=lambda spec: "_".join(map(str, spec.values())))
@given(seed=st.integers(0, 10_000), size=st.sampled_from([1e-3, 0.3, 30.0]), weight=st.sampled_from([1e-6, 0.2, 5.0]))
def test_alignment_is_never_negative_and_feasibility_is_the_share_outside(
    spec: dict[str, Any], seed: int, size: float, weight: float
) -> None:
    problem = problem_of([MAPS, spec | {"weight": weight}])
    split = problem.sort(PRIMAL_DUAL)
    random = np.random.default_rng(seed)
    x, p = random.standard_normal(SHAPE), size * random.standard_normal((2, *SHAPE))
    (term,) = split.coupling.terms
    assert isinstance(term.functional, HasDualBall)
    inside = term.functional.project_dual(p.ravel()).reshape(p.shape)
    actual, within = certificate_of(split, x, p), certificate_of(split, x, inside)
    assert actual.alignment >= 0
    assert within.alignment >= 0
    assert actual.feasibility == pytest.approx(np.linalg.norm(p - inside) / np.linalg.norm(p), rel=1e-6, abs=1e-12)
    assert within.feasibility < 1e-12


def test_a_dual_outside_its_ball_cannot_hide_a_gap() -> None:
    """In <p, y>, a p that is too long where it is aligned outweighs the deficit where it is not."""
    split = problem_of([MAPS, TV]).sort(PRIMAL_DUAL)
    x = arrays()["maps"]
    y = gradient_map(SHAPE).apply(x)
    aligned = certificate_of(split, x, 100 * y)
    assert aligned.feasibility > 0.9
    assert aligned.alignment == pytest.approx(0.0, abs=1e-12)
    y[:, 0, :4] *= -1
    assert certificate_of(split, x, 100 * y).alignment > 1e-4


def test_a_background_does_not_hide_a_gap() -> None:
    """The same maps and data above a background have the same gradient and gap, and differences do not see the rest."""
    maps, alignments = arrays()["maps"], []
    for background in (0.0, 3.0 * arrays()["maps"].std()):
        data = Dataset({"maps": maps + background}, elements=("Sc", "Dy", "O"))
        split = compose(data, [MAPS, TV], precision="double").sort(PRIMAL_DUAL)
        alignments.append(certificate_of(split, 0.9 * maps + background, np.full((2, *SHAPE), 1e-3)).alignment)
    assert 0.0 < alignments[0] == pytest.approx(alignments[1])


def test_what_is_not_finite_is_never_optimal() -> None:
    assert Certificate(0.0, float("nan"), 0.0).optimality == float("inf")
    assert Certificate(1e-3, 2e-3, 5e-4).optimality == 2e-3
    split = problem_of([MAPS, TV]).sort(PRIMAL_DUAL)
    assert certificate_of(split, np.full(SHAPE, np.nan), np.zeros((2, *SHAPE))).optimality == float("inf")


@pytest.mark.parametrize("problem", ["fused", "tv_denoising", "huber_tv"])
def test_vanishes_along_a_solve(problem: str) -> None:
    """Solved tightly in float64, all three parts are small together."""
    result = solved("proximal_gradient", problem, "float64", 1e-8)
    assert result.optimality <= 1e-8


def test_zero_maps_and_zero_weights_are_judged() -> None:
    """x = 0 has no scale: the number is finite, and zero where x = 0 solves the problem.

    A penalty of weight zero is dropped and has no dual variable.
    """
    context = Context(Dataset({"maps": np.zeros(SHAPE)}), SHAPE, ("Sc", "Dy", "O"), np.dtype(np.float64))
    specs = [MAPS, TV | {"weight": 0.0}, NONNEGATIVE]
    terms = tuple(context.build("terms", Spec.model_validate(spec), f"terms[{i}]") for i, spec in enumerate(specs))
    split = Problem(terms, SHAPE).sort(PRIMAL_DUAL)
    assert split.silent == ("tv",)
    assert certify(split, np.zeros(SHAPE), (), ()).optimality == 0.0
    assert 0 < certify(split, np.ones(SHAPE), (), ()).optimality < np.inf
    assert split.values(np.ones(SHAPE), ())["tv"] == 0.0
