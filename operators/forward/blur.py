r"""A Gaussian probe: every map convolved with the same normalised Gaussian, mirrored at the edges."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.forward import LinearForward
from fusionkit.options import Options, Positive
from fusionkit.terms import Array

_CUT = 4.0  # where the kernel ends, in sigma
SMALLEST_SIGMA = 0.5 / _CUT  # pixels; a narrower kernel does not reach the next pixel


@dataclass(frozen=True)
class GaussianBlur:
    r"""Convolution of the last two axes with a Gaussian, as a linear map.

    The image is mirrored at the outer edges of its border pixels. The kernel is symmetric, so the map is its own
    adjoint; its rows and columns sum to 1, so it preserves the sum of a map and its norm is 1. `UserError` if ``sigma``
    is out of range.
    """

    domain: tuple[int, ...]  # shape of the unknown, (..., ny, nx)
    # standard deviation in pixels, from 1/8 to the longer side of the image (at least 8); the kernel ends at four sigma
    sigma: float
    norm: float = 1.0

    def __post_init__(self) -> None:
        check_sigma(self.sigma, self.domain, "sigma")

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output: that of its input."""
        return self.domain

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """The blurred maps."""
        rows = gaussian_filter1d(x, self.sigma, axis=-2, mode="reflect", truncate=_CUT)
        blurred = np.empty_like(x) if out is None else out
        gaussian_filter1d(rows, self.sigma, axis=-1, output=blurred, mode="reflect", truncate=_CUT)
        return blurred

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """The blurred maps: the map is its own adjoint."""
        return self.apply(y, out)


def check_sigma(sigma: float, domain: tuple[int, ...], where: str) -> None:
    """`UserError` at ``where`` for a Gaussian that is too narrow to blur, wider than the image, or NaN."""
    largest = max(*domain[-2:], 8)
    if not SMALLEST_SIGMA <= sigma <= largest:
        remedy = f"it must be >= {SMALLEST_SIGMA:g}, to reach the next pixel, and <= {largest}, the size of the image"
        raise UserError(where, f"is {sigma:g} pixels", remedy)


class BlurOptions(Options):
    """Options of ``blur``.

    Parameters
    ----------
    sigma : standard deviation of the probe, in pixels, from 1/8 to the longer side of the image.
    """

    sigma: Positive


def blur(options: BlurOptions, context: Context) -> LinearForward:
    """The forward model ``blur``: maps convolved with a Gaussian probe of ``sigma`` pixels.

    `UserError` if the unknown is no stack of images, or ``sigma`` is out of range.
    """
    if len(context.shape) < 2:
        raise UserError(
            context.where, f"needs images, but the unknown has shape {context.shape}", "use another forward"
        )
    check_sigma(options.sigma, context.shape, context.at("sigma").where)
    return LinearForward(GaussianBlur(context.shape, options.sigma), nonnegative=True)
