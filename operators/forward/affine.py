r"""An affine model of a data matrix: :math:`m(w) = X w + b`, the forward model of linear regression."""

import numpy as np
import pylops

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.linear import PylopsMap
from fusionkit.operators.forward import LinearForward
from fusionkit.options import Options


class AffineOptions(Options):
    """Options of ``affine``.

    Parameters
    ----------
    matrix : name of the array X, shape (m, p): a row for each observation, a column for each feature.
    """

    matrix: str


def affine(options: AffineOptions, context: Context) -> LinearForward:
    """The forward model ``affine``: X w + b for an unknown (p + 1,) whose last entry is the intercept b.

    `UserError` if there is no such array, it is not 2-D, or the unknown does not have p + 1 entries.
    """
    matrix = context.array(options.matrix, "matrix")
    where = context.at("matrix").where
    if matrix.ndim != 2:
        raise UserError(
            where, f"'{options.matrix}' has shape {matrix.shape}", "it must be 2-D (observations, features)"
        )
    rows, features = matrix.shape
    if context.shape != (features + 1,):
        raise UserError(
            where,
            f"'{options.matrix}' has {features} features, but the unknown has shape {context.shape}",
            f"it needs shape ({features + 1},): a coefficient for each feature, then the intercept",
        )
    design = np.column_stack([matrix, np.ones(rows, context.dtype)])
    operator = pylops.MatrixMult(design, dtype=str(context.dtype))
    norm = float(np.linalg.norm(design.astype(np.float64), 2))
    return LinearForward(PylopsMap(operator, context.shape, (rows,), norm), nonnegative=bool((matrix >= 0).all()))
