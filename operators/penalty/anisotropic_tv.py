"""Anisotropic total variation: differences along rows and columns separately."""

from __future__ import annotations

from fusionkit.build import Context
from fusionkit.operators.functional.norms import L1
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.options import Options, Weight


class AnisotropicTVOptions(Options):
    """Options of ``anisotropic_tv``."""

    weight: Weight = 1.0
    name: str | None = None


def anisotropic_tv(options: AnisotropicTVOptions, context: Context) -> ComposedPenalty:
    r"""Anisotropic total variation, which favours edges along rows and columns.

    .. math:: T(x) = \lambda \sum_i \sum_{\mathrm{pixels}} |\partial_1 x_i| + |\partial_2 x_i|

    with the differences of `tv`. Source: Esedoglu, Osher, Commun. Pure Appl. Math. 57, 1609 (2004).

    Parameters
    ----------
    weight : lambda >= 0.
    """
    operator = gradient_map(context.shape)
    return ComposedPenalty(L1(options.weight), operator, options.name or "anisotropic_tv")
