"""The nuclear norm of the Jacobian at each pixel, which favours parallel edges of all elements."""

from collections.abc import Callable
from math import prod

import numpy as np

from fusionkit.arrays import into
from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.functional import Norm, Vector
from fusionkit.operators.functional.norms import NormOptions, shrink
from fusionkit.terms import Array


class PixelNuclear(Norm):
    r""":math:`\sigma \sum_{\mathrm{pixels}} \|J\|_*`, J the k x n matrix of a pixel, k = 1 or 2.

    One rotation of the two rows of J makes them orthogonal; their lengths are then the singular values (one-sided
    Jacobi, exact for two rows). The prox shortens the rotated rows by the step times the weight and rotates them back.
    The dual ball is :math:`\|P\|_{2 \to 2} \le \sigma` at each pixel. Source: Holt, IEEE Trans. Image Process. 23, 3975
    (2014); Duran et al., SIAM J. Imaging Sci. 9, 116 (2016).

    Parameters
    ----------
    shape : (k, n, pixels) of the vector.
    sigma : weight.
    """

    def __init__(self, shape: tuple[int, int, int], sigma: float = 1.0) -> None:
        self.shape, self.sigma = shape, sigma

    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""
        rotated, _, _ = self._rotate(x)
        return self.sigma * float(np.sum(_row_lengths(rotated), dtype=np.float64))

    def prox(self, x: Array, tau: float) -> Array:
        """Shorten every singular value by ``tau`` times the weight."""
        shorter = float(tau) * self.sigma
        return x.copy() if shorter == 0 else self._scale_rows(x, lambda length: 1 - shrink(length, shorter))

    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        """Clip every singular value at the weight; ``out`` may be ``p``."""
        return into(out, self._scale_rows(p, lambda length: shrink(length, self.sigma)))

    def _rotate(self, x: Array) -> tuple[Array, Array, Array]:
        """The rows of J, rotated to be orthogonal, with cosine and sine of the angle at each pixel."""
        rows = x.reshape(self.shape)
        if self.shape[0] == 1:
            return rows, np.ones(self.shape[2], x.dtype), np.zeros(self.shape[2], x.dtype)
        first, second = rows
        cross = np.einsum("np,np->p", first, second)
        squares = np.einsum("np,np->p", first, first) - np.einsum("np,np->p", second, second)
        angle = 0.5 * np.arctan2(2 * cross, squares)
        cosine, sine = np.cos(angle), np.sin(angle)
        return _turn(rows, cosine, sine), cosine, sine

    def _scale_rows(self, x: Array, factors: Callable[[Array], Array]) -> Array:
        rotated, cosine, sine = self._rotate(x)
        scaled = rotated * factors(_row_lengths(rotated))[:, None]
        return (scaled if self.shape[0] == 1 else _turn(scaled, cosine, -sine)).ravel()


def _turn(rows: Array, cosine: Array, sine: Array) -> Array:
    first, second = rows
    return np.stack([cosine * first + sine * second, cosine * second - sine * first])


def _row_lengths(rows: Array) -> Array:
    """Singular values, the length of each row at each pixel, shape (k, pixels)."""
    return np.sqrt(np.einsum("knp,knp->kp", rows, rows))


def nuclear(options: NormOptions, context: Context) -> PixelNuclear:
    """The nuclear norm at each pixel of a vector (k, n, ...), k <= 2, times ``weight``.

    `UserError` if the vector is not one 1 x n or 2 x n matrix at each pixel.
    """
    shape = context.shape
    if len(shape) < 3 or shape[0] > 2:
        raise UserError(
            context.where,
            f"the nuclear norm takes a 1 x n or 2 x n matrix at each pixel, not a vector of the shape {shape}",
            "use it with the operator gradient on maps (n, ny, nx)",
        )
    return PixelNuclear((shape[0], shape[1], prod(shape[2:])), options.weight)
