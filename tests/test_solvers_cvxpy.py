"""Convex problems written in CVXPY, independently of the project's code: solvers must reach its objective.

The results are those of ``test_solvers.py``, which runs before it, mostly in the same process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import cvxpy as cp
import numpy as np
import pytest
from problems import OTHER_Z, SHAPE, Z, arrays, known, refuses, solved
from scipy.ndimage import gaussian_filter
from test_solvers import AGREEMENT, TOLERANCE

from fusionkit.registry import table

N, NY, NX = SHAPE
Maps = list[cp.Variable]
Gradients = list[tuple[cp.Expression, cp.Expression]]


def variables(**more: Any) -> Maps:
    return [cp.Variable((NY, NX), **more) for _ in range(N)]


def gradients(x: Maps) -> Gradients:
    """Forward differences along rows and columns, zero at the last row and column."""
    rows, columns = np.zeros((1, NX)), np.zeros((NY, 1))
    return [(cp.vstack([m[1:] - m[:-1], rows]), cp.hstack([m[:, 1:] - m[:, :-1], columns])) for m in x]


def add(values: cp.Expression) -> cp.Expression:
    """The sum of all values, with a narrower type than CVXPY's."""
    return cast(cp.Expression, cp.sum(values))


def total(parts: list[cp.Expression]) -> cp.Expression:
    return add(cp.hstack(parts))


def flat(*images: cp.Expression) -> cp.Expression:
    return cp.vstack([cp.vec(image, order="C") for image in images])


def lengths(*images: cp.Expression) -> cp.Expression:
    """The Euclidean length at each pixel of the vector of these images."""
    return cp.norm(flat(*images), 2, axis=0)


def tv(x: Maps) -> cp.Expression:
    return total([add(lengths(*pair)) for pair in gradients(x)])


def image(x: Maps, z: list[float]) -> cp.Expression:
    first, *rest = [weight * m for weight, m in zip(z, x, strict=True)]
    return sum(rest, first)


def half_square(a: cp.Expression, b: np.ndarray) -> cp.Expression:
    return 0.5 * cp.sum_squares(a - b)


def misfit(x: Maps) -> cp.Expression:
    return total([half_square(m, b) for m, b in zip(x, arrays()["maps"], strict=True)])


def poisson(x: Maps, epsilon: float) -> cp.Expression:
    parts = []
    for m, b in zip(x, arrays()["maps"], strict=True):
        seen = np.nonzero(b)  # 0 log 0 = 0
        parts.append(add(m) - add(cp.multiply(b[seen], cp.log(m[seen] + epsilon))))
    return total(parts)


def haadf(x: Maps) -> cp.Expression:
    return half_square(image(x, list(Z)), arrays()["haadf"])


def fused_linear() -> cp.Expression:
    x = variables(nonneg=True)
    return haadf(x) + 0.24 * poisson(x, 0.1) + 0.1 * tv(x)


def tv_denoising() -> cp.Expression:
    x = variables()
    return misfit(x) + 0.1 * tv(x)


def l1_of_operator() -> cp.Expression:
    # pylops' centred second difference is zero in the first and the last column
    x = variables()
    second = [m[:, 2:] - 2 * m[:, 1:-1] + m[:, :-2] for m in x]
    return misfit(x) + 0.1 * total([add(cp.abs(s)) for s in second])


def blur() -> cp.Expression:
    x = variables(nonneg=True)
    rows, columns = (gaussian_filter(np.eye(m), (1.0, 0.0)) for m in (NY, NX))
    data = arrays()["blurred"]
    return total([half_square(rows @ m @ columns.T, b) for m, b in zip(x, data, strict=True)]) + 0.02 * tv(x)


def poisson_without_background() -> cp.Expression:
    x = variables(nonneg=True)
    return 0.24 * poisson(x, 0.0) + 0.1 * tv(x)


def anisotropic_tv() -> cp.Expression:
    x = variables()
    return misfit(x) + 0.1 * total([add(cp.abs(d)) for pair in gradients(x) for d in pair])


def huber_tv() -> cp.Expression:
    # h_a(t) is a / 2 times CVXPY's huber of t / a, s^2 up to 1 and 2 s - 1 beyond
    x = variables()
    return misfit(x) + 0.1 * 0.05 / 2 * total([add(cp.huber(lengths(*pair) / 0.05)) for pair in gradients(x)])


def tgv_parts(x: Maps) -> list[tuple[list[cp.Expression], list[cp.Expression]]]:
    """First and second differences of each map: symmetrised, backward, zero at the first row and column for w.

    w is absent where x has no difference.
    """
    inside_rows, inside_columns = np.ones((NY, NX)), np.ones((NY, NX))
    inside_rows[-1], inside_columns[:, -1] = 0, 0
    parts = []
    for d_rows, d_columns in gradients(x):
        u, v = cp.Variable((NY, NX)), cp.Variable((NY, NX))
        mixed = (backward_rows(v) + backward_columns(u)) / 2
        first = [d_rows - cp.multiply(inside_rows, u), d_columns - cp.multiply(inside_columns, v)]
        parts.append((first, [backward_rows(u), backward_columns(v), np.sqrt(2) * mixed]))
    return parts


def tgv() -> cp.Expression:
    x = variables()
    costs = [0.1 * add(lengths(*first)) + 0.2 * add(lengths(*second)) for first, second in tgv_parts(x)]
    return misfit(x) + total(costs)


def joint_tgv() -> cp.Expression:
    x = variables()
    parts = tgv_parts(x)
    first, second = ([image for part in parts for image in part[k]] for k in (0, 1))
    return misfit(x) + 0.1 * add(lengths(*first)) + 0.2 * add(lengths(*second))


def backward_rows(a: cp.Expression) -> cp.Expression:
    return cp.vstack([np.zeros((1, NX)), a[1:] - a[:-1]])


def backward_columns(a: cp.Expression) -> cp.Expression:
    return cp.hstack([np.zeros((NY, 1)), a[:, 1:] - a[:, :-1]])


def vectorial_tv() -> cp.Expression:
    x = variables(nonneg=True)
    return misfit(x) + 0.1 * add(lengths(*(d for pair in gradients(x) for d in pair)))


def nuclear_tv() -> cp.Expression:
    x = variables()
    rows, columns = (flat(*(pair[axis] for pair in gradients(x))) for axis in (0, 1))
    jacobians = [cp.vstack([rows[:, k], columns[:, k]]) for k in range(NY * NX)]
    return misfit(x) + 0.1 * total([cp.normNuc(j) for j in jacobians])


def box() -> cp.Expression:
    x = variables(bounds=[0.1, 0.5])
    return misfit(x) + 0.1 * tv(x)


def sparse() -> cp.Expression:
    x = variables()
    return misfit(x) + 0.2 * total([add(cp.abs(m)) for m in x])


def sparse_bounded() -> cp.Expression:
    x = variables(nonneg=True)
    return haadf(x) + misfit(x) + 0.2 * total([add(m) for m in x])


def length_bounded() -> cp.Expression:
    x = variables(bounds=[0.1, 0.5])
    return 0.24 * poisson(x, 0.1) + cp.norm(cp.hstack([cp.vec(m, order="C") for m in x]), 2)


def regression() -> cp.Expression:
    w, offset = cp.Variable(2), cp.Variable()
    return half_square(arrays()["X"] @ w + offset, arrays()["y"])


def two_images() -> cp.Expression:
    x = variables(nonneg=True)
    second = half_square(image(x, list(OTHER_Z.values())), arrays()["second"])
    return haadf(x) + second + 0.24 * poisson(x, 0.1)


def pyproximal_by_name() -> cp.Expression:
    x = variables(nonneg=True)
    return misfit(x) + 0.5 * cp.norm(cp.hstack([cp.vec(d, order="C") for pair in gradients(x) for d in pair]), 2)


STATED: dict[str, Callable[[], cp.Expression]] = {
    builder.__name__: builder
    for builder in (
        fused_linear,
        tv_denoising,
        l1_of_operator,
        blur,
        poisson_without_background,
        anisotropic_tv,
        huber_tv,
        tgv,
        joint_tgv,
        vectorial_tv,
        nuclear_tv,
        box,
        sparse,
        sparse_bounded,
        length_bounded,
        regression,
        two_images,
        pyproximal_by_name,
    )
}
MATRIX = [
    (solver, problem)
    for problem in STATED
    for solver in table("solvers")
    if known(solver).convergent and not refuses(solver, problem)
]


@cache
def optimum(problem: str) -> float:
    """CVXPY's minimum."""
    stated = cp.Problem(cp.Minimize(STATED[problem]()))
    stated.solve(solver=cp.CLARABEL)
    assert stated.status == cp.OPTIMAL
    assert isinstance(stated.value, float | np.floating)
    return float(stated.value)


@pytest.mark.parametrize(("solver", "problem"), MATRIX)
def test_reaches_the_objective_of_cvxpy(solver: str, problem: str) -> None:
    result = solved(solver, problem, "float64", TOLERANCE)
    assert result.objective == pytest.approx(optimum(problem), rel=AGREEMENT)
