"""First guesses of what the HAADF image is in units of the model: offset, scale, z and weight, from the maps.

(image - offset) * scale fits sum_i (Z_i x_i)^gamma of the smoothed maps by least squares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.window import busiest
from fusionkit.microscope.propose.places import Further
from fusionkit.microscope.spectra.of_stacks import averaged, of_every_element, rounded, smooth
from fusionkit.terms import Array

_WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)  # pixels, of Gaussians tried: atomic columns at 20 counts 0.5, films 2
_BLUR = 1.5  # of the Gaussian that smooths image and powers alike


@dataclass(frozen=True)
class ImageUnits:
    """Units of the image, its weight, and z of each element.

    Parameters
    ----------
    offset, scale : what puts the image into the units of the model: (value - offset) * scale.
    weight : 1 over the variance of what the smoothed maps leave of it.
    z : a value for each element, or ``relative``.
    """

    offset: float = 0.0
    scale: float = 1.0
    weight: float = 1.0
    z: str | dict[str, float] = "relative"


@dataclass(frozen=True)
class _Model:
    """What is fitted: the elements that have a map, gamma, and z where it is given."""

    elements: tuple[str, ...]
    gamma: float
    z: str | Mapping[str, float] | None


def image_units(dataset: Dataset, gamma: float, z: str | Mapping[str, float] | None, further: Further) -> ImageUnits:
    """Offset, scale, z and weight from the image and the powers of the smoothed maps.

    Smoothed too little, the maps are noise; smoothed too much, they have lost detail, and the power of a mean is not
    the mean of a power. The width that leaves the least of the image is taken.

    Parameters
    ----------
    dataset : the data.
    gamma : exponent of the model.
    z : ``relative``, ``absolute`` or a value for each element of the maps; None to fit them.
    further : what is known of stacks beside ``maps``; those that show a part of the field are left out.
    """
    every = of_every_element(dataset, further)
    elements = tuple(every if z is None else dataset.stacks["maps"])
    image, maps = dataset.arrays["haadf"], np.stack([every[element] for element in elements])
    model = _Model(elements, gamma, z)
    rows, columns = busiest(image) if image.shape == maps.shape[1:] else (slice(None), slice(None))
    part = image[rows, columns], maps[:, rows, columns]
    width = min(_WIDTHS, key=lambda one: _fitted(*part, one, model)[1])
    return _fitted(image, maps, width, model)[0]


def _fitted(image: Array, maps: Array, width: float, model: _Model) -> tuple[ImageUnits, float]:
    """The fit with maps that are smoothed by ``width``, and the part of the image's variance that it leaves."""
    powers = (np.maximum(smooth(maps, width), 0.0) * min(maps[0].size / image.size, 1.0)) ** model.gamma
    if image.shape != maps.shape[1:]:  # both on the coarser pixels along each axis
        coarser = tuple(map(min, image.shape, maps.shape[1:]))
        image, powers = averaged(image, coarser), np.stack([averaged(one, coarser) for one in powers])
    # noise that is left in the powers would flatten the slope: image and powers are compared when smoothed alike
    seen, alike = smooth(image[None], _BLUR)[0], smooth(powers, _BLUR)
    if model.z is not None:
        known = _values(model.z, model.elements) ** model.gamma
        found = _unit(seen, np.tensordot(known, alike, axes=1))
        gains = known / found.scale
    else:
        found, gains = _gains(seen, alike, model)
    left = (seen - found.offset) - np.tensordot(gains, alike, axes=1)
    spread = float(np.std((image - found.offset - np.tensordot(gains, powers, axes=1)) * found.scale)) or 1.0
    fit = replace(found, offset=_near(found.offset, image), scale=rounded(found.scale))
    return replace(fit, weight=rounded(1.0 / spread**2)), float(np.var(left))


def _gains(image: Array, powers: Array, model: _Model) -> tuple[ImageUnits, Array]:
    """Offset, scale and z, and what the image gains for each power, by nonnegative least squares.

    A count of one element stands for more matter than a count of another: what the image gains for a count, z, holds
    the sensitivity of the spectrometer and is fitted. Atomic numbers stand in for the elements that the fit leaves out,
    such as where the offset does as well.
    """
    from scipy.optimize import nnls

    columns = np.stack([np.ones(image.size), -np.ones(image.size), *powers.reshape(len(powers), -1)], axis=1)
    lengths = np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    found = nnls(columns / lengths, image.ravel())[0] / lengths
    offset, gains = float(found[0] - found[1]), found[2:] ** (1 / model.gamma)
    numbers = np.array([atomic_number(element) for element in model.elements], dtype=np.float64)
    known = gains > 0
    if not known.any():  # an image that does not follow the maps
        offset, gains = float(image.min()), numbers * float(np.ptp(image) or 1.0) ** (1 / model.gamma) / numbers.mean()
        known = gains > 0
    if not known.all():
        gains = np.where(known, gains, numbers * np.median(gains[known] / numbers[known]))
        # in a field without vacuum the offset may have stood for an element: it is fitted again beside all of them
        again = _unit(image, np.tensordot(gains**model.gamma, powers, axes=1))
        offset, gains = again.offset, gains * again.scale ** (-1 / model.gamma)
    level = float(gains.mean())
    z = {element: rounded(float(one / level)) for element, one in zip(model.elements, gains, strict=True)}
    return ImageUnits(offset, level**-model.gamma, z=z), gains**model.gamma


def _values(z: str | Mapping[str, float], elements: tuple[str, ...]) -> Array:
    """z of each element of the maps."""
    if not isinstance(z, str):
        return np.array([z[element] for element in elements], dtype=np.float64)
    numbers = np.array([atomic_number(element) for element in elements], dtype=np.float64)
    return numbers / numbers.mean() if z == "relative" else numbers


def _unit(image: Array, model: Array) -> ImageUnits:
    """Offset and scale of an image whose model is known, by least squares."""
    slope, offset = np.polyfit(model.ravel(), image.ravel(), 1) if np.ptp(model) > 0 else (0.0, 0.0)
    if slope <= 0:  # an image that does not follow the maps
        offset, slope = float(image.min()), float(np.ptp(image) or 1.0) / (float(model.mean()) or 1.0)
    return ImageUnits(float(offset), 1.0 / float(slope))


def _near(offset: float, image: Array) -> float:
    """The offset to a ten thousandth of the span of the image: a pedestal may be a thousand times the span."""
    span = float(np.ptp(image))
    return rounded(offset) if span == 0 else round(offset, 4 - math.floor(math.log10(span)))
