"""The Huber function of groups: quadratic near zero, linear beyond."""

import numpy as np

from fusionkit.build import Context
from fusionkit.engines.kernel_terms import Kernel, TotalVariation
from fusionkit.functional import ProxFunction, Vector
from fusionkit.operators.functional.norms import lengths, of_maps, shorten
from fusionkit.options import Options, Positive, Weight
from fusionkit.terms import Array, LinearMap


class GroupHuber(ProxFunction):
    r""":math:`\sigma \sum_j h_\alpha(\|y_j\|_2)` with :math:`h_\alpha(t) = t^2 / 2\alpha` up to alpha and
    :math:`t - \alpha/2` beyond.

    .. math:: \mathrm{prox}_\tau(y_j) = \Big(1 - \frac{\tau\sigma}{\max(\|y_j\|, \tau\sigma + \alpha)}\Big) y_j

    pyproximal's ``Huber`` acts on single values and its ``HuberCircular`` on the vector as one group.

    Parameters
    ----------
    ndim : size of a group; the vector is (ndim, groups) flattened.
    smoothing : alpha > 0, in units of y.
    sigma : weight.
    """

    hasgrad = True
    any_array = True

    def __init__(self, ndim: int, smoothing: float, sigma: float = 1.0) -> None:
        self.ndim, self.smoothing, self.sigma = ndim, smoothing, sigma

    def kernel(self, linear_map: LinearMap) -> Kernel | None:
        """The compiled kernel of the function of ``linear_map``: Huber TV of each map."""
        if not of_maps(linear_map) or self.ndim != 2:
            return None
        field, norm = linear_map.tv_field, linear_map.norm
        return TotalVariation(self.sigma, False, field, smoothing=self.smoothing, norm=norm)

    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""
        length = lengths(x.reshape(self.ndim, -1)).astype(np.float64)
        near = np.minimum(length, self.smoothing)  # t^2 / 2a and t - a/2 in one: near^2 / 2a + (t - near)
        return self.sigma * float(np.sum(near * near / (2 * self.smoothing) + (length - near)))

    def prox(self, x: Array, tau: float) -> Array:
        """Shorten each group by ``tau`` times the weight, short ones in proportion."""
        shorter = float(tau) * self.sigma
        return shorten(x, self.ndim, shorter, shorter + self.smoothing)

    def proxdual(self, x: Array, tau: float) -> Array:
        r"""Prox of the conjugate, :math:`\alpha |p_j|^2 / 2\sigma` within :math:`|p_j| \le \sigma`."""
        return self._scaled(x, self.sigma + float(tau) * self.smoothing)

    def grad(self, x: Vector) -> Array:
        r"""Gradient, :math:`\sigma y_j / \max(\|y_j\|, \alpha)`."""
        return self._scaled(x, self.smoothing)

    def _scaled(self, x: Array, least: float) -> Array:
        """Each group times sigma over its length, or over ``least`` if that is larger."""
        groups = x.reshape(self.ndim, -1)
        return (groups * np.divide(self.sigma, np.maximum(lengths(groups), least))).ravel()


class HuberOptions(Options):
    """Options of ``huber``."""

    smoothing: Positive
    weight: Weight = 1.0


def huber(options: HuberOptions, context: Context) -> GroupHuber:
    """The Huber function of groups over the first axis, times ``weight``.

    Parameters
    ----------
    smoothing : length below which it is quadratic, > 0, in units of the vector.
    """
    return GroupHuber(context.shape[0], options.smoothing, options.weight)
