r"""The fit to the HAADF image: least squares of the power-sum model.

.. math:: T(x) = \frac{w}{2} \Bigl\| b_H - \sum_i (Z_i x_i)^\gamma \Bigr\|^2

It is not convex for gamma != 1, couples the elements at each pixel, and its gradient has no global Lipschitz constant.
Source: Schwartz et al., npj Comput. Mater. 8, 16 (2022).
"""

from __future__ import annotations

from fusionkit.build import Context
from fusionkit.operators.fidelity import Fidelity, fidelity
from fusionkit.operators.fidelity.fitted import calibrated
from fusionkit.operators.fidelity.least_squares import LeastSquaresLoss
from fusionkit.operators.forward.haadf_models import PowerSumOptions, power_sum
from fusionkit.options import Weight


class HaadfOptions(PowerSumOptions):
    """Options of ``haadf``: those of ``power_sum``, and

    Parameters
    ----------
    name : of the term.
    weight : w >= 0; 1 / s^2 for noise of variance s^2, in the squared unit of the image.
    data : name of the image.
    """

    name: str | None = None
    weight: Weight = 1.0
    data: str = "haadf"


def haadf(options: HaadfOptions, context: Context) -> Fidelity:
    """The term ``haadf``: w/2 ||b_H - sum_i (Z_i x_i)^gamma||^2.

    Raises
    ------
    UserError : there is no such image, or ``z`` does not name exactly the elements.
    """
    image = context.array(options.data)
    name, model = options.name or "haadf", power_sum(options, context)
    return calibrated(fidelity(name, options.weight, LeastSquaresLoss(), model, image, context.where, options.data))
