r"""Local steps of primal-dual iterations, where pixelwise terms are concave.

At a pixel with the second derivative -c and free dual variables on its four edges, the linearised iteration spirals
outward unless :math:`(2 - \rho) 4 \sigma > c`, and sigma must be longer where edges are saturated. One sigma for all
pixels would have to suit the few worst of them. So the edges of a concave pixel get the dual step sigma (1 + b / 4),
b = 0, 1, ..., and the primal step follows from the edges e of a pixel: :math:`1 / \tau_i = 2 \sum_e \sigma_e`, with
which :math:`\|\Sigma^{1/2} K T^{1/2}\| \le 1` for the forward differences K. b = 0 gives sigma and 1 / (8 sigma).

Source of diagonal steps: T. Pock, A. Chambolle, IEEE Int. Conf. Comput. Vis. (2011), 1762. Sigma by concavity is new.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.engines.choose import lone_penalty
from fusionkit.engines.kernel_terms import TotalVariation
from fusionkit.problem import Split
from fusionkit.terms import Array

MARGIN = 0.9  # sigma over the concavity c at first: from 0.6 to 1 DyScO3 and phantoms take about as many iterations


def local_boost(split: Split, x: Array, scale: float, former: Array | None) -> Array | None:
    """b at each value, uint8 of the shape of x; None without total variation as the one penalty or without concavity.

    Parameters
    ----------
    split : the problem.
    x : the iterate.
    scale : 1 + b / 4 at a pixel with the concavity c is at least ``scale`` c.
    former : b at the last look, which falls by a fifth at most: an orbit is more concave on one side.
    """
    penalty = lone_penalty(split)
    concave = [term for term in split.pixelwise if not term.convex]
    parts = [part for term in concave if (part := term.concavity(x)) is not None]
    if not isinstance(penalty, TotalVariation) or not parts:
        return None
    need = np.asarray(4.0 * scale * sum(parts))
    most = need.copy()
    np.maximum(most[:, :-1], need[:, 1:], out=most[:, :-1])
    np.maximum(most[:, :, :-1], need[:, :, 1:], out=most[:, :, :-1])
    new: Any = np.clip(most - 4, 0, 255).astype(np.uint8)
    if former is not None:
        np.maximum(new, (former.astype(np.uint16) * 4 // 5).astype(np.uint8), out=new)
    if penalty.joint:
        new[:] = new.max(axis=0)
    return new


def local_steps(boost: npt.NDArray[Any], tau: float, dtype: np.dtype) -> tuple[Array, Array]:
    """tau at each value, and the factor of sigma, both of the shape of x."""
    factor = (1.0 + boost / 4.0).astype(dtype)
    edges = 2.0 * factor
    edges[:, 1:] += factor[:, :-1]
    edges[:, :1] += factor[:, :1]
    edges[:, :, 1:] += factor[:, :, :-1]
    edges[:, :, :1] += factor[:, :, :1]
    return dtype.type(4.0 * tau) / edges, factor
