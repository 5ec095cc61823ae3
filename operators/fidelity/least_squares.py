r"""Least squares: the negative log-likelihood of Gaussian noise, for any forward model.

.. math:: T(x) = \frac{w}{2} \sum_k (m_k(x) - b_k)^2

For noise of variance s^2, in the squared unit of the data, w = 1 / s^2 makes T the negative log-likelihood.
"""

from dataclasses import dataclass

import numpy as np

from fusionkit.build import Context
from fusionkit.engines.kernel_terms import Kernel, LeastSquaresMaps, PowerSumLeastSquares
from fusionkit.engines.losses import LeastSquares
from fusionkit.operators.fidelity import Fidelity, FidelityOptions, from_options
from fusionkit.operators.fidelity.fitted import calibrated
from fusionkit.operators.fidelity.loss import Loss
from fusionkit.operators.forward import Forward
from fusionkit.operators.forward.detector import Calibration
from fusionkit.operators.forward.identity import Identity
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.terms import Array


@dataclass(frozen=True)
class LeastSquaresLoss(Loss):
    r""":math:`\varphi(m; b) = (m - b)^2 / 2`."""

    noise = "normal"

    def values(self, m: Array, b: Array) -> Array:
        """(m - b)^2 / 2."""
        residual = m - b
        residual *= residual
        residual *= 0.5
        return residual

    def derivative(self, m: Array, b: Array) -> Array:
        """m - b."""
        return m - b

    def curvature(self, m: Array, b: Array) -> Array:
        """1."""
        return np.ones_like(m)

    def prox(self, v: Array, b: Array, step: float) -> Array:
        """(v + step b) / (1 + step)."""
        result = b * step
        result += v
        result *= 1.0 / (1.0 + step)
        return result

    def smooth_on(self, nonnegative: bool) -> bool:
        """True: it is smooth everywhere."""
        return True

    def kernel(self, weight: float, forward: Forward, data: Array) -> Kernel | None:
        """Least squares of a power sum or of the maps themselves; otherwise from the scalars."""
        if isinstance(forward, Calibration):
            return forward.kernel(weight, data)
        if isinstance(forward, PowerSum):
            return PowerSumLeastSquares(np.ravel(forward.z), forward.gamma, forward.floor, weight, data)
        return (
            LeastSquaresMaps(weight, data) if isinstance(forward, Identity) else super().kernel(weight, forward, data)
        )

    @property
    def scalars(self) -> LeastSquares:
        """The loss for one value."""
        return LeastSquares()


def least_squares(options: FidelityOptions, context: Context) -> Fidelity:
    """The term ``least_squares``: w/2 ||m(x) - b||^2 for the array ``data`` and the model ``forward``.

    `UserError` if there are no such data, or their shape is not that of the prediction.
    """
    return calibrated(from_options(options, "least_squares", LeastSquaresLoss(), context))
