"""Directional total variation: edges of the maps at edges of a guide image cost next to nothing."""

from __future__ import annotations

from typing import Literal

from fusionkit.build import Context
from fusionkit.operators.functional.norms import L21
from fusionkit.operators.linear.guided_gradient import GuidedGradientMap, GuidedGradientOptions, guided_gradient
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.options import Weight


class DirectionalTVOptions(GuidedGradientOptions):
    """Options of ``directional_tv``: those of ``guided_gradient``, and"""

    weight: Weight = 1.0
    coupling: Literal["joint", "none"] = "joint"
    name: str | None = None


def directional_tv(options: DirectionalTVOptions, context: Context) -> ComposedPenalty:
    r"""Directional total variation: only the part of a slope along the level lines of the guide has a cost.

    .. math:: T(x) = \lambda \sum_{\mathrm{pixels}} \Bigl( \sum_i |D \nabla x_i|^2 \Bigr)^{1/2}, \qquad
              D = I - \xi \xi^\top, \qquad \xi = \frac{\nabla v}{\sqrt{|\nabla v|^2 + \eta^2}}

    with the differences of `tv`. Where the guide v is flat it is the vectorial TV; an edge of the maps at an edge of v
    costs next to nothing, whatever its sign and height, and is not required. ``coupling: none`` takes the length of
    each map separately, as the source does. Source: Ehrhardt, Betcke, SIAM J. Imaging Sci. 9, 1084 (2016).

    Parameters
    ----------
    guide : name of the image v, (ny, nx), among the data.
    eta : slope of v below which it has little effect, in its unit per pixel; None derives it from the noise of v.
    smoothing : standard deviation of the Gaussian that smooths v, in pixels; None derives it as well.
    weight : lambda >= 0.
    coupling : joint or none, as above; joint is nearer to the truth on nanoparticle and films.

    Raises
    ------
    UserError : there is no such image, or its pixels are not those of the unknown.
    """
    return guided_penalty(guided_gradient(options, context), options, options.name or "directional_tv")


def guided_penalty(operator: GuidedGradientMap, options: DirectionalTVOptions, name: str) -> ComposedPenalty:
    """The sum over pixels of the length of the map's output, of all elements together or of each."""
    joint = options.coupling == "joint" and len(operator.domain) > 2
    group = operator.range[0] * (operator.range[1] if joint else 1)
    return ComposedPenalty(L21(group, options.weight), operator, name)
