"""Units and weights of a problem from its data: first guesses that a run can start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.microscope.propose.image_units import ImageUnits, image_units
from fusionkit.microscope.propose.places import Further
from fusionkit.microscope.spectra.of_stacks import factors, level, rounded
from fusionkit.terms import Array

GAMMA = 1.7
_TV = 1.0  # of counts: a single count alone among pixels without any is no structure; of many, see `_total_variation`
_NORMALISED = (1.0, 0.24, 0.1)  # weights of image, maps and TV where all are between 0 and 1, as for DyScO3

_NONE = Further()

Terms = list[tuple[dict[str, Any], str]]


@dataclass(frozen=True)
class Balance:
    """Units, terms and solver.

    Parameters
    ----------
    offset, scale : what puts the image into the units of the model: (value - offset) * scale.
    terms : of the config, each with a remark.
    grid : ``haadf`` or ``maps`` where their pixels differ.
    solver : one that takes these terms.
    size : number of unknowns.
    """

    offset: float
    scale: float
    terms: Terms
    grid: str | None
    solver: str
    size: int


def balance(
    dataset: Dataset,
    normalised: bool,
    gamma: float = GAMMA,
    z: str | Mapping[str, float] | None = None,
    further: Further = _NONE,
) -> Balance:
    """Units and weights for a data set whose image is in its own units.

    Parameters
    ----------
    dataset : ``haadf``, ``maps`` and where there are any ``maps_background`` and another stack.
    normalised : whether image and maps are between 0 and 1 each, and no counts.
    gamma : exponent of the model.
    z : ``relative``, ``absolute`` or a value for each element of the maps; None to fit them.
    further : what is known of stacks beside ``maps``.
    """
    image, maps = dataset.arrays["haadf"], dataset.arrays["maps"]
    grid = None if image.shape == maps.shape[1:] else "haadf" if image.size > maps[0].size else "maps"
    pixels = maps.shape[1:] if grid == "maps" else image.shape
    units = ImageUnits(weight=_NORMALISED[0]) if normalised else image_units(dataset, gamma, z, further)
    if z is not None:
        units = replace(units, z=z if isinstance(z, str) else dict(z))
    poisson, tv = (1.0, _total_variation(dataset)) if not normalised else _NORMALISED[1:]
    model: dict[str, Any] = {"gamma": gamma, "z": _every(units.z, dataset)}
    fit: dict[str, Any] = {"type": "haadf", "weight": units.weight, **model}
    if grid == "maps":
        inner = {"type": "power_sum", **model}
        forward = {"type": "scan", "shape": list(image.shape), "reduce": "mean", "forward": inner}
        fit = {"type": "least_squares", "name": "haadf", "data": "haadf", "weight": units.weight, "forward": forward}
    terms: Terms = [(fit, "" if normalised else "  # 1 / variance of what the smoothed maps leave; z is fitted")]
    stacks = [name for name in dataset.arrays if name != "haadf" and not name.endswith("_background")]
    for name in stacks:
        terms.append((_poisson(dataset, name, pixels, poisson, further), "" if normalised else "  # 1 for counts"))
    searched = "" if normalised else "  # a guess; weight: auto searches it by held-out counts"
    terms += [({"type": "tv", "weight": tv}, searched), ({"type": "nonnegative"}, "")]
    solver = "proximal_gradient" if grid == "maps" else "chambolle_pock"
    size = len(dataset.elements) * pixels[0] * pixels[1]
    return Balance(units.offset, units.scale, terms, grid, solver, size)


def _every(z: str | dict[str, float], dataset: Dataset) -> str | dict[str, float]:
    """z of every element; of one whose z nobody gave, by its atomic number beside the others'."""
    if isinstance(z, str):
        return z
    ratio = float(np.median([value / atomic_number(element) for element, value in z.items()]))
    return {e: z[e] if e in z else rounded(ratio * atomic_number(e)) for e in dataset.elements}


def _poisson(dataset: Dataset, name: str, pixels: tuple[int, ...], weight: float, further: Further) -> dict[str, Any]:
    """The Poisson term of a stack, with the forward model that its pixels, elements and background need."""
    stack = dataset.arrays[name]
    term: dict[str, Any] = {"type": "poisson", "weight": weight, "epsilon": _epsilon(stack)}
    if name != "maps":
        term |= {"name": name, "data": name}
    background = {"background": f"{name}_background"} if f"{name}_background" in dataset.arrays else {}
    ratios, part = factors(dataset, name, further), further.parts.get(name)
    whole = name == "maps" and len(ratios) == len(dataset.elements)
    chosen = {"type": "elements", "elements": list(ratios) if name == "maps" else ratios}
    if stack.shape[1:] != tuple(pixels) or part is not None:
        covered = {"shape": list(stack.shape[1:]), **({} if part is None else part.pixels(pixels))}
        inner = {} if whole else {"forward": chosen}
        return term | {"forward": {"type": "scan", **covered, **inner, **background}}
    return term if whole and not background else term | {"forward": {**chosen, **background}}


def _total_variation(dataset: Dataset) -> float:
    """The weight among counts c: the slope of their log-likelihood scatters by 1 / sqrt(c), background included."""
    return float(f"{_TV / level(dataset, 'maps') ** 0.5:.2g}")


def _epsilon(stack: Array) -> float:
    """A twentieth of the mean of the emptiest map, at most 0.1: a background that leaves its counts to that map."""
    means = stack.mean(axis=(1, 2))
    return rounded(float(np.clip(0.05 * means[means > 0].min(initial=2.0), 1e-4, 0.1)))
