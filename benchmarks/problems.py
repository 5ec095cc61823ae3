"""The problems: the DyScO3 recording, if present, and phantoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import composed
from fusionkit.compose_problem import make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.loop import solve
from fusionkit.reconstruct import prepare, starting_point
from fusionkit.terms import Array

RECORDING = Path(__file__).parents[1].parent / "shared" / "data" / "dysco3.npz"
_DYSCO3_BEST = 26436.16  # double precision, several step sizes and starting points
_DYSCO3_TERMS = (
    {"type": "haadf", "weight": 1.0, "gamma": 1.6, "z": "relative"},
    {"type": "poisson", "weight": 0.24, "epsilon": 0.1},
    {"type": "tv", "weight": 0.1},
    {"type": "nonnegative"},
)
_LARGEST_PHANTOM = 1024  # repeated for larger images


@dataclass(frozen=True, eq=False)
class Case:
    """A problem before an engine is chosen.

    Parameters
    ----------
    dataset : image and maps.
    terms : as in a YAML file.
    best : F*, if known.
    """

    dataset: Dataset
    terms: tuple[Mapping[str, Any], ...]
    best: float | None = None


@dataclass(frozen=True)
class Scale:
    """The scale of an objective: gap = (F - F*) / (F0 - F*), with F0 at x = b."""

    best: float
    at_maps: float

    def gap(self, objective: float) -> float:
        """1 at x = b, 0 at the optimum."""
        return (objective - self.best) / (self.at_maps - self.best)


def _dysco3(size: int) -> Case:
    if not RECORDING.exists():
        pytest.skip(f"the DyScO3 recording ({RECORDING.name}) is missing")
    return Case(prepare("dysco3", (f"data.path={RECORDING}",)).dataset, _DYSCO3_TERMS, _DYSCO3_BEST)


def _fractions(size: int) -> Case:
    """The nanoparticle with image and maps between 0 and 1, as in the published method."""
    small = min(size, _LARGEST_PHANTOM)
    dataset = prepare("cos_nanoparticle", (f"data.phantom.size={small}", "data.normalize=minmax")).dataset
    times = -(-size // small)
    arrays = {
        name: np.tile(array.astype(np.float32), (1,) * (array.ndim - 2) + (times, times))[..., :size, :size]
        for name, array in dataset.arrays.items()
    }
    return Case(Dataset(arrays, dataset.elements), _DYSCO3_TERMS)


def _counts(preset: str, size: int, field_of_view: float) -> Case:
    """A phantom in counts, with weights that match its noise."""
    phantom = f"{{preset: {preset}, size: {size}, field_of_view: {field_of_view}, seed: 0}}"
    dataset = prepare("cos_nanoparticle", (f"data.phantom={phantom}",)).dataset
    terms = (
        {"type": "haadf", "weight": (dataset.haadf_sigma or 1.0) ** -2, "gamma": 1.7, "z": "relative"},
        {"type": "poisson", "weight": 1.0, "epsilon": 0.1},
        {"type": "tv", "weight": 0.3},
        {"type": "nonnegative"},
    )
    return Case(dataset, terms)


CASES = {
    "dysco3": _dysco3,
    "nanoparticle_fractions": _fractions,
    "nanoparticle_counts": lambda size: _counts("cos_nanoparticle", size, 50.0),
    "lattice_counts": lambda size: _counts("lattice", size, size / 64),
}


@cache
def case(name: str, size: int) -> Case:
    """The case of that name; the recording always has 256 x 256 pixels."""
    return CASES[name](size)


def raw(chosen: Case) -> tuple[Array, dict[str, Array]]:
    """Copies of image and maps by element in float32, as a user has them."""
    maps = zip(chosen.dataset.elements, chosen.dataset.arrays["maps"], strict=True)
    return chosen.dataset.arrays["haadf"].astype(np.float32), {name: one.astype(np.float32) for name, one in maps}


@cache
def scale(name: str, size: int) -> Scale:
    """F*, known or from a long run in double precision, and F at x = b; computed once per session."""
    chosen = case(name, size)
    problem = composed(chosen.dataset, chosen.terms, precision="double")
    at_maps = problem.value(chosen.dataset.arrays["maps"].astype(np.float64))
    if chosen.best is not None:
        return Scale(chosen.best, at_maps)
    long = make_solver("chambolle_pock", tolerance=1e-6, max_iterations=20000, check_every=100, time_limit=30.0)
    return Scale(solve(problem, long, starting_point("auto", problem, chosen.dataset)).objective, at_maps)
