r"""The weight of an image whose model may be wrong, found by count splitting from that of its noise downwards.

1 / s^2 assumes an exact model of the image. Where the model is wrong (an element without a map, diffraction contrast, a
shift, a wrong exponent), or where the penalty removes detail that the image shows, it deviates by e^2 beyond the noise,
and the right weight is :math:`1 / (s^2 + e^2)`. Held-out counts determine it, since they do not depend on the image. On
eight specimens at 5, 20 and 100 counts the error of the maps falls by up to a third where the model holds, and by up to
three quarters where it does not; fused maps are then hardly worse than without the image.
"""

from __future__ import annotations

from fusionkit.weights.chosen import ChosenWeight, SearchCurve, rounded
from fusionkit.weights.count_splitting import held_out
from fusionkit.weights.path import has_risen, paired_difference, parabola_minimum
from fusionkit.weights.search import Attempt, Task, Trial

_FACTORS = (3.0, 4.0, 6.0, 6.0, 6.0)  # between weights; at the last one the image has hardly any influence

_CLEARLY = 3.0  # standard errors above the lowest at which the path ends: errors vary more than along a penalty's


def model_error(task: Task, noise: ChosenWeight) -> ChosenWeight:
    """The weight of a fit to an image, at most that of its noise.

    Parameters
    ----------
    task : the search, with the index of the fit.
    noise : the weight from the noise alone.

    Raises
    ------
    UserError : there are no counts to split, or a solve diverges.
    """
    attempt, _ = held_out(task, of_penalty=False)
    trials = _path(attempt(noise.weight, task.near), attempt)
    best = min(trials, key=lambda trial: trial.error)
    ordered = sorted(trials, key=lambda trial: trial.weight)
    weight = min(parabola_minimum([t.weight for t in ordered], [t.errors for t in ordered])[0], noise.weight)
    if best is trials[0]:
        message = "that of the noise; a lower one predicts held-out counts no better"
    else:
        message = f"held-out counts say that image and model differ by {weight**-0.5:.4g} where the noise is "
        message += f"{noise.weight**-0.5:.4g}"
    curve = SearchCurve(
        tuple(trial.weight for trial in trials),
        tuple(trial.error for trial in trials),
        tuple(paired_difference(trial.errors, best.errors)[1] for trial in trials),
        tuple(trial.iterations for trial in trials),
    )
    facts = {**noise.facts, "of_the_noise": weight / noise.weight, "solves": len(trials)}
    note = f"The weight of {task.term} is {weight:.4g}: {message}."
    return ChosenWeight(task.index, task.term, rounded(weight), "count_splitting", note, None, facts, curve, trial=best)


def _path(first: Trial, attempt: Attempt) -> list[Trial]:
    """Trials at weaker and weaker weights until the error has risen."""
    trials = [first]
    for factor in _FACTORS:
        trials.append(attempt(trials[-1].weight / factor, trials[-1]))
        if has_risen(trials, 1.0 / factor, _CLEARLY):
            break
    return trials
