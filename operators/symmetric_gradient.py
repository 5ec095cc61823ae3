r"""The symmetrised gradient of a vector field, the second operator of TGV."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np
import pylops

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.linear import PylopsMap
from fusionkit.operators.gradient import image_axes
from fusionkit.options import Options


class SymmetricGradientOptions(Options):
    """``symmetric_gradient`` has no options."""


def symmetric_gradient(options: SymmetricGradientOptions, context: Context) -> PylopsMap:
    """The symmetrised gradient (`symmetric_gradient_map`) of an unknown that is a vector field.

    Raises
    ------
    UserError : the first axis of the unknown does not hold one component for each image axis.
    """
    shape = context.shape
    if len(shape) < 2 or shape[0] != len(image_axes(shape[1:])):
        raise UserError(
            context.where,
            f"the unknown {shape} is no vector field",
            "its first axis must hold one component for each image axis, as (2, ny, nx) does",
        )
    return symmetric_gradient_map(shape[1:], context.dtype)


def symmetric_gradient_map(shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> PylopsMap:
    r"""Backward differences of a vector field w, symmetrised, as a map from (k, *shape) to (k (k + 1) / 2, *shape).

    .. math:: (E w)_{aa} = \partial_a w_a, \qquad (E w)_{ab} = \sqrt2 \cdot \tfrac12 (\partial_a w_b + \partial_b w_a)

    The k diagonal components come first; the factor makes the plain Euclidean norm over the components the Frobenius
    norm of the symmetric matrix. Differences are zero at the first row and column, so that E after the gradient is the
    centred second difference. :math:`\|E\|^2 \le 4 k`. Source: Bredies, Kunisch, Pock, SIAM J. Imaging Sci. 3, 492
    (2010); Knoll et al., Magn. Reson. Med. 65, 480 (2011).

    Parameters
    ----------
    shape : of one component, (n, ny, nx) or another that `gradient_map` takes.
    dtype : of the operator.
    """
    axes = image_axes(shape)
    k, size = len(axes), prod(shape)
    parts = [pylops.FirstDerivative(shape, axis=axis, kind="backward", edge=False, dtype=dtype) for axis in axes]
    zero = pylops.Zero(size, dtype=dtype)
    rows: list[list[pylops.LinearOperator]] = [[parts[a] if b == a else zero for b in range(k)] for a in range(k)]
    half = 1 / sqrt(2)
    for a in range(k):
        for b in range(a + 1, k):
            rows.append([half * parts[b] if c == a else half * parts[a] if c == b else zero for c in range(k)])
    operator = pylops.Block(rows, dtype=dtype)
    return PylopsMap(operator, (k, *shape), (len(rows), *shape), known_norm=sqrt(4 * k))
