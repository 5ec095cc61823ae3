"""The default terms of a proposed config and of `fusionkit.fuse`.

For counts, each run chooses weights, penalty, elastic model, gain, offset and epsilon from its data, so that a proposed
config suits other files as well. Only if image and maps differ in pixels, the units of the image come from a fit here:
(image - offset) * scale to sum_i (Z_i x_i)^gamma of the smoothed maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.noise import busiest, noise_level
from fusionkit.microscope.propose.places import OtherStacks
from fusionkit.microscope.propose.stacks import averaged, factors, of_every_element, rounded, smooth
from fusionkit.weights.auto import AUTO
from fusionkit.weights.count_splitting import steps_of
from fusionkit.weights.fidelity_weights import SMALLEST

GAMMA = 1.7
HELD_OUT = {AUTO: "count_splitting"}
# weights of image, maps and TV for values between 0 and 1, as for DyScO3
_NORMALISED: tuple[float, float, float] = (1.0, 0.24, 0.1)

PENALTIES = ("tv", "tgv", "joint_nonlocal")  # of the default terms
_LARGE_OFFSET = 30.0  # in ranges of the image
_PATCH = 16  # pixels along the shorter axis from which patches are compared
_IMAGE = "  # at most 1 / s²; model and weight best predict held-out counts"
_NONE = OtherStacks()

Terms = list[tuple[dict[str, Any], str]]


@dataclass(frozen=True)
class Proposal:
    """Units, terms and solver.

    Parameters
    ----------
    offset, scale : (value - offset) * scale is the image in units of the model.
    terms : of the config, each with a remark.
    grid : ``haadf`` or ``maps`` where their pixels differ.
    solver : a solver for these terms.
    size : number of unknowns.
    """

    offset: float
    scale: float
    terms: Terms
    grid: str | None
    solver: str
    size: int


def default_terms(
    dataset: Dataset,
    normalised: bool,
    gamma: float = GAMMA,
    z: str | Mapping[str, float] | None = None,
    others: OtherStacks = _NONE,
) -> Proposal:
    """Units and weights for a data set whose image is in its own units.

    Parameters
    ----------
    dataset : ``haadf``, ``maps``, and optionally ``maps_background`` and another stack.
    normalised : whether image and maps were normalised to [0, 1] and are not counts.
    gamma : exponent of the model.
    z : ``relative``, ``absolute`` or a value for each element of the maps; None for ``relative``, or fitted values
        where the units of the image are fitted beforehand.
    others : facts about other stacks.
    """
    image, maps = dataset.arrays["haadf"], dataset.arrays["maps"]
    grid = None if image.shape == maps.shape[1:] else "haadf" if image.size > maps[0].size else "maps"
    pixels = maps.shape[1:] if grid == "maps" else image.shape
    stacks = [name for name in dataset.arrays if name != "haadf" and not name.endswith("_background")]
    net = () if normalised else tuple(name for name in stacks if _is_gaussian(dataset, name, pixels))
    splits = not normalised and all(name in net or steps_of(dataset.arrays[name]) is not None for name in stacks)
    fit = _image_term(dataset, grid, (gamma, z), stacks, normalised, splits, others)
    units = fit.units
    terms: Terms = [(fit.term, _IMAGE if fit.term["weight"] == HELD_OUT else "")]
    weights = _NORMALISED[1:] if normalised else (AUTO, AUTO)
    counted = [name for name in stacks if name not in net]
    terms += [({"type": "gaussian", "sigma": AUTO}, "  # of each map, from its noise") for _ in net]
    terms += [(_poisson_term(dataset, name, pixels, weights[0], normalised, others), "") for name in counted]
    repeats = splits and grid is None and stacks == ["maps"] and len(maps) == len(dataset.elements)
    solver = "proximal_gradient" if grid == "maps" else "chambolle_pock"
    terms += _penalties(weights[1], normalised or grid == "maps", repeats and min(pixels) >= _PATCH)
    terms.append(({"type": "nonnegative"}, ""))
    size = len(dataset.elements) * pixels[0] * pixels[1]
    return Proposal(units.offset, units.scale, terms, grid, solver, size)


def _is_gaussian(dataset: Dataset, name: str, pixels: tuple[int, ...]) -> bool:
    """Whether a stack holds neither counts nor counts times a factor: fractions, or net maps with negative values."""
    stack, counting = dataset.arrays[name], dataset.counting
    is_counted = counting is not None and not counting.guessed and counting.kind == "counts"
    whole = name == "maps" and stack.shape == (len(dataset.elements), *pixels)
    return whole and not is_counted and f"{name}_background" not in dataset.arrays and steps_of(stack) is None


@dataclass(frozen=True)
class _ImageTerm:
    """The fit to the image, and the units that it needs."""

    term: dict[str, Any]
    units: ImageUnits


def _image_term(
    dataset: Dataset,
    grid: str | None,
    gamma_and_z: tuple[float, str | Mapping[str, float] | None],
    stacks: Sequence[str],
    normalised: bool,
    splits: bool,
    others: OtherStacks,
) -> _ImageTerm:
    """The fit to the image; its parameters are fitted together with the maps where the solver can.

    z is known up to the sensitivity of the spectrometer, which the weight accounts for. With a second technique, whose
    unit is free, z is fitted beforehand.
    """
    image, (gamma, z) = dataset.arrays["haadf"], gamma_and_z
    noisy = min(image.shape) >= SMALLEST and noise_level(image) > 0.0
    fitted = not normalised and noisy and grid is None and gamma >= 1.0  # gain and offset, together with the maps
    units = ImageUnits(weight=_NORMALISED[0]) if normalised else ImageUnits()
    if not normalised and (not fitted or len(stacks) > 1):
        units = image_units(dataset, gamma, z, others)
    if z is not None:
        units = replace(units, z=z if isinstance(z, str) else dict(z))
    weight = units.weight if normalised or not noisy else HELD_OUT if splits else AUTO
    model: dict[str, Any] = {"gamma": gamma, "z": _complete_z(units.z, dataset)}
    if grid == "maps":
        forward = {"type": "scan", "shape": list(image.shape), "reduce": "mean"}
        forward |= {"forward": {"type": "power_sum", **model}}
        fit = {"type": "least_squares", "name": "haadf", "data": "haadf", "weight": weight, "forward": forward}
        return _ImageTerm(fit, units)
    fit = {"type": "haadf", "weight": weight, **model}
    if not fitted:
        return _ImageTerm(fit, units)
    fit |= {"gain": AUTO, "offset": AUTO} | ({"model": AUTO} if splits else {})
    return _ImageTerm(fit, replace(units, offset=_pedestal(image), scale=1.0))


def _pedestal(image: Array) -> float:
    """A value to subtract where the image is a small range on a large offset, which float32 would not resolve."""
    least = float(image.min())
    return least if abs(least) > _LARGE_OFFSET * float(np.ptp(image)) else 0.0


def _penalties(weight: float | str, plain: bool, repeats: bool) -> Terms:
    """The penalties; if there are several, held-out counts select the best.

    Parameters
    ----------
    weight : of each.
    plain : whether to use total variation alone.
    repeats : whether every element has a map on the pixels of the unknown, in which patches may repeat.
    """
    if plain:
        return [({"type": "tv", "weight": weight}, "")]
    neighbours = {"type": "tgv", "weight": weight, "ratio": 1.2, "coupling": "joint"}
    if not repeats:
        return [(neighbours, "")]
    groups = {"type": "joint_nonlocal", "weight": weight, "guide": "haadf", "guide_share": AUTO}
    return [
        (groups, "  # similar patches agree; or, if"),
        (neighbours, "  # it predicts held-out counts better, neighbours do"),
    ]


def _complete_z(z: str | dict[str, float], dataset: Dataset) -> str | dict[str, float]:
    """z of every element; a missing one is derived from the atomic numbers."""
    if isinstance(z, str):
        return z
    ratio = float(np.median([value / atomic_number(element) for element, value in z.items()]))
    return {e: z[e] if e in z else rounded(ratio * atomic_number(e)) for e in dataset.elements}


def _poisson_term(
    dataset: Dataset, name: str, pixels: tuple[int, ...], weight: float | str, normalised: bool, others: OtherStacks
) -> dict[str, Any]:
    """The Poisson term of a stack, with the forward model that its pixels, elements and background need."""
    stack = dataset.arrays[name]
    term: dict[str, Any] = {"type": "poisson", "weight": weight, "epsilon": 0.1 if normalised else AUTO}
    if name != "maps":
        term |= {"name": name, "data": name}
    background = {"background": f"{name}_background"} if f"{name}_background" in dataset.arrays else {}
    ratios, part = factors(dataset, name, others), others.parts.get(name)
    whole = name == "maps" and len(ratios) == len(dataset.elements)
    selection = {"type": "elements", "elements": list(ratios) if name == "maps" else ratios}
    if stack.shape[1:] != tuple(pixels) or part is not None:
        covered = {"shape": list(stack.shape[1:]), **({} if part is None else part.pixels(pixels))}
        inner = {} if whole else {"forward": selection}
        return term | {"forward": {"type": "scan", **covered, **inner, **background}}
    return term if whole and not background else term | {"forward": {**selection, **background}}


# pixels, of the Gaussians tried; the best is 0.5 for atomic columns at 20 counts, 2 for films
_WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)
_BLUR = 1.5  # pixels, of the Gaussian that smooths both image and powers


@dataclass(frozen=True)
class ImageUnits:
    """Units of the image, its weight, and z of each element.

    Parameters
    ----------
    offset, scale : (value - offset) * scale is the image in units of the model.
    weight : 1 over the variance of the residual.
    z : a value for each element, or ``relative``.
    """

    offset: float = 0.0
    scale: float = 1.0
    weight: float = 1.0
    z: str | dict[str, float] = "relative"


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
