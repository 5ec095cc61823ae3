r"""The fit to the HAADF image: least squares of an elastic model, by default the power sum.

.. math:: T(x) = \frac{w}{2} \Bigl\| b_H - \sum_i (Z_i x_i)^\gamma \Bigr\|^2

With ``model: z_contrast`` it is :math:`\sum_i Z_i^\gamma x_i`, linear in thickness, and convex. The power sum is not
convex for gamma != 1, couples the elements at each pixel, and its gradient has no global Lipschitz constant.
Source: Schwartz et al., npj Comput. Mater. 8, 16 (2022).
"""

from typing import Literal

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.fidelity import Fidelity, fidelity
from fusionkit.operators.fidelity.fitted import calibrated
from fusionkit.operators.fidelity.least_squares import LeastSquaresLoss
from fusionkit.operators.forward.haadf_models import ElasticModel, PowerSumOptions, linear_in_thickness, power_sum
from fusionkit.options import Weight


class HaadfOptions(PowerSumOptions):
    """Options of ``haadf``: those of ``power_sum``, and

    Parameters
    ----------
    name : of the term.
    weight : w >= 0; 1 / s^2 for noise of variance s^2, in the squared unit of the image.
    data : name of the image.
    model : ``power_sum`` or ``z_contrast``; ``auto``, with ``weight: {auto: count_splitting}``, takes the model
        that best predicts held-out counts.
    """

    name: str | None = None
    weight: Weight = 1.0
    data: str = "haadf"
    model: ElasticModel | Literal["auto"] = "power_sum"


def haadf(options: HaadfOptions, context: Context) -> Fidelity:
    """The term ``haadf``: w/2 ||b_H - sum_i (Z_i x_i)^gamma||^2.

    `UserError` if there is no such image, ``z`` does not name exactly the elements, or ``model`` is auto and the weight
    is not.
    """
    if options.model == "auto":
        remedy = "write weight: {auto: count_splitting}, or name a model"
        raise UserError(context.at("model").where, "is auto, but held-out counts do not choose the weight", remedy)
    if options.model == "power_sum":
        model = power_sum(options, context)
    elif isinstance(options.gamma, tuple):
        where = context.at("gamma").where
        raise UserError(where, "is an interval, which z_contrast does not fit", "give a number")
    else:
        model = linear_in_thickness(options, options.gamma, context)
    name, image = options.name or "haadf", context.array(options.data)
    masked, loss = context.masked(options.data), LeastSquaresLoss()
    return calibrated(fidelity(name, options.weight, loss, model, image, context.where, options.data, masked=masked))
