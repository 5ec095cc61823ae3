r"""The optimality certificate: one relative number, the same for every solver.

For :math:`F(x) = f(x) + P(x) + \sum_j g_j(K_j x)` with dual variables :math:`p_j`, first-order optimality is

.. math:: -r \in \partial P(x), \quad p_j \in \partial g_j(K_j x), \qquad r = \nabla f(x) + \sum_j K_j^\top p_j .

It is measured by three numbers without units. With G the root of the sum of squares of the norms of all summands of r,
and t = ||x|| / G,

* stationarity = ||x - prox_{tP}(x - t r)|| / ||x||; for x >= 0 that is the projected gradient |x - max(0, x - t r)|;
* feasibility = ||p - proj(p)|| / ||p|| with the projection onto the dual ball (||p|| <= lambda_2 at each pixel for TV);
* alignment = (g(K x) - <p, K x>) / (G ||x||), which is >= 0 and vanishes where p is a subgradient of g.

A lone differentiable term has no summand to balance it: r and G vanish together at its minimum. G is then the length of
its Hessian times x, which is K'K x for least squares of K x. Several without a penalty balance each other as far as the
data contradict each other; G is then a hundredth of that length or more.

A functional that is not a norm has its alignment measured by ||y - prox_{sg}(y + s p)|| / l, s = l / ||p||, with l the
length of y = K x, or a thousandth of ||K|| ||x|| where that is more: y may vanish at the solution.
Optimality is the largest of the three. Differentiable terms enter through their gradient even where a solver keeps a
dual variable for them, so that the number does not depend on the solver. The one exception is a term that is taken by
its prox alone, as counts with epsilon = 0: it is part of P, whose residual may differ from the gradient's by a factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusionkit.errors import UserError
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays, Composed, Differentiable, HasDualBall

_LEAST = 1e-2  # of the Hessian times x: less comes of data that agree, beyond 10^4 counts a pixel
_FLAT = 1e-3  # of ||K|| ||x||


@dataclass(frozen=True)
class Certificate:
    """Relative first-order optimality of a point with its dual variables; all numbers >= 0 and without units.

    Parameters
    ----------
    stationarity, alignment, feasibility : of the unknown and its dual variables.
    calibration : of fitted parameters: how much a Newton step of theirs would change the prediction; 0 without any.
    """

    stationarity: float
    alignment: float
    feasibility: float
    calibration: float = 0.0

    @property
    def optimality(self) -> float:
        """The largest of them: the convergence verdict."""
        parts = (self.stationarity, self.alignment, self.feasibility, self.calibration)
        return max(parts) if all(np.isfinite(parts)) else float("inf")


def certify(split: Split, x: Array, auxiliary: Arrays, duals: Sequence[Array]) -> Certificate:
    """The certificate of ``x`` with the dual variables ``duals``, one for each composed term of ``split``.

    Parameters
    ----------
    split : the problem, sorted.
    x : the unknown, shape of the problem.
    auxiliary : the auxiliary unknowns, one (maybe empty) array for each composed term.
    duals : p_j, of the shape of the range of K_j.
    """
    residual = np.zeros_like(x)
    squares: list[float] = []
    feasibility, alignment = 0.0, 0.0
    gaps: list[tuple[Composed, Array, Array]] = []
    auxiliary_residual = 0.0
    for term in (*split.smooth, *split.pixelwise):
        squares.append(_add(residual, _gradient(term, x)))
    for term, w, p in zip(split.coupling.terms, auxiliary, duals, strict=True):
        if isinstance(term, Differentiable):
            squares.append(_add(residual, _gradient(term, x)))
            continue
        squares.append(_add(residual, term.operator.adjoint(p)))
        image = term.operator.apply(x)
        if term.auxiliary is not None:
            image += term.auxiliary.apply(w)
            scale = term.auxiliary.norm * norm(p)
            auxiliary_residual = max(auxiliary_residual, norm(term.auxiliary.adjoint(p)) / scale if scale else 0.0)
        gaps.append((term, image, p))
    size, slope = norm(x), sum(squares) ** 0.5
    if np.count_nonzero(squares) == 1:
        slope = _bend(split, x) or slope
    elif not gaps:
        slope = max(slope, _LEAST * _bend(split, x))
    stationarity = max(_stationarity(split, x, residual, size, slope), auxiliary_residual)
    del residual  # before the alignment allocates as much as two dual variables
    for term, image, p in gaps:
        misfit, outside = _alignment(term, image.ravel(), p.ravel(), slope, size)
        alignment, feasibility = max(alignment, misfit), max(feasibility, outside)
    return Certificate(stationarity, alignment, feasibility)


def norm(a: Array) -> float:
    """Euclidean norm, accumulated in float64."""
    return float(np.sqrt(inner(a, a)))


def inner(a: Array, b: Array) -> float:
    """Inner product, accumulated in float64."""
    return float(np.einsum("i,i->", a.ravel(), b.ravel(), dtype=np.float64))


def _add(residual: Array, summand: Array) -> float:
    residual += summand
    return inner(summand, summand)


def _gradient(term: Differentiable, x: Array) -> Array:
    found = term.gradient(x)
    if found.shape != x.shape:  # NumPy would repeat it along the missing axes
        said = f"its gradient has the shape {found.shape}, but the unknown has {x.shape}"
        raise UserError(getattr(term, "name", type(term).__name__), said, "mend gradient")
    return found


def _bend(split: Split, x: Array) -> float:
    """Length of the Hessian of the differentiable terms times x, by a difference; 0 where it is not finite."""
    share = 2.0**-7
    ahead = x * x.dtype.type(1.0 + share)
    change = np.zeros_like(x)
    for term in (*split.smooth, *split.pixelwise, *split.coupling.terms):
        if isinstance(term, Differentiable):
            change += term.gradient(ahead)
            change -= term.gradient(x)
    length = norm(change) / share
    return length if np.isfinite(length) else 0.0


def _stationarity(split: Split, x: Array, residual: Array, size: float, slope: float) -> float:
    """|x - prox(x - t r)| / |x|; overwrites the residual r."""
    if slope == 0.0 and split.direct is split.bounds:
        return 0.0
    # x = 0 and slope = 0 have no scale of their own: one unit is then as good as any
    step = (size or 1.0) / (slope or 1.0)
    moved = np.multiply(residual, -step, out=residual)
    moved += x
    nearest = split.direct.prox(moved, step)
    return norm(np.subtract(nearest, x, out=moved)) / (size or 1.0)


def relative_gap(gap: float, scale: float) -> float:
    """The gap over its scale, never negative; 1 where a gap has no scale, as at the data with duals at zero."""
    if gap <= 0.0:
        return 0.0
    return gap / scale if scale else 1.0


def _alignment(term: Composed, y: Array, p: Array, slope: float, size: float) -> tuple[float, float]:
    """Relative misfit of p and y = K x, and how far p lies outside of the dual ball; overwrites y."""
    functional = term.functional
    if isinstance(functional, HasDualBall):
        value, length = float(functional(y)), norm(p)
        inside = functional.project_dual(p)
        gap = value - inner(inside, y)
        outside = norm(np.subtract(inside, p, out=y)) / length if length else 0.0
        return relative_gap(gap, slope * size), outside
    length = max(norm(y), _FLAT * term.operator.norm * size) or 1.0
    step = length / (norm(p) or 1.0)
    return norm(y - functional.prox(y + step * p, step)) / length, 0.0
