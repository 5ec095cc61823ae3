r"""The weight at which maps best predict left-out pixels.

A random share of the pixels of each map is replaced by the mean of its remaining neighbours. Any x computed from
these data is independent of the noise in the left-out pixels J, so that for independent noise

.. math:: E \sum_{k \in J} (x_k - b_k)^2 = E \sum_{k \in J} (x_k - \mu_k)^2 + \mathrm{const}.

This assumes only that the noise of different pixels is independent. Source: J. Batson, L. Royer, ICML 2019
(J-invariance).
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve

from fusionkit.data.counts.scale import shares_noise
from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.path import Wording, map_levels, minimise_along_path
from fusionkit.weights.search import Task, Trial

SHARE = 0.2  # of the pixels in a fold
_FOLDS = 2  # one fold alone missed the best weight by 10 % on `films` at 5 counts
_SEED = 0
_SHARED = "But the noise of neighbouring pixels is correlated, as after smoothing, so the weight is too low."
_NEAR = np.array([[0.5, 1.0, 0.5], [1.0, 0.0, 1.0], [0.5, 1.0, 0.5]])
_WORDING = Wording("masked_pixels", "maps best predict left-out pixels", "squared error of masked pixels")


def masked_pixels(task: Task) -> ChosenWeight:
    """The weight of a penalty by cross-validation with masked pixels, in two folds."""
    random = np.random.default_rng(_SEED)
    validation = task.validation_terms(task.problem(1.0))
    data = {one.target: np.asarray(task.dataset.arrays[one.target], np.float64) for one in validation}
    parts = {name: np.where(np.isnan(array), 1.0, random.random(array.shape)) for name, array in data.items()}
    masks = [{name: (k * SHARE <= u) & (u < (k + 1) * SHARE) for name, u in parts.items()} for k in range(_FOLDS)]
    training = [{name: fill_masked(array, mask[name]) for name, array in data.items()} for mask in masks]

    starts = [task.start(seen) for seen in training]

    def attempt(weight: float, former: Trial | None) -> Trial:
        errors, results = [], []
        ratio = weight / former.weight if former is not None else 1.0
        for seen, mask, start in zip(training, masks, former.results if former else starts, strict=True):
            problem = task.problem(weight, seen)
            result = task.solve(problem, weight, start, ratio)
            for one in task.validation_terms(problem):
                name = one.target
                errors.append(((one.expected(result.x) - data[name]) ** 2 / map_levels(one))[mask[name]])
            results.append(result)
        return Trial(weight, np.concatenate(errors), tuple(results), sum(result.iterations for result in results))

    chosen, _ = minimise_along_path(task, attempt, task.scale(starts[0]), _WORDING)
    if any(shares_noise(part) for array in data.values() for part in array.reshape(-1, *array.shape[-2:])):
        return replace(chosen, note=f"{chosen.note} {_SHARED}")
    return chosen


def fill_masked(data: Array, mask: npt.NDArray[np.bool_]) -> Array:
    """The data with each pixel of ``mask`` replaced by the weighted mean of its other neighbours, or of all pixels.

    NaN, where nothing was measured, stays.
    """
    kernel = _NEAR.reshape((1,) * (data.ndim - 2) + _NEAR.shape)
    out = mask | np.isnan(data)
    kept = np.where(out, 0.0, 1.0)
    weights = convolve(kept, kernel, mode="constant")
    sums = convolve(np.where(out, 0.0, data), kernel, mode="constant")
    rest = float(data[~out].mean()) if not out.all() else 0.0
    return np.where(mask, np.where(weights > 0.0, sums / np.maximum(weights, 0.5), rest), data)
