"""A solve with a penalty, with its weight chosen from the data or with the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.metrics import errors
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.data.noise import noise_level
from fusionkit.loop import solve
from fusionkit.reconstruct import prepare, starting_point
from fusionkit.terms import Array

# name of a penalty in tables, and its term in a config
PENALTIES: Mapping[str, Mapping[str, Any]] = {
    "tv": {"type": "tv"},
    "vectorial_tv": {"type": "vectorial_tv"},
    "tgv": {"type": "tgv"},
    "tgv, joint": {"type": "tgv", "coupling": "joint"},
    "directional_tv, not coupled": {"type": "directional_tv", "coupling": "none"},
    "directional_tv": {"type": "directional_tv"},
    "structure_tensor_tv": {"type": "structure_tensor_tv"},
}
GAMMA, TOLERANCE, ITERATIONS = 1.7, 1e-3, 1000
_STEP = 2.0**0.5  # ratio of neighbouring weights in `best`
_WIDTHS = np.geomspace(0.4, 12.0, 40)  # of the Gaussian filter, pixels


@dataclass(frozen=True)
class Fused:
    """Maps, and the weight of the penalty."""

    x: Array
    weight: float


def gaussian(dataset: Dataset) -> Array:
    """Each map smoothed by the Gaussian with the least error."""
    assert dataset.truth is not None
    found = []
    for counts, true in zip(dataset.arrays["maps"], dataset.truth, strict=True):
        tried = [gaussian_filter(counts, width) for width in _WIDTHS]
        found.append(min(tried, key=lambda one: errors(one[None], true[None])[0]))
    return np.stack(found)


def automatic(dataset: Dataset, penalty: Mapping[str, Any], image: bool = True, weight: float | None = None) -> Fused:
    """The maps with every weight chosen from the data.

    Parameters
    ----------
    dataset : counts and image.
    penalty : as a config has it, without its weight.
    image : whether the image is fitted.
    weight : of the penalty; None: chosen from the data.
    """
    terms = [*_fits(image), {**penalty, "weight": weight or "auto"}, {"type": "nonnegative"}]
    options = (
        f"terms={json.dumps(terms)}",
        f"solver.tolerance={TOLERANCE:g}",
        f"solver.max_iterations={ITERATIONS}",
    )
    job = prepare("cos_auto", (*options, "threads=1"), read=lambda *_: dataset)
    return Fused(job.solve().x, weight or {one.index: one.weight for one in job.weights}[len(_fits(image))])


def best(dataset: Dataset, penalty: Mapping[str, Any], first: float) -> Fused:
    """The maps with the weight of least mean error, searched up and down from ``first``."""
    assert dataset.truth is not None
    truth, sigma = dataset.truth, noise_level(dataset.arrays["haadf"])
    fits = [{"type": "haadf", "gamma": GAMMA, "weight": sigma**-2}, {"type": "poisson"}]
    tried: dict[int, tuple[float, Array]] = {}

    def attempt(step: int, start: Array | None) -> None:
        terms = [*fits, {**penalty, "weight": first * _STEP**step}, {"type": "nonnegative"}]
        problem = compose(dataset, terms)
        x = solve(problem, _solver(), starting_point("auto", problem, dataset) if start is None else start).x
        tried[step] = float(np.mean(errors(x, truth))), x

    attempt(0, None)
    for sign in (1, -1):
        at = 0
        while at == min(tried, key=lambda step: tried[step][0]):  # the last one is the best so far
            attempt(at + sign, tried[at][1])
            at += sign
    step = min(tried, key=lambda one: tried[one][0])
    return Fused(tried[step][1], first * _STEP**step)


def _fits(image: bool) -> list[dict[str, Any]]:
    haadf = {"type": "haadf", "weight": "auto", "gamma": GAMMA}
    return [*([haadf] if image else []), {"type": "poisson", "weight": "auto"}]


def _solver() -> Any:
    return make_solver("chambolle_pock", tolerance=TOLERANCE, max_iterations=ITERATIONS)
