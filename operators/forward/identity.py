"""The identity as forward model, for data that are the unknown plus noise."""

from dataclasses import dataclass

import numpy as np

from fusionkit.build import Context
from fusionkit.linear import IdentityMap
from fusionkit.operators.forward import Forward, Jet, LinearForward, PixelwiseForward
from fusionkit.options import NoOptions
from fusionkit.terms import Array


@dataclass(frozen=True)
class Identity(PixelwiseForward):
    """m(x) = x.

    Parameters
    ----------
    range : shape of the unknown and of the prediction, (n, ny, nx).
    """

    range: tuple[int, ...]

    linear = True
    nonnegative = True
    unchanged = True

    def apply(self, x: Array) -> Array:
        """A copy of x."""
        return x.copy()

    def jet(self, x: Array, second: bool = True) -> Jet:
        """x, one, zero."""
        one = np.ones((1,) * x.ndim, x.dtype)
        return Jet(x, one, np.zeros_like(one) if second else None)

    def adjoint(self, x: Array, r: Array) -> Array:
        """r, unchanged."""
        return r.copy()


def identity(options: NoOptions, context: Context) -> Forward:
    """The forward model ``identity``: pixelwise for maps, linear for an unknown of another shape."""
    if len(context.shape) == 3:
        return Identity(context.shape)
    return LinearForward(IdentityMap(context.shape), nonnegative=True)
