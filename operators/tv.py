"""Isotropic total variation, each map on its own."""

from __future__ import annotations

from fusionkit.build import Context
from fusionkit.operators.gradient import gradient_map
from fusionkit.operators.norms import L21
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.options import Options, Weight


class TVOptions(Options):
    """Options of ``tv``."""

    weight: Weight = 1.0
    name: str | None = None


def tv(options: TVOptions, context: Context) -> ComposedPenalty:
    r"""Isotropic total variation: it favours flat maps with sharp edges.

    .. math:: T(x) = \lambda \sum_i \|x_i\|_{TV}
              = \lambda \sum_{i} \sum_{\mathrm{pixels}} \sqrt{(\partial_1 x_i)^2 + (\partial_2 x_i)^2}

    with forward differences that are zero at the last row and column, in units of x per pixel. For x (n, ny, nx) the
    dual variable is (2, n, ny, nx). Source: Rudin, Osher, Fatemi, Physica D 60, 259 (1992); Chambolle, Pock, J. Math.
    Imaging Vis. 40, 120 (2011).

    Parameters
    ----------
    weight : lambda >= 0.
    """
    operator = gradient_map(context.shape, context.dtype)
    return ComposedPenalty(L21(operator.range[0], options.weight), operator, options.name or "tv")
