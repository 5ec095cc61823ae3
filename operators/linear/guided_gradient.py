r"""The gradient of maps without its part across the edges of a guide image: :math:`(I - \xi \xi^\top) \nabla x`."""

from dataclasses import dataclass

import numpy as np

from fusionkit.build import Context
from fusionkit.operators.linear.gradient import GradientMap, gradient_map
from fusionkit.operators.linear.guide import Guide, read_guide
from fusionkit.options import NonNegative, Options, Positive
from fusionkit.terms import Array

TIMES_NOISE = 2.0  # eta over the root mean square slope of the noise, which exceeds it at 2 % of the pixels


@dataclass(frozen=True, eq=False)
class GuidedGradientMap:
    r""":math:`K x = D \nabla x` with :math:`D = I - \xi \xi^\top` at each pixel, the same for all maps.

    D is symmetric, with the eigenvalues 1 along the level lines of the guide and :math:`1 - |\xi|^2` across them, so
    :math:`\|K\| \le \|\nabla\|`.
    """

    gradient: GradientMap  # of maps (n, ny, nx) or of one image (ny, nx)
    xi: Array  # the field, shape (2, ny, nx), with |xi| <= 1 at each pixel

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of the unknown."""
        return self.gradient.domain

    @property
    def tv_field(self) -> Array:
        """The field under the name that the TV kernels use."""
        return self.xi

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output: an image for each axis."""
        return self.gradient.range

    @property
    def norm(self) -> float:
        """An upper bound of the operator norm: that of the gradient."""
        return self.gradient.norm

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """D grad x, in the dtype of x."""
        slopes = self.gradient.apply(x, out)
        return self._without_across(slopes, slopes)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """grad' D y, in the dtype of y."""
        return self.gradient.adjoint(self._without_across(y, np.empty_like(y)), out)

    def _without_across(self, y: Array, out: Array) -> Array:
        """y - xi (xi . y), written into ``out``, which may be ``y``."""
        down, right = self.xi.astype(y.dtype, copy=False)
        across = down * y[0]
        across += right * y[1]
        np.subtract(y[0], down * across, out=out[0])
        np.subtract(y[1], right * across, out=out[1])
        return out


class GuidedGradientOptions(Options):
    """Options of ``guided_gradient``."""

    guide: str = "haadf"
    eta: Positive | None = None
    smoothing: NonNegative | None = None


def guided_gradient(options: GuidedGradientOptions, context: Context) -> GuidedGradientMap:
    r"""The gradient without its part across the edges of a guide image: :math:`(I - \xi \xi^\top) \nabla x`.

    `UserError` if there is no such image, or its pixels are not those of the unknown.

    Parameters
    ----------
    guide : name of the image v, (ny, nx), among the data.
    eta : slope of v, in its unit per pixel, at which |xi|^2 = 1/2; None derives it from the noise of v.
    smoothing : standard deviation of the Gaussian that smooths v, in pixels; None derives it as well.
    """
    return guided_map(directional_field(read_guide(options.guide, context, options.smoothing), options.eta), context)


def gradient_by_length(context: Context) -> GradientMap | GuidedGradientMap:
    r"""The gradient with differences by length: those along the longer edge of a pixel that is not square count less.

    With the edges h the factors are :math:`\min(h) / h`, so that nothing changes for square pixels.
    """
    edges = context.dataset.scan(context.shape).edges
    if len(context.shape) < 2 or edges[0] == edges[1]:
        return gradient_map(context.shape)
    xi = np.sqrt(1.0 - edges.min() / edges)
    return guided_map(np.broadcast_to(xi[:, None, None], (2, *context.shape[-2:])), context)


def guided_map(xi: Array, context: Context) -> GuidedGradientMap:
    """The map for the unknown of ``context``, in its dtype."""
    return GuidedGradientMap(gradient_map(context.shape), np.ascontiguousarray(xi, context.dtype))


def directional_field(guide: Guide, eta: float | None = None) -> Array:
    r""":math:`\xi = \nabla v / \sqrt{|\nabla v|^2 + \eta^2}`, (2, ny, nx); None derives eta from the noise."""
    eta = TIMES_NOISE * guide.noise if eta is None else eta
    squares = np.sum(guide.slopes**2, axis=0)
    return guide.slopes / np.sqrt(squares + eta**2)
