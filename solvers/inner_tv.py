r"""The prox of bounds plus composed terms, by fast gradient projection on its dual.

.. math:: \mathrm{prox}_{t h}(v), \quad h(x) = G(x) + \sum_j g_j(K_j x)

With :math:`x(p) = \mathrm{prox}_{tG}(v - t \sum_j K_j^\top p_j)` the dual step is
:math:`p_j \leftarrow \mathrm{prox}_{\sigma g_j^*}(q_j + \sigma K_j x(q))`, :math:`\sigma = 1 / (t \sum_j \|K_j\|^2)`,
with Nesterov's extrapolation q, restarted where it points uphill.

Source: A. Beck, M. Teboulle, IEEE Trans. Image Process. 18, 2419 (2009), generalised to any composed terms.
"""

from collections.abc import Callable

import numpy as np

from fusionkit.certificate import inner
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays

_GAP_EVERY = 5


def dual_prox(
    split: Split,
    v: Array,
    step: float,
    duals: Arrays,
    gap_allowed: Callable[[Array], float],
    iterations: int,
) -> tuple[Array, Arrays]:
    """The prox of all terms of ``split`` except smooth and pixelwise ones.

    Parameters
    ----------
    split : the problem.
    v : point, shape of the unknown.
    step : t > 0.
    duals : start of the dual iteration, one array for each composed term.
    gap_allowed : function of x: the duality gap (in units of the objective) at which to stop.
    iterations : limit of the iterations.

    Returns
    -------
    The prox, which is feasible, and its dual variables.
    """
    coupling = split.coupling
    if not coupling.terms:
        return split.direct.prox(v, step), duals
    squares = sum(coupling.squared_norms())
    sigma = 1.0 / (step * squares) if squares else 1.0 / step
    buffer = np.empty_like(v)

    def primal(at: Arrays) -> Array:
        return split.direct.prox(v - v.dtype.type(step) * coupling.adjoint(at, buffer), step)

    ahead, number = duals, 1.0
    for iteration in range(iterations):
        images = coupling.apply(primal(ahead))
        ascended = tuple(q + q.dtype.type(sigma) * image for q, image in zip(ahead, images, strict=True))
        new = tuple(coupling.proxdual(index, r, sigma) for index, r in enumerate(ascended))
        uphill = sum(inner(q - n, n - p) for q, n, p in zip(ahead, new, duals, strict=True)) > 0.0
        number = 1.0 if uphill else number
        following = (1.0 + (1.0 + 4.0 * number**2) ** 0.5) / 2.0
        factor = (number - 1.0) / following
        ahead = tuple(n + n.dtype.type(factor) * (n - p) for n, p in zip(new, duals, strict=True))
        duals, number = new, following
        if iteration % _GAP_EVERY == _GAP_EVERY - 1 or iteration == iterations - 1:
            x = primal(duals)
            touching = tuple((r - p) / p.dtype.type(sigma) for r, p in zip(ascended, duals, strict=True))
            if _gap(split, coupling.apply(x), touching, duals) <= gap_allowed(x):
                return x, duals
    return primal(duals), duals


def _gap(split: Split, images: Arrays, touching: Arrays, duals: Arrays) -> float:
    """sum_j g_j(y_j) + g_j*(p_j) - <p_j, y_j> at y_j = K_j x.

    The conjugate needs no formula: p_j is a subgradient of g_j at z_j = (q_j + sigma K_j x(q) - p_j) / sigma, so
    g_j*(p_j) = <p_j, z_j> - g_j(z_j).
    """
    here, there = split.coupling.values(images), split.coupling.values(touching)
    moved = sum(inner(p, y - z) for p, y, z in zip(duals, images, touching, strict=True))
    return sum(here.values()) - sum(there.values()) - moved
