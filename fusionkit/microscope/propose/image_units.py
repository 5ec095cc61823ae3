"""Units of an image that no solver can fit together with the maps: a fit to the smoothed maps.

(image - offset) * scale is the image in units of sum_i (Z_i x_i)^gamma.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.noise import busiest
from fusionkit.microscope.propose.places import OtherStacks
from fusionkit.microscope.propose.stacks import averaged, of_every_element, rounded, smooth

# pixels, of the Gaussians tried; the best is 0.5 for atomic columns at 20 counts, 2 for films
_WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)
_BLUR = 1.5  # pixels, of the Gaussian that smooths both image and powers


@dataclass(frozen=True)
class ImageUnits:
    """Units of the image, its weight, and z of each element."""

    # offset, scale: (value - offset) * scale is the image in units of the model
    offset: float
    scale: float
    weight: float = 1.0  # 1 over the variance of the residual
    z: str | Mapping[str, float] = "relative"  # a value for each element, or ``relative``


@dataclass(frozen=True)
class _Model:
    """The model of the fit: elements with a map, gamma, and z or None."""

    elements: tuple[str, ...]
    gamma: float
    z: str | Mapping[str, float] | None


def image_units(dataset: Dataset, gamma: float, z: str | Mapping[str, float] | None, others: OtherStacks) -> ImageUnits:
    """Offset, scale, z and weight from the image and the powers of the smoothed maps.

    Too little smoothing leaves noise; too much removes detail, and the power of a mean is not the mean of a power. The
    width with the smallest residual is used.

    Parameters
    ----------
    dataset : the data.
    gamma : exponent of the model.
    z : ``relative``, ``absolute`` or a value for each element of the maps; None for ``relative``, or fitted values
        where the units of the image are fitted beforehand.
    others : facts about other stacks; those that cover a part of the field are left out.
    """
    every = of_every_element(dataset, others)
    elements = tuple(every if z is None else dataset.stacks["maps"])
    image, maps = dataset.arrays["haadf"], np.stack([every[element] for element in elements])
    model = _Model(elements, gamma, z)
    rows, columns = busiest(image) if image.shape == maps.shape[1:] else (slice(None), slice(None))
    part = image[rows, columns], maps[:, rows, columns]
    width = min(_WIDTHS, key=lambda one: _fit_units(*part, one, model)[1])
    return _fit_units(image, maps, width, model)[0]


def _fit_units(image: Array, maps: Array, width: float, model: _Model) -> tuple[ImageUnits, float]:
    """The fit with maps smoothed by ``width``, and the variance of its residual."""
    powers = (np.maximum(smooth(maps, width), 0.0) * min(maps[0].size / image.size, 1.0)) ** model.gamma
    if image.shape != maps.shape[1:]:  # both on the coarser pixels along each axis
        coarser = tuple(map(min, image.shape, maps.shape[1:]))
        image, powers = averaged(image, coarser), np.stack([averaged(one, coarser) for one in powers])
    # noise in the powers would flatten the slope: smooth both image and powers
    smooth_image, smooth_powers = smooth(image[None], _BLUR)[0], smooth(powers, _BLUR)
    if model.z is not None:
        powers_of_z = _z_values(model.z, model.elements) ** model.gamma
        fit = _fit_line(smooth_image, np.tensordot(powers_of_z, smooth_powers, axes=1))
        gains = powers_of_z / fit.scale
    else:
        fit, gains = _fit_gains(smooth_image, smooth_powers, model)
    residual = (smooth_image - fit.offset) - np.tensordot(gains, smooth_powers, axes=1)
    spread = float(np.std((image - fit.offset - np.tensordot(gains, powers, axes=1)) * fit.scale)) or 1.0
    offset, scale, weight = _round_offset(fit.offset, image), rounded(fit.scale), rounded(1.0 / spread**2)
    return replace(fit, offset=offset, scale=scale, weight=weight), float(np.var(residual))


def _fit_gains(image: Array, powers: Array, model: _Model) -> tuple[ImageUnits, Array]:
    """Offset, scale and z, and the factor of each power in the image, by nonnegative least squares.

    z is fitted because it includes the sensitivity of the spectrometer, which differs between elements. If the fit
    gives an element 0, because the offset explains the image as well, its z is derived from its atomic number.
    """
    from scipy.optimize import nnls

    columns = np.stack([np.ones(image.size), -np.ones(image.size), *powers.reshape(len(powers), -1)], axis=1)
    lengths = np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    solution = nnls(columns / lengths, image.ravel())[0] / lengths
    offset, gains = float(solution[0] - solution[1]), solution[2:] ** (1 / model.gamma)
    numbers = np.array([atomic_number(element) for element in model.elements], dtype=np.float64)
    positive = gains > 0
    if not positive.any():  # the image is unrelated to the maps
        offset, gains = float(image.min()), numbers * float(np.ptp(image) or 1.0) ** (1 / model.gamma) / numbers.mean()
        positive = gains > 0
    if not positive.all():
        gains = np.where(positive, gains, numbers * np.median(gains[positive] / numbers[positive]))
        # without vacuum in the field the offset may have replaced an element: fit it again with all elements
        again = _fit_line(image, np.tensordot(gains**model.gamma, powers, axes=1))
        offset, gains = again.offset, gains * again.scale ** (-1 / model.gamma)
    level = float(gains.mean())
    z = {element: rounded(float(one / level)) for element, one in zip(model.elements, gains, strict=True)}
    return ImageUnits(offset, level**-model.gamma, z=z), gains**model.gamma


def _z_values(z: str | Mapping[str, float], elements: tuple[str, ...]) -> Array:
    """z of each element of the maps."""
    if not isinstance(z, str):
        return np.array([z[element] for element in elements], dtype=np.float64)
    numbers = np.array([atomic_number(element) for element in elements], dtype=np.float64)
    return numbers / numbers.mean() if z == "relative" else numbers


def _fit_line(image: Array, model: Array) -> ImageUnits:
    """Offset and scale of an image whose model is known, by least squares."""
    slope, offset = np.polyfit(model.ravel(), image.ravel(), 1) if np.ptp(model) > 0 else (0.0, 0.0)
    if slope <= 0:  # the image is unrelated to the maps
        offset, slope = float(image.min()), float(np.ptp(image) or 1.0) / (float(model.mean()) or 1.0)
    return ImageUnits(float(offset), 1.0 / float(slope))


def _round_offset(offset: float, image: Array) -> float:
    """The offset, rounded to 1e-4 of the range of the image, which may be far smaller than the offset."""
    span = float(np.ptp(image))
    return rounded(offset) if span == 0 else round(offset, 4 - math.floor(math.log10(span)))
