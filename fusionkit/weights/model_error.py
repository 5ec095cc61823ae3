r"""The weight and the model of an image, chosen by count splitting because the model may be wrong.

1 / s^2 assumes an exact model of the image. Where the model is wrong (an element without a map, diffraction contrast, a
shift, a wrong exponent), or where the penalty removes detail that the image shows, the squared residual exceeds the
noise by e^2, and the right weight is :math:`1 / (s^2 + e^2)`. Held-out counts determine it, since they do not depend on
the image. The weight 0, which leaves the image out, is always a candidate, and kept where no other lowers the squared
error of the maps by a thousandth; with ``model: auto`` so are both elastic models. Squared errors are divided by the
levels of the maps (`fusionkit.weights.path`): otherwise the element with the most counts would dominate.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import numpy as np

from fusionkit.operators.forward.haadf_models import ElasticModel
from fusionkit.result import Status
from fusionkit.weights.auto import MODEL
from fusionkit.weights.chosen import ChosenWeight, SearchCurve, rounded
from fusionkit.weights.count_splitting import held_out
from fusionkit.weights.path import has_risen, paired_difference, parabola_minimum
from fusionkit.weights.search import Attempt, DivergedError, Task, Trial, drop_solves

_FIRST_SHARE = 6.0**-5  # of the weight of the noise, where a path begins; the image hardly matters there
_FACTOR = 6.0  # from one weight to the next
_LEAST_SHARE = 6.0**-15  # the least share, for an image with almost no noise
_THRESHOLD = 3.0  # standard errors above the lowest at which the path ends: errors vary more than for penalties
_LEAST_GAIN = 1e-3  # of the squared error of the maps
_MOST_RISES = 3  # consecutive weights without improvement also end it


def model_error(task: Task, noise: ChosenWeight) -> ChosenWeight:
    """The weight of a fit to an image, at most ``noise``, that from its noise alone; and its model.

    `UserError` if there are no counts to split, or a solve diverges.
    """
    models = get_args(ElasticModel) if MODEL in task.searched else ("",)
    without = held_out(task, scales=False)[0](0.0, task.near)
    paths = dict[str, list[Trial]]()
    for model in models:
        attempt, _ = held_out(task.with_options({MODEL: model} if model else {}), scales=False)
        paths[model] = _path(without, noise.weight, attempt)
    best_of = {model: min((without, *path), key=lambda trial: trial.error) for model, path in paths.items()}
    model = min(models, key=lambda one: best_of[one].error)
    best, trials = best_of[model], paths[model]
    if _gain(best, without)[0] < _LEAST_GAIN:  # an image that gains nothing is left out
        best = without
    weight = 0.0 if best is without else _weight(paths[model], noise.weight)
    solved, options = [one for path in paths.values() for one in path], {MODEL: model} if model else {}
    curve = SearchCurve(
        tuple(trial.weight for trial in trials),
        tuple(trial.error for trial in trials),
        tuple(paired_difference(trial.errors, best.errors)[1] for trial in trials),
        tuple(trial.iterations for trial in trials),
    )
    beside = sum(trial.iterations for trial in [without, *solved]) - sum(curve.iterations)
    gains = {model or task.term: _gain(trial, without) for model, trial in best_of.items()}
    facts = {
        **noise.facts,
        "of_the_noise": weight / noise.weight,
        "solves": len(solved) + 1,
        "iterations_beside": beside,
        **{f"gain_of_{name}": gain for name, (gain, _) in gains.items()},
        **{f"error_of_gain_of_{name}": error for name, (_, error) in gains.items()},
    }
    of_model = f", with the model {model}" if model and weight else ""
    note = f"The weight of {task.term} is {weight:.4g}{of_model}: {_reason(weight, noise.weight, gains)}."
    chosen = ChosenWeight(
        task.index, task.term, rounded(weight), "count_splitting", note, None, facts, curve if trials else None
    )
    return replace(chosen, options=options, trial=best)


def _path(without: Trial, greatest: float, attempt: Attempt) -> list[Trial]:
    """Trials at increasing weights until the error has risen, or a solve stalls or diverges."""
    share, trials = _FIRST_SHARE, list[Trial]()
    while not trials and share >= _LEAST_SHARE:
        trial = _trial_or_none(share * greatest, without, attempt)
        if trial is not None and not _significantly_above(trial, without):
            trials.append(trial)
        else:
            share /= _FACTOR**2
    while trials and share < 1.0:
        share = min(_FACTOR * share, 1.0)
        trial = _trial_or_none(share * greatest, trials[-1], attempt)
        if trial is None:
            break  # larger weights are of no use
        trials.append(trial)
        drop_solves(trials)
        if has_risen([without, *trials], 2.0, _THRESHOLD, _MOST_RISES):
            break
    return trials


def _trial_or_none(weight: float, former: Trial, attempt: Attempt) -> Trial | None:
    """The trial; None if the solve stalls or diverges, since its maps are meaningless."""
    try:
        trial = attempt(weight, former)
    except DivergedError:
        return None
    return None if any(result.status is Status.STALLED for result in trial.results) else trial


def _significantly_above(trial: Trial, other: Trial) -> bool:
    difference, spread = paired_difference(trial.errors, other.errors)
    return difference > _THRESHOLD * spread


def _weight(trials: list[Trial], greatest: float) -> float:
    """The weight of the lowest error, at most that of the noise."""
    ordered = sorted(trials, key=lambda trial: trial.weight)
    return min(parabola_minimum([t.weight for t in ordered], [t.errors for t in ordered])[0], greatest)


def _gain(trial: Trial, without: Trial) -> tuple[float, float]:
    """By how much of it the image lowers the squared error of the maps, and the standard error."""
    difference, spread = paired_difference(without.errors, trial.errors)
    level = max(without.error - without.noise, spread, np.finfo(np.float64).tiny)
    return float(f"{difference / level:.3g}"), float(f"{spread / level:.2g}")


def _reason(weight: float, noise: float, gains: Mapping[str, tuple[float, float]]) -> str:
    """Why this weight, and what each model gains."""
    if weight == 0.0:
        reason = "held-out counts are predicted best without the image"
    elif weight == noise:
        reason = "that of the noise; a lower one predicts held-out counts no better"
    else:
        reason = f"held-out counts say that image and model differ by {weight**-0.5:.4g} where the noise is "
        reason += f"{noise**-0.5:.4g}"
    listed = ", ".join(f"{name} {100.0 * gain:.2g} ± {100.0 * error:.1g} %" for name, (gain, error) in gains.items())
    return f"{reason} (the image lowers the squared error of the maps by: {listed})"
