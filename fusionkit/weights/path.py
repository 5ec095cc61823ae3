r"""The lowest error along a path of weights, each solve started from the one before.

The path's scale is :math:`\lambda_0 = N / (k\, g(x_0))`, with N unknowns, a penalty g that is homogeneous of
degree k and the smoothed maps x_0: where :math:`e^{-\lambda g}` as a density of x makes x_0 most likely. All counts of
`cos_nanoparticle`, `films` and `lattice` at a dose of 5 to 100 want 1.3 to 11 times less of TV, and the path starts
between; of a squared penalty they want a third to twice as much, and the path starts there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp

from fusionkit.weights.choice import paired, vertex
from fusionkit.weights.chosen import ChosenWeight, Curve, rounded
from fusionkit.weights.search import Task
from fusionkit.weights.trial import Attempt, Trial

BELOW = 4.0  # times lower than the scale is the first weight of a penalty of degree 1
FACTOR = 2.0  # from one weight to the next; the parabola finds what is between
MOST = 14  # weights
_CLEARLY = 1.0  # standard errors above the lowest at which the path ends
_RISES = 2  # ends it as well: so many weights in a row that are no better
_FAR = 8.0  # times: as far from the best for all as a weight for one map is sought
_LEFT = 3.0  # weights from the first to the lowest error, at most


@dataclass(frozen=True)
class Said:
    """How a way of choosing is told.

    Parameters
    ----------
    method : its name.
    why : end of the sentence on the choice.
    quantity : what the errors are.
    """

    method: str
    why: str
    quantity: str


def lowest(
    task: Task, attempt: Attempt, scale: tuple[float, float], said: Said, share: float = 1.0
) -> tuple[ChosenWeight, list[Trial]]:
    r"""The weight with the lowest error, and the trials, ascending.

    Parameters
    ----------
    task : the search.
    attempt : solves at a weight and finds the errors.
    scale : a strong weight, and the degree of the penalty.
    said : how it is told.
    share : of the counts that a solve uses. For a penalty of degree 1 the best weight goes with the noise in the
        gradient of the likelihood, as the square root of the dose; one of degree 2 is a Gaussian prior, which has a
        weight of its own: the choice is divided by :math:`p^{(2 - k)/2}`. Measured with TV on phantoms, the best
        weight of half of the counts is 0.67 to 0.85 times that of all.
    """
    degree = scale[1]
    full = share ** (-(2.0 - degree) / 2.0)
    near = task.near
    first = attempt(near.weight if near is not None else first_weight(*scale), near or task.rival)
    trials = _path(attempt, first, task.rival, maps=len(task.dataset.elements) if task.each else 1)
    best = min(trials, key=lambda trial: trial.error)
    ordered = sorted(trials, key=lambda trial: trial.weight)
    choice, error = vertex([trial.weight for trial in ordered], [trial.errors for trial in ordered])
    curve = Curve(
        tuple(rounded(full * trial.weight) for trial in trials),
        tuple(trial.error for trial in trials),
        tuple(paired(trial.errors, best.errors)[1] for trial in trials),
        tuple(trial.iterations for trial in trials),
        said.quantity,
    )
    weight = rounded(full * choice)
    if error is None:
        limits, range_said = None, "the end of the path: the data do not tell it well"
    else:
        limits = (rounded(weight * exp(-2.0 * error)), rounded(weight * exp(2.0 * error)))
        range_said = f"{limits[0]:.2g} to {limits[1]:.2g}"
    note = f"The weight of {task.term} is {weight:.4g} ({range_said}): {said.why}."
    facts = {"share": share, "correction": full, "degree": degree, "solves": len(trials)}
    found = ChosenWeight(task.index, task.term, weight, said.method, note, limits, facts, curve, trial=best)
    return found, ordered


def first_weight(strong: float, degree: float) -> float:
    """Where a path begins.

    Parameters
    ----------
    strong, degree : the path's scale and the degree of the penalty.
    """
    return strong / BELOW ** (2.0 - degree)


def _path(attempt: Attempt, first: Trial, rival: Trial | None, maps: int) -> list[Trial]:
    """Solves from the first weight to weaker ones until the error has risen; to stronger ones where it is lowest.

    With several maps these are the error of any map that is judged by itself.
    """
    trials = [first]
    for factor in (1.0 / FACTOR, FACTOR):
        while len(trials) < MOST:
            edge = min(trials, key=lambda t: t.weight) if factor < 1.0 else max(trials, key=lambda t: t.weight)
            trials.append(attempt(edge.weight * factor, edge))
            if rival is not None and hopeless(trials, abs(trials[-1].error - edge.error), rival.error):
                return trials
            if all(risen(own, factor) for own in views(trials, maps)) or _is_far(trials):
                break
        if not any(min(own, key=lambda t: t.error) is own[0] for own in views(trials, maps)):
            break  # a weaker one is better than the first, and so than any stronger one
    return trials


def _is_far(trials: Sequence[Trial]) -> bool:
    """Whether the last weight is far from the best for all maps, so that a map that wants it is misled by the image."""
    away = trials[-1].weight / min(trials, key=lambda trial: trial.error).weight
    return max(away, 1.0 / away) >= _FAR


def views(trials: Sequence[Trial], maps: int) -> list[list[Trial]]:
    """The trials as each of so many maps sees them, by its own errors."""
    return [[replace(one, errors=one.errors.reshape(maps, -1)[k]) for one in trials] for k in range(maps)]


def hopeless(trials: list[Trial], fall: float, rival: float) -> bool:
    """Whether the error will not come down to another penalty's.

    It is convex about its minimum, as a function of the logarithm of the weight: from one weight to the next it falls
    by no more than it changed by at last.

    Parameters
    ----------
    trials : so far.
    fall : by how much the error changed from one weight to the next at last.
    rival : the other's lowest error.
    """
    return min(trial.error for trial in trials) - rival > _LEFT * fall


def risen(trials: list[Trial], factor: float, clearly: float = _CLEARLY) -> bool:
    """Whether the last trial is so many standard errors above the lowest, or the last ones are no better than it."""
    best = min(trials, key=lambda trial: trial.error)
    difference, spread = paired(trials[-1].errors, best.errors)
    since = [trial for trial in trials if (trial.weight - best.weight) * (factor - 1.0) > 0.0]
    return difference > clearly * spread or len(since) >= _RISES
