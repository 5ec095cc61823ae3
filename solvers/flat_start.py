r"""A start for a penalty so strong that the maps end constant, or affine with total generalised variation.

Where the dual variables stay inside their balls, primal-dual steps take some thousand iterations: the image makes one
direction of each pixel stiff, and the longest waves of p move slowly. But there the solution is known. With the best
flat maps :math:`\bar x` and :math:`g = \nabla f(\bar x)`, :math:`p = -\nabla (\nabla^\top \nabla)^+ g` balances the
data, and :math:`\bar x` is the minimum if p is within its balls, at this weight and at every larger one. Where
flat maps have a lower objective than the start and half of p fits, they are the better start below that weight, too.
"""

import numpy as np
import scipy.fft

from fusionkit.certificate import norm
from fusionkit.engines.choose import lone_penalty
from fusionkit.engines.engine import Engine
from fusionkit.engines.kernel_terms import TotalGeneralisedVariation, TotalVariation
from fusionkit.engines.sums import Sample
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.operators.linear.symmetric_gradient import symmetric_gradient_map
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays, HasDualBall

_GAIN = 1e-6  # of the objective, the least for which flat maps replace a start
_STRIDE = 8  # of the rows that decide
_SHARE = 0.5  # of the length of p, the least within its balls: elsewhere the maps keep structure
_MOST = 200  # conjugate gradients


def flat_start(
    split: Split, x: Array, auxiliary: Arrays, duals: Arrays, engine: Engine | None
) -> tuple[Array, Arrays, Arrays] | None:
    """Flat maps, their auxiliary unknowns and dual variables where the maps are better than the start, else None.

    Parameters
    ----------
    split : the problem; TV without a guide or TGV must be the one penalty.
    x, auxiliary, duals : the start.
    engine : estimates the objective from a sample of the rows; None for all rows in NumPy.
    """
    penalty = lone_penalty(split)
    is_tgv = isinstance(penalty, TotalGeneralisedVariation)
    is_tv = isinstance(penalty, TotalVariation) and penalty.xi is None and not penalty.smoothing
    if split.problem.engine == "cupy" or not (is_tv or is_tgv):
        return None
    n, ny, nx = x.shape
    rows, columns = np.arange(ny) - 0.5 * (ny - 1), np.arange(nx) - 0.5 * (nx - 1)
    rows, columns = rows / max(ny - 1, 1), columns / max(nx - 1, 1)
    slopes = np.broadcast_arrays(rows[:, None], columns) if is_tgv else ()
    basis = np.stack([np.ones((ny, nx), x.dtype), *(one.astype(x.dtype) for one in slopes)])

    def maps(coefficients: Array) -> Array:
        flat = np.tensordot(coefficients.reshape(n, -1).astype(x.dtype), basis, 1)
        return split.bounds.prox(flat, 1.0)

    def misfit(at: Array) -> tuple[float, float]:
        """The value of the pixelwise terms and that of the penalty."""
        if engine is None:
            value = split.coupling.values(split.coupling.apply(at, auxiliary))
            return float(sum(term.value(at) for term in split.pixelwise)), sum(value.values())
        some = engine.check(np.ascontiguousarray(at), auxiliary, duals, Sample(max(1, min(_STRIDE, ny // 32)), 0.0))
        return sum(some.values), sum(some.penalties)

    squares = np.maximum((basis**2).sum(axis=(1, 2), dtype=np.float64), 1.0)  # the basis is orthogonal
    first = np.tensordot(x, basis, ([1, 2], [1, 2])) / squares
    (here, cost), (there, _) = misfit(x), misfit(maps(first))
    if not there < here + cost - _GAIN * (abs(here) + cost):
        return None
    from scipy.optimize import minimize  # its import takes half as long as a small solve

    term = split.coupling.terms[0]
    functional = term.functional
    assert isinstance(functional, HasDualBall)  # those of TV and TGV are norms

    def pull(at: Array) -> Array:
        """The gradient at flat maps without its flat part."""
        gradient = sum(np.asarray(one.gradient(at), np.float64) for one in split.pixelwise)
        return gradient - np.tensordot(np.tensordot(gradient, basis, ([1, 2], [1, 2])) / squares, basis, 1)

    def within(p: Array) -> Array:
        """The nearest dual variable in the balls."""
        return functional.project_dual(p.astype(x.dtype, copy=False).ravel()).reshape(p.shape)

    p = np.zeros(term.operator.range, x.dtype)
    p[:2] = _along_axes(-_divided(pull(maps(first)), _eigenvalues(ny, nx)))
    if not norm(within(p)) > _SHARE * norm(p):
        return None
    scale = float(np.abs(first).max()) or 1.0

    def objective(coefficients: Array) -> tuple[float, Array]:
        at = maps(scale * coefficients)
        value, gradient = 0.0, np.zeros(at.shape)
        for term in split.pixelwise:
            value += term.value(at)
            gradient += term.gradient(at)
        slope = np.tensordot(gradient, basis, ([1, 2], [1, 2])).ravel()
        return value / at.size, scale * slope / at.size

    best = minimize(objective, first.ravel() / scale, jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 50})
    coefficients = (scale * best.x).reshape(n, -1)
    new = maps(coefficients)
    gradient = pull(new)
    if isinstance(penalty, TotalGeneralisedVariation):
        w = np.zeros_like(auxiliary[0])
        for part, slope, size in zip(w, coefficients.T[1:], (ny, nx), strict=True):
            part += (slope / max(size - 1, 1))[:, None, None].astype(x.dtype)
        # one map at a time: conjugate gradients hold 34 arrays of float64
        auxiliary, p = (w,), np.empty(term.operator.range, x.dtype)
        for at, one in enumerate(gradient):
            p[:, at] = tgv_duals(one[None], penalty.ratio)[:, 0]
    else:
        p = _along_axes(-_divided(gradient, _eigenvalues(ny, nx)))
    return new, auxiliary, (within(p),)


def tgv_duals(gradient: Array, ratio: float) -> Array:
    r"""(p, q) of least :math:`\|p\|^2 + \|q\|^2 / r^2` with K'p = -g and M p = E'q.

    Conjugate gradients on :math:`\|M v\|^2 + r^2 \|E (K x + v)\|^2 + 2 \langle g, x \rangle`, p = -M v and
    q = r^2 E (K x + v). The cosine transform solves :math:`r^2 \Delta^2` for x and :math:`1 - r^2 \Delta` for v, which
    leaves some 70 iterations at any size.
    """
    second, eigenvalues = symmetric_gradient_map(gradient.shape), _eigenvalues(*gradient.shape[1:])

    def image(z: tuple[Array, Array]) -> tuple[Array, Array]:
        p = -z[1]
        p[0, :, -1], p[1, :, :, -1] = 0.0, 0.0
        return p, ratio * second.apply(_along_axes(z[0]) + z[1])

    def normal(z: tuple[Array, Array]) -> tuple[Array, Array]:
        p, q = image(z)
        slope = ratio * second.adjoint(q)
        return gradient_map(gradient.shape).adjoint(slope), slope - p

    z, left = (np.zeros_like(gradient), np.zeros((2, *gradient.shape))), (-gradient, np.zeros((2, *gradient.shape)))
    search, first, before = z, 0.0, np.inf
    for _ in range(_MOST):
        near = _divided(left[0], (ratio * eigenvalues) ** 2), _divided(left[1], 1.0 + ratio**2 * eigenvalues)
        now = float(np.vdot(left[0], near[0]) + np.vdot(left[1], near[1]))
        first = first or now
        if now <= 1e-11 * first:
            break
        search = near[0] + (now / before) * search[0], near[1] + (now / before) * search[1]
        pull = normal(search)
        step = now / float(np.vdot(search[0], pull[0]) + np.vdot(search[1], pull[1]))
        z = z[0] + step * search[0], z[1] + step * search[1]
        left, before = (left[0] - step * pull[0], left[1] - step * pull[1]), now
    p, q = image(z)
    return np.concatenate([p, ratio * q])


def _along_axes(x: Array) -> Array:
    """The forward differences of maps, (2, n, ny, nx)."""
    return gradient_map(x.shape).apply(x)


def _eigenvalues(ny: int, nx: int) -> Array:
    """Of K'K in the cosine basis; infinite for the mean."""
    rows, columns = (4.0 * np.sin(np.pi * np.arange(size) / (2 * size)) ** 2 for size in (ny, nx))
    eigenvalues = rows[:, None] + columns
    eigenvalues[0, 0] = np.inf
    return eigenvalues


def _divided(right: Array, eigenvalues: Array) -> Array:
    """The array with its cosine transform along the last two axes divided by the eigenvalues."""
    spectrum = np.asarray(scipy.fft.dctn(right, axes=(-2, -1), norm="ortho")) / eigenvalues
    return np.asarray(scipy.fft.idctn(spectrum, axes=(-2, -1), norm="ortho"))
