r"""The symmetrised gradient of a vector field, the second operator of TGV."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import ClassVar

import numpy as np

from fusionkit.arrays import empty_like
from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.linear.gradient import along, image_axes
from fusionkit.options import NoOptions
from fusionkit.terms import Array


def symmetric_gradient(options: NoOptions, context: Context) -> SymmetricGradientMap:
    """The symmetrised gradient (`SymmetricGradientMap`) of an unknown that is a vector field.

    `UserError` if the first axis of the unknown is not one component for each image axis.
    """
    shape = context.shape
    if len(shape) < 2 or shape[0] != len(image_axes(shape[1:])):
        raise UserError(
            context.where,
            f"the unknown {shape} is no vector field",
            "its first axis must hold one component for each image axis, as (2, ny, nx) does",
        )
    return symmetric_gradient_map(shape[1:])


def symmetric_gradient_map(shape: tuple[int, ...]) -> SymmetricGradientMap:
    """The symmetrised gradient of a vector field whose components have the shape ``shape``."""
    return SymmetricGradientMap(tuple(shape), image_axes(shape))


@dataclass(frozen=True, eq=False)
class SymmetricGradientMap:
    r"""Backward differences of a vector field w, symmetrised, as a map from (k, *shape) to (k (k + 1) / 2, *shape).

    .. math:: (E w)_{aa} = \partial_a w_a, \qquad (E w)_{ab} = \sqrt2 \cdot \tfrac12 (\partial_a w_b + \partial_b w_a)

    The k diagonal components come first; the factor makes the plain Euclidean norm over the components the Frobenius
    norm of the symmetric matrix. Differences are zero at the first row and column, so that E after the gradient is the
    centred second difference. :math:`\|E\|^2 \le 4 k`. Source: Bredies, Kunisch, Pock, SIAM J. Imaging Sci. 3, 492
    (2010); Knoll et al., Magn. Reson. Med. 65, 480 (2011).
    """

    any_array: ClassVar[bool] = True
    shape: tuple[int, ...]  # of one component, (n, ny, nx) or another that `gradient_map` takes
    axes: tuple[int, ...]  # of the differences

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of the field."""
        return (len(self.axes), *self.shape)

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output: an image for each entry of the upper triangle."""
        return (len(self.axes) + len(self._pairs), *self.shape)

    @property
    def norm(self) -> float:
        """An upper bound of the operator norm."""
        return sqrt(4 * len(self.axes))

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.axes)), 2))

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """E x, in the dtype of x."""
        if out is None:
            out = empty_like(x, self.range)
        k = len(self.axes)
        for a, axis in enumerate(self.axes):
            _backward(x[a], axis, out[a])
        rest = empty_like(x, self.shape)
        for part, (a, b) in zip(out[k:], self._pairs, strict=True):
            _backward(x[b], self.axes[a], part)
            part += _backward(x[a], self.axes[b], rest)
            part *= x.dtype.type(sqrt(0.5))
        return out

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """E' y, in the dtype of y."""
        if out is None:
            out = empty_like(y, self.domain)
        out.fill(0)
        k = len(self.axes)
        for a, axis in enumerate(self.axes):
            _add_backward_adjoint(y[a], axis, out[a])
        for part, (a, b) in zip(y[k:], self._pairs, strict=True):
            scaled = part * y.dtype.type(sqrt(0.5))
            _add_backward_adjoint(scaled, self.axes[a], out[b])
            _add_backward_adjoint(scaled, self.axes[b], out[a])
        return out


def _backward(x: Array, axis: int, out: Array) -> Array:
    """x_j - x_{j-1} along the axis, zero at the first."""
    np.subtract(x[along(axis, 1, None)], x[along(axis, 0, -1)], out=out[along(axis, 1, None)])
    out[along(axis, 0, 1)] = 0
    return out


def _add_backward_adjoint(y: Array, axis: int, out: Array) -> None:
    inner = y[along(axis, 1, None)]
    out[along(axis, 1, None)] += inner
    out[along(axis, 0, -1)] -= inner
