r"""The gradient seen through a field of symmetric matrices :math:`D = I - \xi \xi^\top`, one a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusionkit.operators.linear.gradient import GradientMap
from fusionkit.terms import Array


@dataclass(frozen=True, eq=False)
class GuidedGradientMap:
    r""":math:`K x = D \nabla x` with :math:`D = I - \xi \xi^\top` at each pixel, the same for all maps.

    D is symmetric, with the eigenvalue 1 along the level lines of the guide and :math:`1 - |\xi|^2` across them, so
    that :math:`\|K\| \le \|\nabla\|`.

    Parameters
    ----------
    gradient : of maps (n, ny, nx) or of one image (ny, nx).
    xi : the field, shape (2, ny, nx), with |xi| <= 1 at each pixel.
    """

    gradient: GradientMap
    xi: Array

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of the unknown."""
        return self.gradient.domain

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of what it gives: an image for each axis."""
        return self.gradient.range

    @property
    def norm(self) -> float:
        """An upper bound of the operator norm: that of the gradient."""
        return self.gradient.norm

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """D grad x, in the dtype of x."""
        found = self.gradient.apply(x, out)
        return self._across_taken_off(found, found)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """grad' D y, in the dtype of y."""
        return self.gradient.adjoint(self._across_taken_off(y, np.empty_like(y)), out)

    def _across_taken_off(self, y: Array, out: Array) -> Array:
        """y - xi (xi . y) into ``out``, which may be ``y``."""
        down, right = self.xi.astype(y.dtype, copy=False)
        across = down * y[0]
        across += right * y[1]
        np.subtract(y[0], down * across, out=out[0])
        np.subtract(y[1], right * across, out=out[1])
        return out
