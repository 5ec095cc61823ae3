r"""The discrete Laplacian, for penalties on curvature: :math:`L = -\nabla^\top \nabla`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fusionkit.build import Context
from fusionkit.operators.linear.gradient import GradientMap, gradient_map
from fusionkit.options import NoOptions
from fusionkit.terms import Array


def laplacian(options: NoOptions, context: Context) -> LaplacianMap:
    r"""Second differences of each map, in units of x per square pixel.

    .. math:: L x = -\nabla^\top \nabla x

    with the gradient of `tv`, so that nothing crosses the border. With ``l2`` it favours smooth maps and, unlike TV,
    keeps peaks round, as for lattices of atoms. For x (n, ny, nx) the range is the same. :math:`\|L\| \le 8` in 2-D.
    """
    return LaplacianMap(gradient_map(context.shape))


@dataclass(frozen=True, eq=False)
class LaplacianMap:
    """Minus the divergence of the gradient, negative; its own adjoint."""

    any_array: ClassVar[bool] = True
    gradient: GradientMap  # of the unknown

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of the unknown."""
        return self.gradient.domain

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output: that of the unknown."""
        return self.gradient.domain

    @property
    def norm(self) -> float:
        """The operator norm."""
        return self.gradient.norm**2

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """L x, in the dtype of x."""
        result = self.gradient.adjoint(self.gradient.apply(x), out)
        return np.negative(result, out=result)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """L y."""
        return self.apply(y, out)

    def normal_eigenvalues(self) -> Array:
        """Eigenvalues of L'L in the orthonormal DCT-II basis."""
        return self.gradient.normal_eigenvalues() ** 2

    def cosine_axes(self) -> tuple[int, ...]:
        """The image axes."""
        return self.gradient.cosine_axes()
