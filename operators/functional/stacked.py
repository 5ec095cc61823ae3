"""A sum of norms, each of a part of the vector."""

from collections.abc import Sequence

import numpy as np

from fusionkit.arrays import takes_any_array
from fusionkit.functional import Norm, Vector
from fusionkit.terms import Array


class StackedNorms(Norm):
    r""":math:`\sum_k g_k(y_k)` for consecutive parts :math:`y_k` of the vector.

    Like ``pyproximal.VStack``, with the projection onto the dual ball.

    Parameters
    ----------
    norms : g_k, weights included.
    sizes : length of each part.
    """

    def __init__(self, norms: Sequence[Norm], sizes: Sequence[int]) -> None:
        ends = np.cumsum(sizes).tolist()
        starts = [0, *ends[:-1]]
        self.parts = [(norm, slice(a, b)) for norm, a, b in zip(norms, starts, ends, strict=True)]
        self.any_array = all(takes_any_array(norm) for norm in norms)
        self.sigma = max(norm.sigma for norm in norms)  # 0 if every part has the weight 0

    def __call__(self, x: Vector) -> float:
        """Sum of the norms."""
        return float(sum(norm(x[part]) for norm, part in self.parts))

    def prox(self, x: Array, tau: float) -> Array:
        """The prox of each part."""
        return np.concatenate([norm.prox(x[part], tau) for norm, part in self.parts])

    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        """The dual projection of each part; ``out`` may be ``p``."""
        if out is None:
            out = np.empty_like(p)
        for norm, part in self.parts:
            norm.project_dual(p[part], out=out[part])
        return out
