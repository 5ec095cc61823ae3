"""Total generalised variation of second order, which does not penalise ramps and keeps edges sharp."""

from dataclasses import dataclass
from math import prod, sqrt
from typing import ClassVar, Literal

import numpy as np

from fusionkit.arrays import empty_like
from fusionkit.build import Context
from fusionkit.engines.kernel_terms import TotalGeneralisedVariation
from fusionkit.errors import UserError
from fusionkit.operators.functional.norms import L21
from fusionkit.operators.functional.stacked import StackedNorms
from fusionkit.operators.linear.gradient import GradientMap, along, gradient_map
from fusionkit.operators.linear.symmetric_gradient import SymmetricGradientMap, symmetric_gradient_map
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.options import Options, Positive, Weight
from fusionkit.terms import Array


class TGVOptions(Options):
    """Options of ``tgv``."""

    weight: Weight = 1.0
    ratio: Positive = 2.0
    coupling: Literal["none", "joint"] = "none"
    name: str | None = None


def tgv(options: TGVOptions, context: Context) -> ComposedPenalty:
    r"""Total generalised variation of second order.

    .. math:: T(x) = \min_w \ \alpha_1 \|\nabla x - M w\|_{2,1} + \alpha_0 \|E w\|_{2,1}

    with the forward differences of `tv`, the symmetrised backward differences E (`symmetric_gradient_map`) and the
    auxiliary field w, which has the shape of the gradient: (2, n, ny, nx) for x (n, ny, nx). M leaves out the
    components of w across the last row and column, where x has no differences, so affine maps cost nothing right up to
    the border. As a composed term it is g(K x + A w) with K x = (grad x, 0) and
    A w = (-M w, E w), stacked along the first axis; ``value`` takes w = 0, which is the TV, an upper bound.

    ``none`` takes the lengths of each map separately, ``joint`` those of all maps together, so that edges and creases
    are at the same pixels of all. Sources: Bredies, Kunisch, Pock, SIAM J. Imaging Sci. 3, 492 (2010); joint: Knoll et
    al., IEEE Trans. Med. Imaging 36, 1 (2017). `UserError` if ``joint`` for an unknown without maps.

    Parameters
    ----------
    weight : alpha_1 >= 0.
    ratio : alpha_0 / alpha_1 > 0, in pixels: the larger, the longer a ramp must be to cost less than an edge.
    coupling : none or joint.
    """
    if options.coupling == "joint" and len(context.shape) != 3:
        raise UserError(
            context.at("coupling").where, f"the unknown {context.shape} has no elements to couple", "use none"
        )
    grad = gradient_map(context.shape)
    second = symmetric_gradient_map(context.shape)
    coupled = context.shape[0] if options.coupling == "joint" else 1
    norms = (
        L21(grad.range[0] * coupled, options.weight),
        L21(second.range[0] * coupled, options.weight * options.ratio),
    )
    field = Field(second)
    kernel = TotalGeneralisedVariation(options.weight, options.ratio, options.coupling == "joint", field.norm)
    term = ComposedPenalty(
        StackedNorms(norms, (prod(grad.range), prod(second.range))),
        Lift(grad, second.range[0]),
        options.name or "tgv",
        field,
        kernel if len(context.shape) == 3 else None,
    )
    axes = grad.range[0]
    # the greatest column sum of |(K, A)|' |(K, A)|: 2 k differences of 3 values for x, 1 of 3 and 2 k of 2 for w
    term.squared_norm = float(max(6 * axes, 4 * axes + 3))
    return term


@dataclass(frozen=True, eq=False)
class Lift:
    r"""K x = (grad x, 0)."""

    any_array: ClassVar[bool] = True
    gradient: GradientMap  # of the unknown
    zeros: int  # number of images of zeros that follow

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of the unknown."""
        return self.gradient.domain

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output."""
        return (self.gradient.range[0] + self.zeros, *self.domain)

    @property
    def norm(self) -> float:
        """The norm of the gradient."""
        return self.gradient.norm

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """K x, in the dtype of x."""
        if out is None:
            out = empty_like(x, self.range)
        k = self.gradient.range[0]
        self.gradient.apply(x, out[:k])
        out[k:] = 0
        return out

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """grad' of the first images."""
        return self.gradient.adjoint(y[: self.gradient.range[0]], out)


@dataclass(frozen=True, eq=False)
class Field:
    r"""A w = (-M w, E w), with M = 0 across the last row and column."""

    any_array: ClassVar[bool] = True
    second: SymmetricGradientMap  # E

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of the field."""
        return self.second.domain

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output."""
        return (self.domain[0] + self.second.range[0], *self.second.shape)

    @property
    def norm(self) -> float:
        """|A w|^2 = |M w|^2 + |E w|^2 <= (1 + |E|^2) |w|^2."""
        return sqrt(1 + self.second.norm**2)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """A w of the field w = ``x``, in its dtype."""
        if out is None:
            out = empty_like(x, self.range)
        k = self.domain[0]
        self._inside(np.negative(x, out=out[:k]))
        self.second.apply(x, out[k:])
        return out

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """-M y_1 + E' y_2, in the dtype of y."""
        k = self.domain[0]
        result = self.second.adjoint(y[k:], out)
        result -= self._inside(y[:k].copy())
        return result

    def _inside(self, w: Array) -> Array:
        """M w in place."""
        for axis, part in zip(self.second.axes, w, strict=True):
            part[along(axis, -1, None)] = 0
        return w
