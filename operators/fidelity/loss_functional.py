"""A weighted loss as a function with a prox, for solvers that take it by a dual variable."""

from __future__ import annotations

import numpy as np

from fusionkit.functional import ProxFunction, Vector
from fusionkit.operators.fidelity.loss import Loss
from fusionkit.terms import Array


class LossFunctional(ProxFunction):
    r"""The functional :math:`g(z) = w \sum_k \varphi(z_k + a_k; b_k)` of a flat vector z.

    Parameters
    ----------
    loss : phi.
    weight : w >= 0.
    data : b, any shape; used flat.
    offset : a, of the size of b; None for zero.
    smooth : whether phi has a gradient at every z that a solver will ask for.
    """

    def __init__(
        self, loss: Loss, weight: float, data: Array, offset: Array | None = None, smooth: bool = False
    ) -> None:
        self.hasgrad = smooth
        self.loss, self.weight, self.data = loss, weight, data.ravel()
        self.offset = None if offset is None else offset.ravel().astype(data.dtype, copy=False)

    def __call__(self, x: Vector) -> float:
        """g(x), accumulated in float64."""
        return weighted_sum(self.weight, self.loss.values(self._shifted(x), self.data))

    def prox(self, x: Vector, tau: float) -> Array:
        r"""The minimiser of :math:`g(z) + \|z - x\|^2 / (2\tau)`."""
        found = self.loss.prox(self._shifted(x), self.data, tau * self.weight)
        return found if self.offset is None else found - self.offset

    def grad(self, x: Vector) -> Array:
        """Gradient of g where it is smooth, of its Moreau envelope elsewhere (as in pyproximal)."""
        if not self.hasgrad:
            return super().grad(x)
        return self.weight * self.loss.derivative(self._shifted(x), self.data)

    def _shifted(self, x: Vector) -> Array:
        return x if self.offset is None else x + self.offset


def weighted_sum(weight: float, values: Array) -> float:
    """``weight`` times the sum of ``values`` in float64; 0 for a weight of 0, even where they are infinite."""
    return weight * float(np.sum(values, dtype=np.float64)) if weight else 0.0
