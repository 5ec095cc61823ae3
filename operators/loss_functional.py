"""A weighted loss as a ``pyproximal.ProxOperator``, so that it works in that library's own solvers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyproximal

from fusionkit.operators.loss import Loss
from fusionkit.terms import Array


class LossFunctional(pyproximal.ProxOperator):
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
        super().__init__(None, smooth)
        self.loss, self.weight, self.data = loss, weight, data.ravel()
        self.offset = None if offset is None else offset.ravel().astype(data.dtype, copy=False)

    def __call__(self, x: npt.NDArray[Any]) -> float:
        """g(x), accumulated in float64."""
        return weighted_sum(self.weight, self.loss.values(self._shifted(x), self.data))

    def prox(self, x: npt.NDArray[Any], tau: float, **kwargs: Any) -> Array:
        r"""The minimiser of :math:`g(z) + \|z - x\|^2 / (2\tau)`."""
        found = self.loss.prox(self._shifted(x), self.data, tau * self.weight)
        return found if self.offset is None else found - self.offset

    def proxdual(self, x: npt.NDArray[Any], tau: float, **kwargs: Any) -> Array:
        """The prox of tau times the conjugate of g, by the Moreau identity."""
        return x - tau * self.prox(x / tau, 1.0 / tau)

    def grad(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Gradient of g where it is smooth, of its Moreau envelope elsewhere (as every ``ProxOperator`` has it)."""
        if not self.hasgrad:
            return super().grad(x)
        return self.weight * self.loss.derivative(self._shifted(x), self.data)

    def _shifted(self, x: npt.NDArray[Any]) -> Array:
        return x if self.offset is None else x + self.offset


def weighted_sum(weight: float, values: Array) -> float:
    """``weight`` times the sum of ``values`` in float64; 0 for a weight of 0, even where they are infinite."""
    return weight * float(np.sum(values, dtype=np.float64)) if weight else 0.0
