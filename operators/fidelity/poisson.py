r"""Poisson negative log-likelihood with a background, for any forward model.

.. math:: T(x) = w \sum_k \bigl( m_k(x) - b_k \log(m_k(x) + \varepsilon) \bigr), \qquad m_k \ge 0

Up to a constant it is the negative log-likelihood of counts b with mean m + epsilon. Sources: Schwartz et al., npj
Comput. Mater. 8, 16 (2022); for the prox, M. A. T. Figueiredo, J. M. Bioucas-Dias, IEEE Trans. Image Process. 19, 3133
(2010).
"""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from fusionkit.build import Context
from fusionkit.engines.kernel_terms import Kernel, PoissonMaps
from fusionkit.engines.losses import Poisson as PoissonScalars
from fusionkit.errors import UserError
from fusionkit.operators.fidelity import Fidelity, FidelityOptions, from_options
from fusionkit.operators.fidelity.loss import Loss, spell
from fusionkit.operators.forward import Forward
from fusionkit.operators.forward.identity import Identity
from fusionkit.options import NonNegative
from fusionkit.terms import Array

# derivatives use m + epsilon >= this, so that they are finite for epsilon = 0; for data of the size of counts
FLOOR = 1e-6
_SMALL = 0.1  # data below are in small units, and the floor with them


@dataclass(frozen=True)
class PoissonLoss(Loss):
    r""":math:`\varphi(m; b) = m - b \log(m + \varepsilon)` on m >= 0.

    Values continue smoothly below 0, for m > -epsilon, so that rounding of a prediction does not make them infinite;
    the prox stays in the domain.
    """

    noise = "poisson"

    epsilon: float = 0.1  # background, >= 0, in the unit of the data; for 0 the slope is unbounded at m = 0
    floor: float = FLOOR  # derivatives use m + epsilon >= floor

    def __post_init__(self) -> None:
        if not (isfinite(self.epsilon) and self.epsilon >= 0):
            raise UserError("epsilon", f"is {self.epsilon}", "it must be finite and >= 0")

    def values(self, m: Array, b: Array) -> Array:
        """m - b log(m + epsilon); ``inf`` where the logarithm is undefined."""
        mean = m + self.epsilon
        outside = (mean < 0) | ((mean == 0) & (b > 0)) if mean.size and not mean.min() > 0 else None
        if outside is not None:
            np.maximum(mean, np.finfo(mean.dtype).tiny, out=mean)
        np.log(mean, out=mean)
        mean *= b
        np.subtract(m, mean, out=mean)
        if outside is not None:
            mean[outside] = np.inf
        return mean

    def derivative(self, m: Array, b: Array) -> Array:
        """1 - b / (m + epsilon)."""
        ratio = self._mean(m)
        np.divide(b, ratio, out=ratio)
        return np.subtract(1.0, ratio, out=ratio)

    def curvature(self, m: Array, b: Array) -> Array:
        """b / (m + epsilon)^2."""
        return self.slopes(m, b)[1]

    def slopes(self, m: Array, b: Array) -> tuple[Array, Array]:
        """First and second derivative, which share a division."""
        mean = self._mean(m)
        ratio = b / mean
        curvature = np.divide(ratio, mean, out=mean)
        return np.subtract(1.0, ratio, out=ratio), curvature

    def prox(self, v: Array, b: Array, step: float) -> Array:
        r"""The exact minimiser over m >= 0.

        The minimiser of the unconstrained problem is m = u - epsilon with u the positive root of
        :math:`u^2 - a u - \mathrm{step}\, b = 0`, :math:`a = v + \varepsilon - \mathrm{step}`; since the problem
        is convex, clipping at 0 gives the constrained one.
        """
        a = v + (self.epsilon - step)
        product = b * step
        root = a * a
        root += 4.0 * product
        np.sqrt(root, out=root)
        root += np.abs(a)
        root *= 0.5
        # (a + sqrt(a^2 + 4 step b)) / 2 cancels for a < 0, where the product of the roots gives the positive one
        np.divide(product, root, out=root, where=a < 0)
        root -= self.epsilon
        return np.maximum(root, 0.0, out=root)

    def smooth_on(self, nonnegative: bool) -> bool:
        """Smooth for m >= 0 if epsilon > 0; never for every real m."""
        return nonnegative and self.epsilon > 0

    def check(self, b: Array, where: str, labels: tuple[str, ...] = ()) -> None:
        """`UserError` for negative data, which cannot be counts."""
        super().check(b, where, labels)
        negative = b < 0
        if negative.any():
            raise UserError(
                where,
                f"a Poisson term needs data >= 0 and they hold {spell(negative, labels)} that are negative",
                "use type: gaussian for maps that are not counts",
            )

    def mean(self, m: Array) -> Array:
        """m + epsilon."""
        return m + self.epsilon

    def kernel(self, weight: float, forward: Forward, data: Array) -> Kernel | None:
        """Poisson loss of the maps themselves; otherwise from the scalars."""
        if isinstance(forward, Identity):
            return PoissonMaps(weight, self.epsilon, self.floor, data)
        return super().kernel(weight, forward, data)

    @property
    def scalars(self) -> PoissonScalars:
        """The loss for one value."""
        return PoissonScalars(self.epsilon, self.floor)

    def _mean(self, m: Array) -> Array:
        mean = m + self.epsilon
        return np.maximum(mean, self.floor, out=mean)


class PoissonOptions(FidelityOptions):
    """Options of ``poisson``.

    Parameters
    ----------
    epsilon : background, >= 0, in the unit of the data after normalisation; ``auto`` takes `least_epsilon`.
    data : name of the counts.
    """

    epsilon: NonNegative | Literal["auto"] = 0.1
    data: str = "maps"


def least_epsilon(data: Array) -> float:
    """An epsilon that keeps the logarithm finite and takes at most a hundredth of the counts of the emptiest map.

    Parameters
    ----------
    data : counts, or counts times a factor, >= 0; (n, ny, nx) for maps.

    Returns
    -------
    A hundredth of the mean of the emptiest map that is not empty, or of the smallest value if that is less.
    """
    maps = [one[~np.isnan(one)] for one in (data if data.ndim == 3 else [data])]
    level = min((float(np.mean(one, dtype=np.float64)) for one in maps if one.any()), default=1.0)
    smallest = float(np.min(data, where=data > 0, initial=np.inf))
    return float(f"{np.clip(0.01 * smallest, 1e-4 * level, 0.01 * level):.3g}")


def poisson(options: PoissonOptions, context: Context) -> Fidelity:
    """The term ``poisson``: w sum(m - b log(m + epsilon)) for the array ``data`` and the model ``forward``.

    `UserError` if there are no such data, they hold negative values, or their shape is not that of the prediction.
    """
    data = context.array(options.data)
    epsilon = least_epsilon(data) if options.epsilon == "auto" else options.epsilon
    largest = float(np.fmax.reduce(data, axis=None, initial=0.0))
    floor = FLOOR * largest / _SMALL if 0.0 < largest < _SMALL else FLOOR
    return from_options(options, "poisson", PoissonLoss(epsilon, floor), context)
