r"""Forward models :math:`x \mapsto m(x)`, which predict data from the unknown: general, pixelwise and linear."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.arrays import KeepsReadOnly
from fusionkit.engines.losses import ScalarFunction
from fusionkit.errors import UserError
from fusionkit.terms import Array, LinearMap


class Forward(KeepsReadOnly, ABC):
    """A model that predicts data from the unknown.

    Attributes
    ----------
    range : shape of the prediction.
    linear : whether m(x) is an affine function of x; a convex loss of it is convex.
    smooth : whether its Jacobian is finite for every feasible x.
    nonnegative : whether m(x) >= 0 for every x >= 0; otherwise a Poisson loss of it is not smooth.
    fitted : names of its parameters that are fitted together with the unknown.
    """

    range: tuple[int, ...]
    linear: bool = False
    smooth: bool = True
    nonnegative: bool = False
    fitted: tuple[str, ...] = ()

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """The prediction m(x), of the shape ``range``; a fresh array in the dtype of ``x``."""

    @abstractmethod
    def adjoint(self, x: Array, r: Array) -> Array:
        """J(x)' r: the transposed Jacobian at ``x`` applied to ``r`` of the shape ``range``."""

    def rescaled(self, factors: Array) -> Forward | None:
        """The model m(f x), f one factor for each element; None if it has no such form."""
        return None


@dataclass(frozen=True, eq=False)
class Jet:
    r"""Prediction and derivatives of a pixelwise model at a block of pixels.

    Parameters
    ----------
    prediction : m, shape (rows, nx) if it adds up the elements of a pixel, otherwise (n, rows, nx).
    slope : :math:`\partial m / \partial x_i`, shape (n, rows, nx) or one that broadcasts to it.
    bend : :math:`\partial^2 m / \partial x_i^2`, of the same shape; mixed second derivatives are zero, except for
        a `PixelwiseChain`. None if it was not requested.
    """

    prediction: Array
    slope: Array
    bend: Array | None = None


class PixelwiseForward(Forward):
    """A model that acts on each pixel of any block of rows (n, rows, nx).

    The prediction adds up the elements of a pixel, (rows, nx), or has a value for each of them, (n, rows, nx).

    Attributes
    ----------
    unchanged : whether m(x) = x.
    """

    unchanged: bool = False

    @abstractmethod
    def jet(self, x: Array, second: bool = True) -> Jet:
        """Prediction, slope and, if ``second``, bend at ``x``."""

    def at_rows(self, rows: slice) -> PixelwiseForward:
        """The model of these rows of the unknown; one that holds a value for each pixel must cut it to them."""
        return self

    @property
    def chain(self) -> tuple[Any, ...] | None:
        """(z, f) where m = f(sum_i z_i x_i), f for one value or None for the sum itself; None for another model.

        For sums of powers, (z, f, gamma, floor) as in `fusionkit.engines.kernel_terms.LossOfSum`.
        """
        return None

    def adjoint(self, x: Array, r: Array) -> Array:
        """J(x)' r, of the shape of ``x``."""
        return self.jet(x, second=False).slope * r


@dataclass(frozen=True, eq=False)
class PixelwiseChain(PixelwiseForward):
    r"""A function of a pixelwise model, :math:`m(x) = f(s(x))`, such as :math:`f(\sum_i w_i x_i)`.

    Its second derivative, :math:`f''(s) v v^\top + f'(s)\, \mathrm{diag}(d)` with slope v and bend d of s, is diagonal
    plus rank one: a fidelity of it takes part in the joint prox.

    Parameters
    ----------
    function : f; a ``NamedTuple`` of numbers is compiled where s is a sum (`fusionkit.engines.losses`).
    inner : s, often a `fusionkit.operators.forward.power_sum.PowerSum`.
    nonnegative : whether f(s(x)) >= 0 for every x >= 0.
    """

    function: ScalarFunction
    inner: PixelwiseForward
    nonnegative: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "range", self.inner.range)
        object.__setattr__(self, "smooth", self.inner.smooth)

    def apply(self, x: Array) -> Array:
        """f(s(x))."""
        return self.function.value(self.inner.apply(x))

    def jet(self, x: Array, second: bool = True) -> Jet:
        """f(s), f'(s) v and the diagonal f''(s) v^2 + f'(s) d."""
        jet, f = self.inner.jet(x, second), self.function
        slope = f.slope(jet.prediction)
        bend = None if jet.bend is None else f.curvature(jet.prediction) * jet.slope**2 + slope * jet.bend
        return Jet(f.value(jet.prediction), slope * jet.slope, bend)

    @property
    def chain(self) -> tuple[Any, ...] | None:
        """That of s with f, if s is a sum and f can be compiled."""
        inner = self.inner.chain
        return (
            (inner[0], self.function, *inner[2:])
            if inner and inner[1] is None and isinstance(self.function, tuple)
            else None
        )

    def at_rows(self, rows: slice) -> PixelwiseChain:
        """The function of the inner model of these rows."""
        inner = self.inner.at_rows(rows)
        return self if inner is self.inner else replace(self, inner=inner)

    def rescaled(self, factors: Array) -> PixelwiseChain | None:
        """The function of the rescaled inner model; None if that has no such form."""
        inner = self.inner.rescaled(factors)
        return replace(self, inner=inner) if isinstance(inner, PixelwiseForward) else None


@dataclass(frozen=True, eq=False)
class LinearForward(Forward):
    r"""A linear map with an optional offset, :math:`m(x) = K x + a`.

    Parameters
    ----------
    linear_map : K; any ``pylops.LinearOperator`` through ``fusionkit.linear.PylopsMap``.
    offset : a, of the shape of the range of K; None for zero.
    nonnegative : whether K and a have no negative entry; the caller guarantees it.
    """

    linear_map: LinearMap
    offset: Array | None = None
    nonnegative: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "range", tuple(self.linear_map.range))
        object.__setattr__(self, "linear", True)
        if self.offset is None:
            return
        offset = np.array(self.offset)
        if offset.shape != self.range:
            raise UserError("offset", f"has shape {offset.shape}", f"the linear map gives {self.range}")
        offset.flags.writeable = False
        object.__setattr__(self, "offset", offset)

    def apply(self, x: Array) -> Array:
        """K x + a."""
        prediction = self.linear_map.apply(x).astype(x.dtype, copy=False)
        return prediction if self.offset is None else prediction + self.offset.astype(x.dtype, copy=False)

    def adjoint(self, x: Array, r: Array) -> Array:
        """K' r, for any x."""
        return self.linear_map.adjoint(r).astype(x.dtype, copy=False)
