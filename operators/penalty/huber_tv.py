"""Total variation that is quadratic for small slopes, which avoids staircases on ramps."""

from __future__ import annotations

from fusionkit.build import Context
from fusionkit.operators.functional.huber import GroupHuber
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.options import Options, Positive, Weight


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
    operator = gradient_map(context.shape)
    functional = GroupHuber(operator.range[0], options.smoothing, options.weight)
    return ComposedPenalty(functional, operator, options.name or "huber_tv")
