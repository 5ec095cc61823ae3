"""Total variation of each map: isotropic, anisotropic, and quadratic for small slopes, without staircases on ramps."""

from typing import Literal

import numpy as np

from fusionkit.build import Context
from fusionkit.data.missing import known
from fusionkit.errors import UserError
from fusionkit.operators.forward.power_sum import element_values
from fusionkit.operators.functional.huber import GroupHuber
from fusionkit.operators.functional.norms import L1, L21, WeightedL21
from fusionkit.operators.linear.guided_gradient import gradient_by_length
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.options import Options, Positive, Weight
from fusionkit.terms import Array


class TVOptions(Options):
    """Options of ``tv``."""

    weight: Weight = 1.0
    per_element: dict[str, Positive] | Literal["counts", "auto"] | None = None
    name: str | None = None


def tv(options: TVOptions, context: Context) -> ComposedPenalty:
    r"""Isotropic total variation, which favours flat maps with sharp edges.

    .. math:: T(x) = \lambda \sum_i f_i \|x_i\|_{TV}
              = \lambda \sum_{i} f_i \sum_{\mathrm{pixels}} \sqrt{(\partial_1 x_i)^2 + (\partial_2 x_i)^2}

    with forward differences that are zero at the last row and column, in units of x per pixel; where pixels are not
    square, those along the longer edge count less, as min(h) / h, so that T is one of lengths. For x (n, ny, nx) the
    dual variable is (2, n, ny, nx). Source: Rudin, Osher, Fatemi, Physica D 60, 259 (1992); Chambolle, Pock, J. Math.
    Imaging Vis. 40, 120 (2011). `UserError` if ``per_element`` names an unknown element, there are no maps, or it is
    auto and the weight is not.

    Parameters
    ----------
    weight : lambda >= 0.
    per_element : f_i of each element, 1 if it is not named; ``counts`` takes :math:`1/\sqrt{\bar b_i}`, the noise
        of the gradient of the likelihood, relative to its geometric mean; ``auto``, with ``weight: auto``, searches
        them. None for 1.
    """
    operator = gradient_by_length(context)
    name, size = options.name or "tv", operator.range[0]
    if options.per_element is None:
        return ComposedPenalty(L21(size, options.weight), operator, name)
    return ComposedPenalty(WeightedL21(size, factors(options.per_element, context), options.weight), operator, name)


def factors(per_element: dict[str, float] | Literal["counts", "auto"], context: Context) -> Array:
    """f_i of the elements in the order of the unknown."""
    where = context.at("per_element").where
    if per_element == "auto":
        raise UserError(
            where, "is auto, but the weight is a number", "write weight: auto, or a number for each element"
        )
    if len(context.shape) != 3 or len(context.labels) != context.shape[0]:
        raise UserError(where, "needs maps, and the unknown has none", "remove the key")
    if per_element == "counts":
        maps = context.dataset.arrays.get("maps")
        if maps is None or len(maps) != context.shape[0]:
            raise UserError(where, "is counts, but not every element has a map", "give a number for each")
        means = np.array([float(np.mean(known(one), dtype=np.float64)) for one in maps])
        positive = means > 0.0  # an empty map has no noise
        level = float(np.exp(np.log(means[positive]).mean())) if positive.any() else 1.0
        return np.sqrt(level / np.where(positive, means, level))
    return element_values(per_element, context.at("per_element"), 1.0)


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
    operator = gradient_by_length(context)
    return ComposedPenalty(L1(options.weight), operator, options.name or "anisotropic_tv")


class HuberTVOptions(Options):
    """Options of ``huber_tv``."""

    smoothing: Positive
    weight: Weight = 1.0
    name: str | None = None


def huber_tv(options: HuberTVOptions, context: Context) -> ComposedPenalty:
    r"""Huber total variation of each map.

    .. math:: T(x) = \lambda \sum_i \sum_{\mathrm{pixels}} h_\alpha(|\nabla x_i|), \qquad
              h_\alpha(t) = t^2 / 2 \alpha \ (t \le \alpha), \quad t - \alpha / 2 \ (t > \alpha)

    with the differences of `tv`. Source: Chambolle, Pock, J. Math. Imaging Vis. 40, 120 (2011), section 6.2.3.

    Parameters
    ----------
    smoothing : alpha > 0, the slope below which the penalty is quadratic, in units of x per pixel.
    weight : lambda >= 0.
    """
    operator = gradient_by_length(context)
    functional = GroupHuber(operator.range[0], options.smoothing, options.weight)
    return ComposedPenalty(functional, operator, options.name or "huber_tv")
