"""Any linear operator as a forward model: one of pylops, a registered one, or the matrix of linear regression."""

import numpy as np
import pylops
from pydantic import Field

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.linear import PylopsMap
from fusionkit.operators.forward import LinearForward
from fusionkit.operators.linear.pylops import PylopsOptions, pylops_map
from fusionkit.options import Options, Spec
from fusionkit.terms import LinearMap

_PROMISE = "true: the operator has no negative entry, so a Poisson term of it is smooth"


class PylopsForwardOptions(PylopsOptions):
    """Options of the forward model ``pylops``: the operator's name, its arguments, and a guarantee about signs."""

    nonnegative: bool = Field(default=False, description=_PROMISE)


class LinearForwardOptions(Options):
    """Options of the forward model ``linear``: a registered operator, and a guarantee about signs."""

    operator: Spec
    nonnegative: bool = Field(default=False, description=_PROMISE)


def pylops_forward(options: PylopsForwardOptions, context: Context) -> LinearForward:
    """The forward model ``pylops``: K x for the pylops operator named ``operator``.

    `UserError` if pylops has no such operator or rejects the arguments, or ``nonnegative`` is wrong.
    """
    return _forward(pylops_map(options, context), options.nonnegative, context)


def linear_forward(options: LinearForwardOptions, context: Context) -> LinearForward:
    """The forward model ``linear``: K x for a registered operator (``fusionkit list operators``).

    `UserError` if there is no such operator, or ``nonnegative`` is wrong.
    """
    return _forward(context.build("operators", options.operator, "operator"), options.nonnegative, context)


def _forward(linear_map: LinearMap, nonnegative: bool, context: Context) -> LinearForward:
    if nonnegative and _gives_negative(linear_map, context):
        raise UserError(context.at("nonnegative").where, "this operator has negative entries", "leave the key out")
    return LinearForward(linear_map, nonnegative=nonnegative)


def _gives_negative(linear_map: LinearMap, context: Context) -> bool:
    """Whether the prediction of a few sparse nonnegative images is negative, beyond rounding."""
    random = np.random.default_rng(0)
    for share in (0.5, 0.1, 0.01):
        x = (random.random(linear_map.domain) < share).astype(context.dtype)
        prediction = linear_map.apply(x)
        if prediction.min() < -1e-5 * np.abs(prediction).max():
            return True
    return False


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
