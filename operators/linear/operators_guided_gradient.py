r"""The gradient of maps without its part across the edges of a guide image: :math:`(I - \xi \xi^\top) \nabla x`."""

from __future__ import annotations

import numpy as np

from fusionkit.build import Context
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.operators.linear.guided_gradient import GuidedGradientMap
from fusionkit.operators.linear.guide import Guide, read_guide
from fusionkit.options import NonNegative, Options, Positive
from fusionkit.terms import Array

TIMES_NOISE = 2.0  # eta over the root mean square slope of the noise: the noise itself exceeds it at 2 % of the pixels


class GuidedGradientOptions(Options):
    """Options of ``guided_gradient``."""

    guide: str = "haadf"
    eta: Positive | None = None
    smoothing: NonNegative | None = None


def guided_gradient(options: GuidedGradientOptions, context: Context) -> GuidedGradientMap:
    r"""The gradient without its part across the edges of a guide image: :math:`(I - \xi \xi^\top) \nabla x`.

    Parameters
    ----------
    guide : name of the image v, (ny, nx), among the data.
    eta : slope of v, in its unit per pixel, at which half of the square across is taken off; None derives it from the
        noise of v (`directional_field`).
    smoothing : standard deviation of the Gaussian that v is smoothed with, in pixels; None derives it as well.

    Raises
    ------
    UserError : there is no such image, or it has other pixels than the unknown.
    """
    return guided_map(directional_field(read_guide(options.guide, context, options.smoothing), options.eta), context)


def guided_map(xi: Array, context: Context) -> GuidedGradientMap:
    """The map for the unknown of ``context``, with the field in its dtype."""
    return GuidedGradientMap(gradient_map(context.shape, context.dtype), np.ascontiguousarray(xi, context.dtype))


def directional_field(guide: Guide, eta: float | None = None) -> Array:
    r""":math:`\xi = \nabla v / \sqrt{|\nabla v|^2 + \eta^2}`, (2, ny, nx); eta from the noise where it is None."""
    eta = TIMES_NOISE * guide.noise if eta is None else eta
    squares = np.sum(guide.slopes**2, axis=0)
    return guide.slopes / np.sqrt(squares + eta**2)
