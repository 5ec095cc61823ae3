r"""Gaussian likelihood of maps that are not counts: fractions, per cent, net maps with negative values.

.. math:: T(x) = \frac{w}{2} \sum_i \frac{\| x_i - b_i \|^2}{\sigma_i^2}

A negative value is noise around a small mean, so the maps keep their zero and their totals.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fusionkit.build import Context
from fusionkit.data.noise import clipped_noise
from fusionkit.engines.kernel_terms import Kernel, LossOfMaps
from fusionkit.engines.losses import LeastSquares
from fusionkit.errors import UserError
from fusionkit.operators.fidelity import Fidelity, fidelity
from fusionkit.operators.fidelity.loss import Loss
from fusionkit.operators.forward import Forward
from fusionkit.operators.forward.identity import identity
from fusionkit.operators.forward.power_sum import element_values
from fusionkit.options import NoOptions, Options, Positive, Weight
from fusionkit.terms import Array


@dataclass(frozen=True, eq=False)
class GaussianLoss(Loss):
    r""":math:`\varphi(m; b) = (m - b)^2 / (2 \sigma_i^2)` of maps."""

    noise = "normal"
    sigma: Array = field(repr=False)  # standard deviation of the noise of each map, (n, 1, 1)

    def values(self, m: Array, b: Array) -> Array:
        """(m - b)^2 / (2 sigma^2)."""
        return 0.5 * ((m - b) / self.sigma) ** 2

    def derivative(self, m: Array, b: Array) -> Array:
        """(m - b) / sigma^2."""
        return (m - b) / self.sigma**2

    def curvature(self, m: Array, b: Array) -> Array:
        """1 / sigma^2."""
        return np.broadcast_to(1.0 / self.sigma**2, m.shape).copy()

    def prox(self, v: Array, b: Array, step: float) -> Array:
        """(v + s b) / (1 + s) with s = step / sigma^2."""
        s = step / self.sigma**2
        return (v + s * b) / (1.0 + s)

    def smooth_on(self, nonnegative: bool) -> bool:
        """True: it is smooth everywhere."""
        return True

    def kernel(self, weight: float, forward: Forward, data: Array) -> Kernel | None:
        """Least squares of maps divided by their noise."""
        return LossOfMaps(LeastSquares(), weight, data / self.sigma, None, tuple((1.0 / self.sigma).ravel().tolist()))


class GaussianOptions(Options):
    """Options of ``gaussian``.

    Parameters
    ----------
    name : of the term.
    weight : w >= 0; 1 makes T the negative log-likelihood.
    data : name of the maps, one of each element on the pixels of the unknown.
    sigma : standard deviation of the noise in the unit of the maps, of all or of each element; ``auto`` takes
        `estimated_noise`.
    """

    name: str | None = None
    weight: Weight = 1.0
    data: str = "maps"
    sigma: Positive | dict[str, Positive] | Literal["auto"] = "auto"


def estimated_noise(maps: Array) -> list[float]:
    """The noise of each map, four digits; for a map without visible noise a thousandth of its largest value.

    Parameters
    ----------
    maps : (n, ny, nx).
    """
    largest = [float(np.fmax.reduce(np.abs(one), axis=None, initial=0.0)) for one in maps]
    levels = [max(clipped_noise(one), 1e-3 * most) for one, most in zip(maps, largest, strict=True)]
    return [float(f"{level or max([1.0, *largest]):.4g}") for level in levels]


def gaussian(options: GaussianOptions, context: Context) -> Fidelity:
    """The term ``gaussian``: w/2 sum_i ||x_i - b_i||^2 / sigma_i^2.

    `UserError` if there are no such maps, one for each element on the pixels of the unknown, or ``sigma`` names other
    elements.
    """
    data = context.array(options.data)
    if len(context.shape) != 3 or data.shape != context.shape:
        problem = f"'{options.data}' has the shape {data.shape}, and the unknown {context.shape}"
        remedy = "name maps of all elements on the pixels of the unknown, or use least_squares with a forward model"
        raise UserError(context.at("data").where, problem, remedy)
    sigma = options.sigma
    if sigma == "auto":
        sigma = dict(zip(context.labels, estimated_noise(data), strict=True))
    named = sigma if isinstance(sigma, dict) else dict.fromkeys(context.labels, sigma)
    missing = [label for label in context.labels if label not in named]
    if missing:
        raise UserError(context.at("sigma").where, f"has none for {', '.join(missing)}", "give one for every element")
    column = element_values(named, context.at("sigma"), 1.0).reshape(-1, 1, 1).astype(context.dtype)
    name, forward = options.name or "gaussian", identity(NoOptions(), context)
    return fidelity(
        name,
        options.weight,
        GaussianLoss(column),
        forward,
        data,
        context.where,
        options.data,
        context.labels,
        context.masked(options.data),
    )
