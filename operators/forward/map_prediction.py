"""A linear map of the prediction of another forward model, linear if that is linear."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.linear import IdentityMap
from fusionkit.operators.forward import Forward, LinearForward
from fusionkit.operators.forward.identity import Identity
from fusionkit.terms import Array, LinearMap


@dataclass(frozen=True, eq=False)
class ChainedMap:
    """K L x for two linear maps."""

    # outer, inner: K and L; the range of L is the domain of K
    outer: LinearMap
    inner: LinearMap

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of its input."""
        return tuple(self.inner.domain)

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output."""
        return tuple(self.outer.range)

    @property
    def norm(self) -> float:
        """An upper bound: the product of both norms."""
        return self.outer.norm * self.inner.norm

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """K (L x)."""
        return self.outer.apply(self.inner.apply(x), out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """L' (K' y)."""
        return self.inner.adjoint(self.outer.adjoint(y), out)


@dataclass(frozen=True, eq=False)
class MappedForward(Forward):
    """A linear map of the prediction of a model that is no `LinearForward`."""

    outer: LinearMap  # the linear map K, without negative entries
    inner: Forward  # the model m

    def __post_init__(self) -> None:
        object.__setattr__(self, "range", tuple(self.outer.range))
        object.__setattr__(self, "linear", self.inner.linear)
        object.__setattr__(self, "smooth", self.inner.smooth)
        object.__setattr__(self, "nonnegative", self.inner.nonnegative)

    def apply(self, x: Array) -> Array:
        """K m(x)."""
        return self.outer.apply(self.inner.apply(x)).astype(x.dtype, copy=False)

    def adjoint(self, x: Array, r: Array) -> Array:
        """m'(x)' K' r."""
        return self.inner.adjoint(x, self.outer.adjoint(r)).astype(x.dtype, copy=False)

    def rescaled(self, factors: Array) -> MappedForward | None:
        """The map of the rescaled inner model; None if that has no such form."""
        inner = self.inner.rescaled(factors)
        return None if inner is None else replace(self, inner=inner)


def map_prediction(outer: LinearMap, inner: Forward, background: str | None, context: Context) -> Forward:
    """The forward model K m(x) for the linear map K = ``outer`` and the model m = ``inner``.

    `UserError` if the background has the wrong shape, negative values, or an inner model that is not linear.

    Parameters
    ----------
    outer : without negative entries; its domain is ``inner.range``.
    inner : an identity or linear model gives a linear model.
    background : name of an array of the data to add; None for none.
    context : of the forward model.
    """
    offset = None if background is None else background_of(background, tuple(outer.range), context)
    if isinstance(inner, Identity):
        return LinearForward(outer, offset, nonnegative=True)
    if isinstance(inner, LinearForward):
        chained = outer if isinstance(inner.linear_map, IdentityMap) else ChainedMap(outer, inner.linear_map)
        if inner.offset is not None:
            inside = outer.apply(inner.offset)
            offset = inside if offset is None else inside + offset
        return LinearForward(chained, offset, nonnegative=inner.nonnegative)
    if offset is not None:
        raise UserError(context.at("background").where, "needs a linear model", "remove it, or the inner forward")
    return MappedForward(outer, inner)


def background_of(name: str, shape: tuple[int, ...], context: Context) -> Array:
    """The background ``name`` of the data, of the shape of the prediction; `UserError` where it does not fit."""
    offset, where = context.array(name, "background"), context.at("background").where
    if offset.shape != shape:
        raise UserError(where, f"'{name}' has shape {offset.shape}", f"the prediction has {shape}")
    if offset.min() < 0:
        raise UserError(where, f"'{name}' has negative values", "a background is a number of counts")
    return offset
