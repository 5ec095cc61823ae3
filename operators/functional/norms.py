r"""Norms and the squared norm, with dual projections, zero weights and values in float64.

Each acts on a flat vector and includes its weight, :math:`\sigma \ge 0`. The conjugate of a norm is the indicator of
its dual ball, so ``proxdual`` is ``project_dual`` for any step.
"""

from math import prod
from typing import Protocol, TypeGuard, final, runtime_checkable

import numpy as np
from pydantic import Field

from fusionkit.arrays import into
from fusionkit.build import Context
from fusionkit.engines.kernel_terms import Curvature, Kernel, TotalVariation
from fusionkit.errors import UserError
from fusionkit.functional import Norm, ProxFunction, Vector
from fusionkit.operators.linear.laplacian import LaplacianMap
from fusionkit.options import Options, Weight
from fusionkit.terms import Array, LinearMap

_BLOCK = 1 << 15  # groups in a block


@runtime_checkable
class MapDifferences(Protocol):
    r"""A linear map of the TV kernels: the differences :math:`(I - \xi \xi^\top) \nabla x` of maps or images."""

    @property
    def domain(self) -> tuple[int, ...]: ...
    @property
    def norm(self) -> float: ...
    @property
    def tv_field(self) -> Array | None:
        """xi, shape (2, ny, nx); None for zero."""
        ...


def _curvature(linear_map: LinearMap, weight: float, squared: bool) -> Curvature | None:
    """The kernel of a norm of the Laplacian of maps; None for another map."""
    if not isinstance(linear_map, LaplacianMap) or len(linear_map.domain) != 3:
        return None
    return Curvature(weight, squared, linear_map.norm)


def of_maps(linear_map: LinearMap) -> TypeGuard[MapDifferences]:
    """Whether it takes differences of maps."""
    return isinstance(linear_map, MapDifferences) and len(linear_map.domain) == 3


class L1(Norm):
    r""":math:`\sigma \|y\|_1`; its dual ball is :math:`|p_i| \le \sigma`."""

    any_array = True

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def kernel(self, linear_map: LinearMap) -> Kernel | None:
        """The compiled kernel of the norm of ``linear_map``: anisotropic TV or curvature of maps."""
        if not of_maps(linear_map):
            return _curvature(linear_map, self.sigma, False)
        return TotalVariation(self.sigma, False, linear_map.tv_field, anisotropic=True)

    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""
        return self.sigma * float(np.sum(np.abs(x), dtype=np.float64))

    def prox(self, x: Array, tau: float) -> Array:
        """Soft thresholding by ``tau`` times the weight."""
        threshold = float(tau) * self.sigma
        return x - np.clip(x, -threshold, threshold)

    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        """Clip each component to the weight; ``out`` may be ``p``."""
        return np.clip(p, -self.sigma, self.sigma, out=out)


@final
class L21(Norm):
    r""":math:`\sigma \sum_j \|y_j\|_2` over groups; its dual ball is :math:`\|p_j\|_2 \le \sigma`.

    Parameters
    ----------
    ndim : size of a group; the vector is (ndim, groups) flattened.
    sigma : weight.
    """

    any_array = True

    def __init__(self, ndim: int, sigma: float = 1.0) -> None:
        self.ndim, self.sigma = ndim, sigma

    def kernel(self, linear_map: LinearMap) -> Kernel | None:
        """The compiled kernel of the norm of ``linear_map``: TV of maps, separate or coupled; None for another map."""
        if not of_maps(linear_map) or self.ndim not in (2, 2 * linear_map.domain[0]):
            return None
        return TotalVariation(self.sigma, self.ndim != 2, linear_map.tv_field)

    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""
        return self.sigma * float(np.sum(lengths(x.reshape(self.ndim, -1)), dtype=np.float64))

    def prox(self, x: Array, tau: float) -> Array:
        """Shorten each group by ``tau`` times the weight."""
        shorter = float(tau) * self.sigma
        return x.copy() if shorter == 0 else shorten(x, self.ndim, shorter, shorter)

    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        """Scale each group that is longer than the weight to that length; ``out`` may be ``p``."""
        if out is None:
            out = np.empty_like(p)
        groups, result = p.reshape(self.ndim, -1), out.reshape(self.ndim, -1)
        block = _BLOCK if isinstance(p, np.ndarray) else max(1, groups.shape[1])
        for first in range(0, groups.shape[1], block):  # the lengths stay in the cache
            some = slice(first, first + block)
            np.multiply(groups[:, some], shrink(lengths(groups[:, some]), self.sigma), out=result[:, some])
        return out


@final
class WeightedL21(Norm):
    r""":math:`\sigma \sum_i f_i \sum_j \|y_{ij}\|_2` over elements i and groups j; its dual ball is
    :math:`\|p_{ij}\|_2 \le \sigma f_i`.

    Parameters
    ----------
    ndim : size of a group; the vector is (ndim, elements, pixels) flattened.
    factors : f_i >= 0, one for each element.
    sigma : common weight.
    """

    def __init__(self, ndim: int, factors: Array, sigma: float = 1.0) -> None:
        self.ndim, self.factors, self.sigma = ndim, np.asarray(factors, np.float64), sigma

    def kernel(self, linear_map: LinearMap) -> Kernel | None:
        """The compiled kernel of the norm of ``linear_map``: TV with a weight for each map; None for another map."""
        if not of_maps(linear_map) or self.ndim != 2:
            return None
        return TotalVariation(self.sigma, False, linear_map.tv_field, tuple(float(f) for f in self.factors))

    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""
        sums = lengths(x.reshape(self.ndim, -1)).reshape(len(self.factors), -1).sum(axis=1, dtype=np.float64)
        return self.sigma * float(self.factors @ sums)

    def prox(self, x: Array, tau: float) -> Array:
        """Shorten each group by ``tau`` times its weight."""
        return x - self._clipped(x, float(tau))

    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        """Scale each group that is longer than its weight to that length; ``out`` may be ``p``."""
        return into(out, self._clipped(p, 1.0))

    def _clipped(self, x: Array, tau: float) -> Array:
        """Each group, scaled to ``tau`` times its weight if it is longer."""
        groups = x.reshape(self.ndim, -1)
        length = lengths(groups)
        radius = np.repeat((tau * self.sigma * self.factors).astype(x.dtype), length.size // len(self.factors))
        scale = np.divide(radius, length, out=np.ones_like(length), where=length > radius)
        return (groups * scale).reshape(x.shape)


class SquaredL2(ProxFunction):
    r""":math:`\tfrac{\sigma}{2} \|y\|_2^2`, the Tikhonov penalty."""

    any_array = True
    hasgrad = True

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def kernel(self, linear_map: LinearMap) -> Kernel | None:
        """The compiled kernel of the squared norm of ``linear_map``: curvature of maps."""
        return _curvature(linear_map, self.sigma, True)

    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""
        return 0.5 * self.sigma * float(np.sum(np.square(x, dtype=np.float64)))

    def prox(self, x: Array, tau: float) -> Array:
        """x / (1 + tau sigma)."""
        return x / (1 + float(tau) * self.sigma)

    def proxdual(self, x: Array, tau: float) -> Array:
        """Prox of the conjugate, |y|^2 / (2 sigma); zero for a weight of zero."""
        return x * (self.sigma / (self.sigma + float(tau)))

    def grad(self, x: Vector) -> Array:
        """sigma x."""
        return self.sigma * x


class Euclidean(Norm):
    r""":math:`\sigma \|y\|_2` of the whole vector; its dual ball is :math:`\|p\|_2 \le \sigma`."""

    any_array = True

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma

    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""
        return self.sigma * _length(x)

    def prox(self, x: Array, tau: float) -> Array:
        """Shorten the vector by ``tau`` times the weight."""
        shorter, length = float(tau) * self.sigma, _length(x)
        return x * (1 - shorter / length if length > shorter else float(shorter == 0))

    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        """Scale the vector to the weight if it is longer; ``out`` may be ``p``."""
        length = _length(p)
        return np.multiply(p, self.sigma / length if length > self.sigma else 1.0, out=out)


class NormOptions(Options):
    """Options of a norm without further ones."""

    weight: Weight = 1.0


class L21Options(Options):
    """Options of ``l21``."""

    weight: Weight = 1.0
    axes: int = Field(default=1, ge=1)


def l1(options: NormOptions, context: Context) -> L1:
    """The sum of the absolute values, times ``weight``."""
    return L1(options.weight)


def l21(options: L21Options, context: Context) -> L21:
    """The sum over groups of the Euclidean norm, times ``weight``.

    `UserError` if the vector has fewer axes.

    Parameters
    ----------
    axes : number of leading axes that form a group: 1 groups the directions of a gradient (2, n, ny, nx), 2 groups
        directions and elements.
    """
    if options.axes > len(context.shape):
        raise UserError(context.at("axes").where, f"the vector has the shape {context.shape}", "group fewer axes")
    return L21(prod(context.shape[: options.axes]), options.weight)


def l2(options: NormOptions, context: Context) -> SquaredL2:
    """Half the squared Euclidean norm, times ``weight``."""
    return SquaredL2(options.weight)


def euclidean(options: NormOptions, context: Context) -> Euclidean:
    """The Euclidean norm of the whole vector, not squared, times ``weight``."""
    return Euclidean(options.weight)


def lengths(groups: Array) -> Array:
    """Euclidean length of each column of ``groups`` (members, groups), in its dtype."""
    total = np.square(groups[0])
    square = np.empty_like(total)
    for member in groups[1:]:
        np.multiply(member, member, out=square)
        total += square
    return np.sqrt(total, out=total)


def shorten(x: Array, ndim: int, by: float, least: float) -> Array:
    """The vector (ndim, groups) with each group shortened by ``by``, those below ``least`` in proportion."""
    groups = x.reshape(ndim, -1)
    scale = lengths(groups)
    np.maximum(scale, least, out=scale)
    np.divide(-by, scale, out=scale)
    scale += 1
    return (groups * scale).ravel()


def shrink(length: Array, radius: float) -> Array:
    """Factors that bring vectors of the given lengths into the ball of ``radius``; overwrites ``length``."""
    if radius == 0:  # 0 / 0 otherwise
        length.fill(0)
        return length
    np.maximum(length, radius, out=length)
    return np.divide(radius, length, out=length)


def _length(x: Array) -> float:
    return float(np.sum(np.square(x, dtype=np.float64))) ** 0.5
