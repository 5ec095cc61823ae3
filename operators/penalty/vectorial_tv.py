"""Total variation that couples the elements, which favours edges at the same place in all maps."""

from dataclasses import replace
from typing import Literal

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.functional.norms import L21, NormOptions
from fusionkit.operators.functional.nuclear import nuclear
from fusionkit.operators.linear.guided_gradient import gradient_by_length
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.options import Options, Weight


class VectorialTVOptions(Options):
    """Options of ``vectorial_tv``."""

    coupling: Literal["joint", "nuclear"] = "joint"
    weight: Weight = 1.0
    name: str | None = None


def vectorial_tv(options: VectorialTVOptions, context: Context) -> ComposedPenalty:
    r"""Vectorial total variation of maps x (n, ny, nx), with J the 2 x n Jacobian of a pixel.

    .. math:: T(x) = \lambda \sum_{\mathrm{pixels}} \|J\|_F \ (\mathrm{joint}), \qquad
              T(x) = \lambda \sum_{\mathrm{pixels}} \|J\|_* \ (\mathrm{nuclear})

    with the differences of `tv`. ``joint`` favours edges at the same pixels, ``nuclear`` parallel ones. Source:
    Bresson, Chan, Inverse Probl. Imaging 2, 455 (2008); Holt, IEEE Trans. Image Process. 23, 3975 (2014). `UserError`
    if the unknown is not (n, ny, nx).

    Parameters
    ----------
    coupling : joint or nuclear.
    weight : lambda >= 0.
    """
    if len(context.shape) != 3:
        raise UserError(context.where, f"the unknown {context.shape} has no elements to couple", "use tv")
    operator = gradient_by_length(context)
    if options.coupling == "joint":
        functional = L21(operator.range[0] * operator.range[1], options.weight)
    else:
        functional = nuclear(NormOptions(weight=options.weight), replace(context, shape=operator.range))
    return ComposedPenalty(functional, operator, options.name or "vectorial_tv")
