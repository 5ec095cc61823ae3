r"""How far an image is trusted as a guide: for each element, the share that best predicts held-out counts.

With maps g guided by the image and maps n without it, both from half of the counts, and the other half b,

.. math:: \| c g + (1 - c) n - b \|^2 = c\,\|g - b\|^2 + (1 - c)\,\|n - b\|^2 - c (1 - c)\,\|g - n\|^2

is least at :math:`c = \tfrac12 + (\|n - b\|^2 - \|g - b\|^2) / (2 \|g - n\|^2)`, between 0 and 1. It is set to 1
within two standard errors of 1, so that noise does not discard a useful image. Source: L. Breiman, Mach. Learn. 24,
49 (1996), stacked regressions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fusionkit.terms import Array
from fusionkit.weights.auto import GUIDE_SHARE
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.path import map_levels
from fusionkit.weights.search import Attempt, Task, Trial

_THRESHOLD = 2.0  # standard errors below 1 from which the share is used


def with_guide_shares(task: Task, chosen: ChosenWeight, attempt: Callable[[Task], Attempt]) -> ChosenWeight:
    """Add the share of the image: one for each element, or one for all where the data are not one map per element.

    Parameters
    ----------
    task : the search.
    chosen : the choice with the image, at the natural weight.
    attempt : solves and validates a task.
    """
    guided, weight = chosen.trial, chosen.weight
    assert guided is not None
    without = attempt(task.with_options({GUIDE_SHARE: 0.0}))(weight, guided)
    problem = task.problem(weight)
    terms = task.validation_terms(problem)
    each = len(terms) == 1 and terms[0].data.shape == problem.shape
    names = task.dataset.elements if each else ("all",)
    distances = [(one.expected(guided.results[0].x) - one.expected(without.results[0].x)) ** 2 for one in terms]
    distance = np.concatenate([np.ravel(one / map_levels(term)) for one, term in zip(distances, terms, strict=True)])
    split = [array.reshape(len(names), -1) for array in (guided.errors, without.errors, distance)]
    shares = {name: guide_share(*arrays) for name, *arrays in zip(names, *split, strict=True)}
    option = shares if each else shares["all"]
    trial = _at_shares(task, shares, option, (guided, without), attempt)
    mixed = trial is not guided and trial is not without
    extra_iterations = without.iterations + (trial.iterations if mixed else 0)
    facts = {**chosen.facts, "solves": 2 + mixed, "iterations_beside": chosen.iterations + extra_iterations}
    listed = ", ".join(f"{name} {share:g}" for name, share in shares.items())
    note = f"{chosen.note[:-1]}. Share of the image in its groups, by held-out counts: {listed}."
    return replace(chosen, note=note, facts=facts, options={GUIDE_SHARE: option}, trial=trial)


def _at_shares(
    task: Task,
    shares: dict[str, float],
    option: dict[str, float] | float,
    ends: tuple[Trial, Trial],
    attempt: Callable[[Task], Attempt],
) -> Trial:
    """The trial at these shares; those at 0 and 1 exist already."""
    guided, without = ends
    if set(shares.values()) <= {1.0}:
        return guided
    if set(shares.values()) <= {0.0}:
        return without
    return attempt(task.with_options({GUIDE_SHARE: option}))(guided.weight, guided)


def guide_share(guided: Array, without: Array, distances: Array) -> float:
    """The share c of one element, two digits.

    Parameters
    ----------
    guided, without : squared held-out errors at each pixel, with the image and without it.
    distances : squared differences of the two maps.
    """
    distance = float(distances.sum(dtype=np.float64))
    if not distance > 0.0:
        return 1.0
    gain = np.asarray(without - guided, np.float64)
    share, error = 0.5 + gain.sum() / (2.0 * distance), gain.std() * gain.size**0.5 / (2.0 * distance)
    return 1.0 if share + _THRESHOLD * error >= 1.0 else float(f"{max(share, 0.0):.2g}")
