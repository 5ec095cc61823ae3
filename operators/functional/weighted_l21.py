r"""The L21 norm with a weight for each element, :math:`\sigma \sum_i f_i \sum_j \|y_{ij}\|_2`."""

from __future__ import annotations

import numpy as np

from fusionkit.functional import ProxFunction, Vector
from fusionkit.operators.functional.norms import lengths
from fusionkit.terms import Array


class WeightedL21(ProxFunction):
    r""":math:`\sigma \sum_i f_i \sum_j \|y_{ij}\|_2`; its dual ball is :math:`\|p_{ij}\|_2 \le \sigma f_i`.

    Parameters
    ----------
    ndim : size of a group; the vector is (ndim, elements, pixels) flattened.
    factors : f_i >= 0, one an element.
    sigma : weight of all.
    """

    def __init__(self, ndim: int, factors: Array, sigma: float = 1.0) -> None:
        self.ndim, self.factors, self.sigma = ndim, np.asarray(factors, np.float64), sigma

    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""
        sums = lengths(x.reshape(self.ndim, -1)).reshape(len(self.factors), -1).sum(axis=1, dtype=np.float64)
        return self.sigma * float(self.factors @ sums)

    def prox(self, x: Array, tau: float) -> Array:
        """Shorten each group by ``tau`` times its weight."""
        return x - self._clipped(x, float(tau))

    def proxdual(self, x: Array, tau: float) -> Array:
        """The dual projection, whatever ``tau``."""
        return self.project_dual(x)

    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        """Scale each group that is longer than its weight to that length; ``out`` may be ``p``."""
        found = self._clipped(p, 1.0)
        if out is None:
            return found
        np.copyto(out, found)
        return out

    def _clipped(self, x: Array, tau: float) -> Array:
        """Each group, of the length ``tau`` times its weight at the most."""
        groups = x.reshape(self.ndim, -1)
        length = lengths(groups)
        radius = np.repeat((tau * self.sigma * self.factors).astype(x.dtype), length.size // len(self.factors))
        scale = np.divide(radius, length, out=np.ones_like(length), where=length > radius)
        return (groups * scale).reshape(x.shape)
