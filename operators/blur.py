r"""A Gaussian probe: every map blurred by the same normalised Gaussian, mirrored at the edges."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy.ndimage import gaussian_filter1d

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.forward import LinearForward
from fusionkit.options import Options, Positive
from fusionkit.terms import Array


@dataclass(frozen=True)
class GaussianBlur:
    r"""Convolution of the last two axes with a Gaussian, as a linear map.

    The image is mirrored about the outer edges of its border pixels. The kernel is symmetric, so the map is its own
    adjoint; its rows and columns add up to 1, so it keeps the sum of a map and its norm is 1.

    Parameters
    ----------
    domain : shape of the unknown, (..., ny, nx).
    sigma : standard deviation of the Gaussian, in pixels, > 0; cut off at four sigma.
    """

    domain: tuple[int, ...]
    sigma: float
    norm: float = 1.0

    def __post_init__(self) -> None:
        if not (isfinite(self.sigma) and self.sigma > 0):
            raise UserError("sigma", f"is {self.sigma}", "it must be finite and > 0 pixels")

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of what it gives: that of what it takes."""
        return self.domain

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """The blurred maps."""
        rows = gaussian_filter1d(x, self.sigma, axis=-2, mode="reflect")
        blurred = np.empty_like(x) if out is None else out
        gaussian_filter1d(rows, self.sigma, axis=-1, output=blurred, mode="reflect")
        return blurred

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """The blurred maps: the map is its own adjoint."""
        return self.apply(y, out)


class BlurOptions(Options):
    """Options of ``blur``.

    Parameters
    ----------
    sigma : standard deviation of the probe, in pixels.
    """

    sigma: Positive


def blur(options: BlurOptions, context: Context) -> LinearForward:
    """The forward model ``blur``: maps as a Gaussian probe of ``sigma`` pixels sees them.

    Raises
    ------
    UserError : the unknown is no stack of images.
    """
    if len(context.shape) < 2:
        raise UserError(
            context.where, f"needs images, but the unknown has shape {context.shape}", "use another forward"
        )
    return LinearForward(GaussianBlur(context.shape, options.sigma), nonnegative=True)
