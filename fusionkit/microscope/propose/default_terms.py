"""The default terms of a proposed config and of `fusionkit.fuse`.

For counts, each run chooses weights, penalty, elastic model, gain, offset and epsilon from its data, so that a proposed
config suits other files as well. Only if image and maps differ in pixels, the units of the image are fitted beforehand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.noise import noise_level
from fusionkit.microscope.propose.image_units import image_units
from fusionkit.microscope.propose.places import OtherStacks
from fusionkit.microscope.propose.stacks import factors, rounded
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
_OF_A_STACK = ("_background", "_mixing", "_spectrum")  # ends of the names of arrays that belong to a stack
_NONE = OtherStacks()

Terms = list[tuple[dict[str, Any], str]]
Z = str | Mapping[str, float] | None
Weight = float | str | dict[str, str]


@dataclass(frozen=True)
class Proposal:
    """Units and terms."""

    # offset, scale: (value - offset) * scale is the image in units of the model
    offset: float
    scale: float
    terms: Terms  # of the config, each with a remark
    grid: str | None  # ``haadf`` or ``maps`` where their pixels differ
    size: int  # number of unknowns


def default_terms(
    dataset: Dataset, normalised: bool, gamma: float = GAMMA, z: Z = None, others: OtherStacks = _NONE
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
    stacks = [name for name in dataset.arrays if name != "haadf" and not name.endswith(_OF_A_STACK)]
    net = () if normalised else tuple(name for name in stacks if _is_gaussian(dataset, name, pixels))
    splits = not normalised and all(name in net or steps_of(dataset.arrays[name]) is not None for name in stacks)
    noisy = min(image.shape) >= SMALLEST and noise_level(image) > 0.0
    weight = HELD_OUT if splits else AUTO
    if normalised:
        fit = _ImageFit(_image_term(dataset, grid, gamma, "relative" if z is None else z, _NORMALISED[0]))
    elif noisy and grid is None and gamma >= 1.0:
        fit = _calibrated_image(dataset, gamma, z, weight, others if len(stacks) > 1 else None)
    else:
        fit = _converted_image(dataset, grid, gamma, z, weight if noisy else None, others)
    terms: Terms = [(fit.term, _IMAGE if fit.term["weight"] == HELD_OUT else "")]
    weights = _NORMALISED[1:] if normalised else (AUTO, AUTO)
    counted = [name for name in stacks if name not in net]
    terms += [({"type": "gaussian", "sigma": AUTO}, "  # of each map, from its noise") for _ in net]
    terms += [(_poisson_term(dataset, name, pixels, weights[0], normalised, others), "") for name in counted]
    repeats = splits and grid is None and stacks == ["maps"] and len(maps) == len(dataset.elements)
    groups = repeats and min(pixels) >= _PATCH
    terms += _penalties(weights[1], normalised or grid == "maps", groups)
    terms.append(({"type": "nonnegative"}, ""))
    size = len(dataset.elements) * pixels[0] * pixels[1]
    return Proposal(fit.offset, fit.scale, terms, grid, size)


def _is_gaussian(dataset: Dataset, name: str, pixels: tuple[int, ...]) -> bool:
    """Whether a stack holds neither counts nor counts times a factor: fractions, or net maps with negative values."""
    stack, counting = dataset.arrays[name], dataset.counting
    is_counted = counting is not None and not counting.guessed and counting.kind == "counts"
    whole = name == "maps" and stack.shape == (len(dataset.elements), *pixels)
    return whole and not is_counted and f"{name}_background" not in dataset.arrays and steps_of(stack) is None


@dataclass(frozen=True)
class _ImageFit:
    """The term that fits the image, and the offset and scale of `Proposal`."""

    term: dict[str, Any]
    offset: float = 0.0
    scale: float = 1.0


def _calibrated_image(dataset: Dataset, gamma: float, z: Z, weight: Weight, others: OtherStacks | None) -> _ImageFit:
    """The fit to an image whose gain and offset are fitted together with the maps.

    z is known up to the sensitivity of the spectrometer, which the weight accounts for. With a second technique
    (``others``), whose unit is free, z is fitted beforehand.
    """
    if z is None:
        z = "relative" if others is None else image_units(dataset, gamma, None, others).z
    term = {**_image_term(dataset, None, gamma, z, weight), "gain": AUTO, "offset": AUTO}
    return _ImageFit(term | ({"model": AUTO} if weight == HELD_OUT else {}), _pedestal(dataset.arrays["haadf"]))


def _converted_image(
    dataset: Dataset, grid: str | None, gamma: float, z: Z, weight: Weight | None, others: OtherStacks
) -> _ImageFit:
    """The fit to an image whose units, and its weight where that is None, are fitted beforehand."""
    units = image_units(dataset, gamma, z, others)
    z, weight = units.z if z is None else z, units.weight if weight is None else weight
    return _ImageFit(_image_term(dataset, grid, gamma, z, weight), units.offset, units.scale)


def _image_term(
    dataset: Dataset, grid: str | None, gamma: float, z: str | Mapping[str, float], weight: Weight
) -> dict[str, Any]:
    """The fit to the image, averaged over its pixels where these are larger than those of the maps."""
    model = {"gamma": gamma, "z": _complete_z(z, dataset)}
    if grid != "maps":
        return {"type": "haadf", "weight": weight, **model}
    forward = {"type": "scan", "shape": list(dataset.arrays["haadf"].shape), "reduce": "mean"}
    forward |= {"forward": {"type": "power_sum", **model}}
    return {"type": "least_squares", "name": "haadf", "data": "haadf", "weight": weight, "forward": forward}


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
    groups = {"type": "joint_nonlocal", "weight": weight, "guide": "haadf", "guide_share": AUTO, "large_share": AUTO}
    return [
        (groups, "  # similar patches agree; held-out counts choose between this and the next"),
        (neighbours, "  # neighbours agree; chosen where it predicts held-out counts better"),
    ]


def _complete_z(z: str | Mapping[str, float], dataset: Dataset) -> str | dict[str, float]:
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
    if f"{name}_mixing" in dataset.arrays:
        own = {} if whole else {"elements": selection["elements"]}
        whole, selection = False, {"type": "spectral", "mixing": f"{name}_mixing", **own, "background": None}
    if stack.shape[1:] != tuple(pixels) or part is not None:
        covered = {"shape": list(stack.shape[1:]), **({} if part is None else part.pixels(pixels))}
        inner = {} if whole else {"forward": selection}
        return term | {"forward": {"type": "scan", **covered, **inner, **background}}
    return term if whole and not background else term | {"forward": {**selection, **background}}
