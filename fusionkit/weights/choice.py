r"""The minimum of a held-out error along a path of weights, and how well it is known.

With u the logarithm of the weight, the parabola through the lowest error and its neighbours has its vertex at
:math:`u^* = -\mathrm{slope} / (2 c)`, c its curvature. All errors are taken against the same held-out counts, so that
what moves the vertex is the noise of the difference of the two neighbours' errors, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusionkit.terms import Array


def paired(errors: Array, others: Array) -> tuple[float, float]:
    """Mean difference of two fits' errors at each pixel, and its standard error.

    Parameters
    ----------
    errors, others : squared held-out errors at each pixel, of one shape.
    """
    difference = np.asarray(errors - others, np.float64)
    return float(difference.mean()), float(difference.std() / difference.size**0.5)


def vertex(weights: Sequence[float], errors: Sequence[Array]) -> tuple[float, float | None]:
    """The weight of the lowest error, refined, and the standard error of its logarithm.

    At an end of the path the weight is that of the lowest error itself, and its error is not known (None).

    Parameters
    ----------
    weights : ascending.
    errors : squared held-out errors of each at each pixel.
    """
    means = [float(one.mean(dtype=np.float64)) for one in errors]
    at = int(np.argmin(means))
    if at in (0, len(means) - 1):
        return float(weights[at]), None
    u = np.log(np.asarray(weights[at - 1 : at + 2]) / weights[at])
    curvature, slope, _ = np.polyfit(u, np.asarray(means[at - 1 : at + 2]), 2)
    if not curvature > 0.0:  # all three are equal
        return float(weights[at]), None
    _, spread = paired(errors[at + 1], errors[at - 1])
    shift = np.clip(-slope / (2.0 * curvature), u[0], u[2])
    return float(weights[at] * np.exp(shift)), float(spread / (u[2] - u[0]) / (2.0 * curvature))
