r"""The optimality certificate: one relative number, defined alike for every solver.

For :math:`F(x) = f(x) + P(x) + \sum_j g_j(K_j x)` with dual variables :math:`p_j`, first-order optimality is

.. math:: -r \in \partial P(x), \quad p_j \in \partial g_j(K_j x), \qquad r = \nabla f(x) + \sum_j K_j^\top p_j .

Three dimensionless numbers measure it. With G the root sum of squares of the norms of all summands of r, and
t = ||x|| / G,

* stationarity = ||x - prox_{tP}(x - t r)|| / ||x||; for x >= 0 that is the projected gradient |x - max(0, x - t r)|;
* feasibility = ||p - proj(p)|| / ||p|| with the projection onto the dual ball (||p|| <= lambda_2 at each pixel for TV);
* alignment = (g(K x) - <p, K x>) / (G ||x||), which is >= 0 and vanishes where p is a subgradient of g. Where K'p has
  no mean, as with differences, ||x|| is taken without the mean of each map, but at least a tenth of it remains:
  a bright background would hide a gap as large as the penalty itself.

With a single differentiable term, r and G vanish together at the minimum. G is then the length of its Hessian times x,
which is K'K x for least squares of K x. Several differentiable terms without a penalty balance each other only as far
as their data disagree; G is then at least a hundredth of that length.

For a functional that is not a norm, alignment is ||y - prox_{sg}(y + s p)|| / l, s = l / ||p||, with l the length of
y = K x, but at least a thousandth of ||K|| ||x||, since y may vanish at the solution.
Optimality is the largest of the three. Differentiable terms enter through their gradient even if a solver has a dual
variable for them, so the number does not depend on the solver. The exception is a term that a solver takes through its
prox, such as Poisson with epsilon = 0: it belongs to P, whose residual may differ by a factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusionkit.errors import UserError
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays, Composed, Differentiable, HasDualBall, Pixelwise, Term

_LEAST_SCALE = 1e-2  # of the Hessian times x; G is smaller only for data that agree, above 10^4 counts a pixel
LEAST_IMAGE = 1e-3  # of ||K|| ||x||
_LEAST_SEEN, _FLAT = 0.1, 1e-4  # of ||x||; where less than the latter varies, the gap is one by rounding
_UNSEEN = 1e-3  # of its length is the mean of K'p where K does not see the mean of x; float32 rounds at 1e-7


@dataclass(frozen=True)
class Certificate:
    """Relative first-order optimality of a point with its dual variables; dimensionless and >= 0.

    Parameters
    ----------
    stationarity, alignment, feasibility : of the unknown and its dual variables.
    calibration : relative change of the prediction by a Newton step of the fitted parameters; 0 without any.
    """

    stationarity: float
    alignment: float
    feasibility: float
    calibration: float = 0.0

    @property
    def optimality(self) -> float:
        """The largest of them, which decides convergence."""
        parts = (self.stationarity, self.alignment, self.feasibility, self.calibration)
        return max(parts) if all(np.isfinite(parts)) else float("inf")


def certify(split: Split, x: Array, auxiliary: Arrays, duals: Sequence[Array]) -> Certificate:
    """The certificate of ``x`` with the dual variables ``duals``, one for each composed term of ``split``.

    Parameters
    ----------
    split : the problem.
    x : the unknown.
    auxiliary : the auxiliary unknowns, one array for each composed term, empty for a term without one.
    duals : p_j, of the shape of the range of K_j.
    """
    residual = np.zeros_like(x)
    squares: list[float] = []
    feasibility, alignment = 0.0, 0.0
    gaps: list[tuple[Composed, Array, Array, bool]] = []
    auxiliary_residual = 0.0
    for term in (*split.smooth, *split.pixelwise):
        squares.append(_add(residual, _gradient(term, x)))
    for term, w, p in zip(split.coupling.terms, auxiliary, duals, strict=True):
        if isinstance(term, Differentiable):
            squares.append(_add(residual, _gradient(term, x)))
            continue
        pull = term.operator.adjoint(p)
        squares.append(_add(residual, pull))
        unseen = square_of_means(pull) <= _UNSEEN**2 * squares[-1]
        del pull
        image = term.operator.apply(x)
        if term.auxiliary is not None:
            image += term.auxiliary.apply(w)
            scale = term.auxiliary.norm * norm(p)
            auxiliary_residual = max(auxiliary_residual, norm(term.auxiliary.adjoint(p)) / scale if scale else 0.0)
        gaps.append((term, image, p, unseen))
    size, slope = norm(x), sum(squares) ** 0.5
    if np.count_nonzero(squares) == 1:
        slope = _hessian_length(split, x) or slope
    elif not gaps:
        slope = max(slope, _LEAST_SCALE * _hessian_length(split, x))
    stationarity = max(_stationarity(split, x, residual, size, slope), auxiliary_residual)
    del residual  # the alignment allocates as much as two dual variables
    varying = varying_length(size**2, square_of_means(x))
    for term, image, p, unseen in gaps:
        gap, outside = _alignment(term, image.ravel(), p.ravel(), slope * (varying if unseen else size), size)
        alignment, feasibility = max(alignment, gap), max(feasibility, outside)
    return Certificate(stationarity, alignment, feasibility)


def rounding_floor(terms: Sequence[Term], x: Array) -> float:
    """About the least optimality that x can reach in its dtype: the effect of rounding it on the gradient, relative.

    Rounding in sums and kernels adds as much: solves in float32 ended at 1.2 to 2.2 times the effect of rounding x, so
    twice is returned. Of large maps, up to 64 rows are taken if every gradient is pixelwise.
    """
    parts = [term for term in terms if isinstance(term, Differentiable) and not term.silent]
    some = x.ndim == 3 and x.shape[1] > 128 and all(isinstance(term, Pixelwise) for term in parts)
    height = x.shape[1] // 8 if some else 0
    blocks = [slice(height * k, height * k + 8) for k in range(8)] if some else [slice(None)]
    random, changes, squares = np.random.default_rng(0), 0.0, 0.0
    for rows in blocks:
        exact = (x[:, rows] if some else x).astype(np.float64)
        near = exact * (1.0 + np.finfo(x.dtype).eps / 2 * random.uniform(-1.0, 1.0, exact.shape))
        change, total = np.zeros_like(exact), np.zeros_like(exact)
        for term in parts:
            pair = [
                term.expand(at, rows).gradient if some and isinstance(term, Pixelwise) else term.gradient(at)
                for at in (exact, near)
            ]
            squares += inner(pair[0], pair[0])
            total += pair[0]  # at a solution, the length of the duals' pull
            change += pair[1] - pair[0]
        changes, squares = changes + inner(change, change), squares + inner(total, total)
    return 2.0 * (changes / squares) ** 0.5 if squares else 0.0


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
    gradient = term.gradient(x)
    if gradient.shape != x.shape:  # NumPy would broadcast it
        problem = f"its gradient has the shape {gradient.shape}, but the unknown has {x.shape}"
        raise UserError(getattr(term, "name", type(term).__name__), problem, "correct gradient")
    return gradient


def _hessian_length(split: Split, x: Array) -> float:
    """Length of the Hessian of the differentiable terms times x, by a difference; 0 if it is not finite."""
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
    # x = 0 or slope = 0 gives no scale: any unit works
    step = (size or 1.0) / (slope or 1.0)
    moved = np.multiply(residual, -step, out=residual)
    moved += x
    nearest = split.direct.prox(moved, step)
    return norm(np.subtract(nearest, x, out=moved)) / (size or 1.0)


def relative_gap(gap: float, scale: float) -> float:
    """The gap over its scale, >= 0; 1 for a gap without a scale, as with duals at zero."""
    if gap <= 0.0:
        return 0.0
    return gap / scale if scale else 1.0


def varying_length(square: float, means: float) -> float:
    """The length of x without the mean of each map, from the squares of x and of these; at least a tenth of ||x||.

    All of ||x|| for maps that are flat up to rounding.
    """
    least = _LEAST_SEEN if square - means > _FLAT**2 * square else 1.0
    return max(square - means, least**2 * square) ** 0.5


def square_of_means(x: Array) -> float:
    """The square of the length of the means of the maps, each at every pixel."""
    means = x.mean(axis=(-2, -1)[-x.ndim :], dtype=np.float64)
    return inner(means, means) * x.size / means.size


def _alignment(term: Composed, y: Array, p: Array, scale: float, size: float) -> tuple[float, float]:
    """Alignment of p and y = K x, and the relative distance of p from the dual ball; overwrites y."""
    functional = term.functional
    if isinstance(functional, HasDualBall):
        value, length = float(functional(y)), norm(p)
        inside = functional.project_dual(p)
        gap = value - inner(inside, y)
        outside = norm(np.subtract(inside, p, out=y)) / length if length else 0.0
        return relative_gap(gap, scale), outside
    length = max(norm(y), LEAST_IMAGE * term.operator.norm * size) or 1.0
    step = length / (norm(p) or 1.0)
    return norm(y - functional.prox(y + step * p, step)) / length, 0.0
