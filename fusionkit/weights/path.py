r"""The lowest error along a path of weights, each solve started from the one before.

The path's scale is :math:`\lambda_0 = N / (k\, g(x_0))`, with N unknowns, a penalty g that is homogeneous of
degree k and the smoothed maps x_0: where :math:`e^{-\lambda g}` as a density of x makes x_0 most likely. All counts of
`cos_nanoparticle`, `films` and `lattice` at a dose of 5 to 100 want 1.3 to 11 times less of TV, and the path starts
between; of a squared penalty they want a third to twice as much, and the path starts there.

The minimum of a held-out error along a path of weights, and how well it is known.

With u the logarithm of the weight, the parabola through the lowest error and its neighbours has its vertex at
:math:`u^* = -\mathrm{slope} / (2 c)`, c its curvature. All errors are taken against the same held-out counts, so that
what moves the vertex is the noise of the difference of the two neighbours' errors, pixel by pixel.

The level of each map, by which its squared errors are divided, so that elements of few counts are heard as well.

Errors as they are would let an element of many counts choose the weight for all. What is to be small is the mean over
the elements of their relative errors, :math:`\sum_i \|e_i\| / \|t_i\|`. To first order it changes with
:math:`\|e_i\|^2 / (\|e_i\| \|t_i\|)`; the error of counts goes as the root of their mean m_i and the map as m_i
itself, so that it is :math:`\|e_i\|^2 / m_i^{3/2}`. Measured on phantoms of 128 x 128 at 5 to 100 counts: that mean is
within 4 % of the best weight's, and was up to 9 % above it with errors as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp

import numpy as np

from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight, SearchCurve, rounded
from fusionkit.weights.search import POISSON, Attempt, Noisy, Task, Trial

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
    curve = SearchCurve(
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


def paired(errors: Array, others: Array) -> tuple[float, float]:
    """Mean difference of two fits' errors at each pixel, and its standard error.

    Parameters
    ----------
    errors, others : squared held-out errors at each pixel, of one shape.
    """
    difference = np.asarray(errors - others, np.float64)
    return float(difference.mean()), float(difference.std() / difference.size**0.5)


def vertex(weights: Sequence[float], errors: Sequence[Array]) -> tuple[float, float | None]:
    """The weight of the lowest error, refined, and the standard error of its logarithm.

    At an end of the path the weight is that of the lowest error itself, and its error is not known (None).

    Parameters
    ----------
    weights : ascending.
    errors : squared held-out errors of each at each pixel.
    """
    means = [float(one.mean(dtype=np.float64)) for one in errors]
    at = int(np.argmin(means))
    if at in (0, len(means) - 1):
        return float(weights[at]), None
    u = np.log(np.asarray(weights[at - 1 : at + 2]) / weights[at])
    curvature, slope, _ = np.polyfit(u, np.asarray(means[at - 1 : at + 2]), 2)
    if not curvature > 0.0:  # all three are equal
        return float(weights[at]), None
    _, spread = paired(errors[at + 1], errors[at - 1])
    shift = np.clip(-slope / (2.0 * curvature), u[0], u[2])
    return float(weights[at] * np.exp(shift)), float(spread / (u[2] - u[0]) / (2.0 * curvature))


_LEAST = 1e-3  # of the highest mean: an empty map has no error that could be relative
_POWER = 1.5


def levels(one: Noisy) -> Array:
    """The mean of each map of counts to the power of 3/2, in units of that of all maps; 1 for any other data.

    Parameters
    ----------
    one : the fit whose data judge; of shape (n, ny, nx) for n maps.

    Returns
    -------
    (n, 1, 1), or an array of one number.
    """
    data = np.asarray(one.data, np.float64)
    if one.noise != POISSON or data.ndim != 3:
        return np.ones(1)
    means = data.mean(axis=(1, 2), keepdims=True)
    mean = float(means.mean()) or 1.0
    return np.maximum(means / mean, _LEAST) ** _POWER
