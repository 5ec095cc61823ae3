"""Total variation guided by an image: edges of the maps at its edges cost next to nothing."""

from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.build import Context
from fusionkit.operators.functional.norms import L21
from fusionkit.operators.linear.guide import Guide, read_guide
from fusionkit.operators.linear.guided_gradient import (
    TIMES_NOISE,
    GuidedGradientMap,
    GuidedGradientOptions,
    guided_gradient,
    guided_map,
)
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.options import Positive, Weight
from fusionkit.terms import Array


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
    each map separately, as the source does. Source: Ehrhardt, Betcke, SIAM J. Imaging Sci. 9, 1084 (2016). `UserError`
    if there is no such image, or its pixels are not those of the unknown.

    Parameters
    ----------
    guide : name of the image v, (ny, nx), among the data.
    eta : slope of v below which it has little effect, in its unit per pixel; None derives it from the noise of v.
    smoothing : standard deviation of the Gaussian that smooths v, in pixels; None derives it as well.
    weight : lambda >= 0.
    coupling : joint or none, as above; joint is nearer to the truth on nanoparticle and films.
    """
    return guided_penalty(guided_gradient(options, context), options, options.name or "directional_tv")


def guided_penalty(operator: GuidedGradientMap, options: DirectionalTVOptions, name: str) -> ComposedPenalty:
    """The sum over pixels of the length of the map's output, of all elements together or of each."""
    joint = options.coupling == "joint" and len(operator.domain) > 2
    group = operator.range[0] * (operator.range[1] if joint else 1)
    return ComposedPenalty(L21(group, options.weight), operator, name)


class StructureTensorTVOptions(DirectionalTVOptions):
    """Options of ``structure_tensor_tv``: those of ``directional_tv``, and"""

    window: Positive = 3.0


def structure_tensor_tv(options: StructureTensorTVOptions, context: Context) -> ComposedPenalty:
    r"""Total variation that is weaker across edges with one orientation in a neighbourhood of the guide.

    .. math:: T(x) = \lambda \sum_{\mathrm{pixels}} \Bigl( \sum_i |D \nabla x_i|^2 \Bigr)^{1/2}, \qquad
              D = I - c\, e_1 e_1^\top, \qquad c = \frac{\mu_1 - \mu_2}{\mu_1 + \mu_2 + \eta^2}

    with the eigenvalues mu_1 >= mu_2 and the first eigenvector e_1 of the structure tensor :math:`G_\rho * (\nabla v
    \nabla v^\top)` of the guide v. At corners, and where slopes are noise alone, mu_1 is about mu_2, and T is the
    vectorial TV; with rho towards 0 it is `directional_tv`. Sources: J. Weickert, Int. J. Comput. Vis. 31, 111 (1999);
    M. Grasmair, F. Lenzen, Appl. Math. Optim. 62, 323 (2010). `UserError` if there is no such image, or its pixels are
    not those of the unknown.

    Parameters
    ----------
    guide : name of the image v, (ny, nx), among the data.
    eta : slope of v below which it has little effect, in its unit per pixel; None derives it from the noise of v.
    smoothing : standard deviation of the Gaussian that smooths v, in pixels; None derives it as well.
    window : rho, standard deviation of the Gaussian over the neighbourhood, in pixels. 3 is nearer to the truth
        than 1.5 on `films` and `cos_nanoparticle`; 6 is no better on `films`.
    weight : lambda >= 0.
    coupling : joint, or none for the length of each map separately.
    """
    guide = read_guide(options.guide, context, options.smoothing)
    operator = guided_map(tensor_field(guide, options.window, options.eta), context)
    return guided_penalty(operator, options, options.name or "structure_tensor_tv")


def tensor_field(guide: Guide, window: float, eta: float | None = None) -> Array:
    r""":math:`\xi = \sqrt{c}\, e_1`, shape (2, ny, nx); None derives eta from the noise."""
    eta = TIMES_NOISE * guide.noise if eta is None else eta
    down, right = guide.slopes
    a, b, c = (gaussian_filter(product, window) for product in (down * down, down * right, right * right))
    spread = np.hypot(a - c, 2.0 * b)  # mu_1 - mu_2
    coherence = np.sqrt(spread / (a + c + eta**2))
    angle = 0.5 * np.arctan2(2.0 * b, a - c)
    return coherence * np.stack([np.cos(angle), np.sin(angle)])
