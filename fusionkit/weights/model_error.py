r"""The weight and the model of an image, chosen by count splitting because the model may be wrong.

1 / s^2 assumes an exact model of the image. Where the model is wrong (an element without a map, diffraction contrast, a
shift, a wrong exponent), or where the penalty removes detail that the image shows, the squared residual exceeds the
noise by e^2, and the right weight is :math:`1 / (s^2 + e^2)`. Held-out counts determine it, since they do not depend on
the image. The weight 0, which leaves the image out, is always a candidate; with ``model: auto`` so are both elastic
models. Squared errors are divided by the levels of the maps (`fusionkit.weights.path`): otherwise the element with the
most counts would dominate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import numpy as np

from fusionkit.operators.forward.haadf_models import ElasticModel
from fusionkit.weights.auto import MODEL
from fusionkit.weights.chosen import ChosenWeight, SearchCurve, rounded
from fusionkit.weights.count_splitting import held_out
from fusionkit.weights.path import has_risen, paired_difference, parabola_minimum
from fusionkit.weights.search import Attempt, DivergedError, Task, Trial

_SHARES = (1 / 2592, 1 / 432, 1 / 72, 1 / 12, 1 / 3, 1.0)  # of the weight of the noise; the first hardly matters
_CLEARLY = 3.0  # standard errors above the lowest at which the path ends: errors vary more than for a penalty
_RISES = 3  # consecutive weights without improvement also end it


def model_error(task: Task, noise: ChosenWeight) -> ChosenWeight:
    """The weight of a fit to an image, at most that from its noise, and its model.

    Parameters
    ----------
    task : the search, with the index of the fit.
    noise : the weight from the noise alone.

    Raises
    ------
    UserError : there are no counts to split, or a solve diverges.
    """
    models = get_args(ElasticModel) if MODEL in task.searched else ("",)
    without = held_out(task, scales=False)[0](0.0, task.near)
    paths = dict[str, list[Trial]]()
    for model in models:
        attempt, _ = held_out(task.with_options({MODEL: model} if model else {}), scales=False)
        paths[model] = _path(without, noise.weight, attempt)
    model = min(models, key=lambda one: _error(min(paths[one], key=_error)))
    trials, best = paths[model], min((without, *paths[model]), key=_error)
    weight = 0.0 if best is without else _weight(trials, noise.weight)
    solved, options = [one for path in paths.values() for one in path], {MODEL: model} if model else {}
    curve = SearchCurve(
        tuple(trial.weight for trial in trials),
        tuple(trial.error for trial in trials),
        tuple(paired_difference(trial.errors, best.errors)[1] for trial in trials),
        tuple(trial.iterations for trial in trials),
    )
    extra_iterations = sum(trial.iterations for trial in [without, *solved]) - sum(curve.iterations)
    gains = {model or task.term: _gain(min(path, key=_error), without) for model, path in paths.items()}
    facts = {
        **noise.facts,
        "of_the_noise": weight / noise.weight,
        "solves": len(solved) + 1,
        "iterations_beside": extra_iterations,
        **{f"gain_of_{name}": gain for name, (gain, _) in gains.items()},
        **{f"error_of_gain_of_{name}": error for name, (_, error) in gains.items()},
    }
    of_model = f", with the model {model}" if model and weight else ""
    note = f"The weight of {task.term} is {weight:.4g}{of_model}: {_reason(weight, noise.weight, gains)}."
    chosen = ChosenWeight(task.index, task.term, rounded(weight), "count_splitting", note, None, facts, curve)
    return replace(chosen, options=options, trial=best)


def _path(without: Trial, greatest: float, attempt: Attempt) -> list[Trial]:
    """Trials at increasing weights until the error has risen, or a solve diverges."""
    trials = [without]
    for share in _SHARES:
        try:
            trials.append(attempt(share * greatest, trials[-1]))
        except DivergedError:
            if len(trials) == 1:
                raise
            break  # larger weights are of no use
        if has_risen(trials, 2.0, _CLEARLY, _RISES):
            break
    return trials[1:]


def _weight(trials: list[Trial], greatest: float) -> float:
    """The weight of the lowest error, at most that of the noise."""
    ordered = sorted(trials, key=lambda trial: trial.weight)
    return min(parabola_minimum([t.weight for t in ordered], [t.errors for t in ordered])[0], greatest)


def _error(trial: Trial) -> float:
    return trial.error


def _gain(trial: Trial, without: Trial) -> tuple[float, float]:
    """The fraction by which the image lowers the squared error of the maps, and its standard error."""
    difference, spread = paired_difference(without.errors, trial.errors)
    level = max(without.error - without.noise, spread, np.finfo(np.float64).tiny)
    return float(f"{difference / level:.3g}"), float(f"{spread / level:.2g}")


def _reason(weight: float, noise: float, gains: Mapping[str, tuple[float, float]]) -> str:
    """The reason for this weight, and the gain of each model."""
    if weight == 0.0:
        reason = "maps without the image best predict held-out counts"
    elif weight == noise:
        reason = "that of the noise; a lower weight predicts held-out counts no better"
    else:
        reason = f"according to held-out counts, image and model differ by {weight**-0.5:.4g} and the noise is "
        reason += f"{noise**-0.5:.4g}"
    listed = ", ".join(f"{name} {100.0 * gain:.2g} ± {100.0 * error:.1g} %" for name, (gain, error) in gains.items())
    return f"{reason} (the image lowers the squared error of the maps by: {listed})"
