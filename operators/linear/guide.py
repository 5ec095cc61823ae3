r"""A guide image: its slopes after smoothing according to its noise, and the noise of the slopes.

The heat kernel :math:`G_s = e^{-\frac{s^2}{2} \nabla^\top \nabla}` is a Gaussian of standard deviation s, diagonal in
the cosine basis. s minimises Stein's unbiased estimate of the risk of the slopes: with the eigenvalues L of
:math:`\nabla^\top \nabla`, :math:`g = e^{-s^2 L / 2}`, the coefficients c of the image and its noise sigma,

.. math:: E\,\|\nabla G_s v - \nabla u\|^2 = E \sum L\, \bigl( (1 - g)^2 c^2 + 2 \sigma^2 g - \sigma^2 \bigr),

and the mean square length of a slope of noise alone is :math:`\sigma^2 \,\mathrm{mean}(L g^2)`.
Source: C. M. Stein, Ann. Stat. 9, 1135 (1981).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft

from fusionkit.build import Context
from fusionkit.data.missing import filled
from fusionkit.data.noise import noise_level
from fusionkit.errors import UserError
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.terms import Array

_WIDEST = 8.0  # pixels; more blurs the edges that the guide is for
_ROUNDING = 1e-6  # of the steepest slope, the least noise of an image without any


@dataclass(frozen=True, eq=False)
class Guide:
    """Slopes and noise of a guide image."""

    # forward differences of the smoothed image along both axes, zero at the last row and column, (2, ny, nx)
    slopes: Array
    noise: float  # root mean square length of a slope of noise alone, in the unit of the image per pixel, > 0
    smoothing: float  # standard deviation of the Gaussian, in pixels


def read_guide(name: str, context: Context, smoothing: float | None = None) -> Guide:
    """The guide ``name`` of the dataset for an unknown of maps or of one image.

    `UserError` if there is no such array, or its pixels are not those of the unknown.

    Parameters
    ----------
    name : of the array, an image with the pixels of the unknown.
    context : of the term.
    smoothing : standard deviation of the Gaussian in pixels; None derives it from the noise.
    """
    return guide_of(guide_image(name, context), smoothing)


def guide_image(name: str, context: Context) -> Array:
    """The image ``name`` of the dataset in float64 without gaps, (ny, nx); arguments and errors as `read_guide`."""
    image = context.array(name, "guide")
    if len(context.shape) not in (2, 3) or image.shape != context.shape[-2:]:
        problem = f"'{name}' has the shape {image.shape} and does not show the pixels of the unknown {context.shape}"
        raise UserError(context.at("guide").where, problem, "name an image (ny, nx) of the same pixels")
    return filled(np.asarray(image, np.float64))


def guide_of(image: Array, smoothing: float | None = None) -> Guide:
    """The guide of an image (ny, nx); for ``smoothing`` see `read_guide`."""
    gradient = gradient_map(image.shape)
    eigenvalues, variance = gradient.normal_eigenvalues(), noise_level(image) ** 2 if min(image.shape) > 2 else 0.0
    spectrum = np.asarray(scipy.fft.dctn(image, norm="ortho"))
    if smoothing is None:
        smoothing = _least_risk(eigenvalues, spectrum * spectrum, variance) if variance else 0.0
    kernel = np.exp(-0.5 * smoothing**2 * eigenvalues)
    slopes = gradient.apply(np.asarray(scipy.fft.idctn(kernel * spectrum, norm="ortho")))
    steepest = float(np.abs(slopes).max(initial=0.0))
    noise = max(float(variance * np.mean(eigenvalues * kernel**2)) ** 0.5, _ROUNDING * steepest)
    return Guide(slopes, noise or 1.0, smoothing)


def _least_risk(eigenvalues: Array, power: Array, variance: float) -> float:
    """The s that minimises the estimated risk of the slopes."""
    from scipy.optimize import minimize_scalar  # its import takes half as long as a small solve

    def risk(s: float) -> float:
        kernel = np.exp(-0.5 * s * s * eigenvalues)
        return float(np.sum(eigenvalues * ((1.0 - kernel) ** 2 * power + 2.0 * variance * kernel)))

    coarse = np.linspace(0.0, _WIDEST, 17)  # the risk may have several minima: start at the lowest of these
    at = int(np.argmin([risk(s) for s in coarse]))
    around = coarse[max(at - 1, 0)], coarse[min(at + 1, len(coarse) - 1)]
    best: Any = minimize_scalar(risk, bounds=around, method="bounded", options={"xatol": 0.01})
    return float(best.x)
