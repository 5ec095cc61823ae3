r"""The lowest error along a path of weights, where each solve starts from the one before.

The scale of the path is :math:`\lambda_0 = N / (k\, g(x_0))`, with N unknowns, a penalty g that is homogeneous of
degree k, and the smoothed maps x_0: the weight for which :math:`e^{-\lambda g}`, as a density of x, makes x_0 most
likely. The phantoms `cos_nanoparticle`, `films` and `lattice` at a dose of 5 to 100 need 1.3 to 11 times less TV, so
the path starts in between; they need a third to twice as much of a squared penalty, so the path starts at the scale.

**The minimum.** With u the logarithm of the weight, the parabola through the lowest error and its neighbours has its
vertex at :math:`u^* = -\mathrm{slope} / (2 c)` with the curvature c. All errors refer to the same held-out counts, so
the uncertainty of the vertex comes from the noise of the difference of the two neighbours' errors, pixel by pixel.

**The level of a map** divides its squared errors, so that weak elements are not ignored. The aim is a small mean of the
relative errors of the elements, :math:`\sum_i \|e_i\| / \|t_i\|`, which to first order changes with :math:`\|e_i\|^2 /
(\|e_i\| \|t_i\|)`. The error of counts grows as the root of their mean m_i and the map as m_i itself: hence
:math:`\|e_i\|^2 / m_i^{3/2}`. On phantoms of 128 x 128 at 5 to 100 counts that mean is within 4 % of the best weight's,
and was up to 9 % above it without levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fusionkit.interrupts import Terminated
from fusionkit.terms import Array
from fusionkit.weights.auto import PER_ELEMENT
from fusionkit.weights.chosen import ChosenWeight, SearchCurve, rounded, two_errors
from fusionkit.weights.search import POISSON, Attempt, DivergedError, Noisy, Task, Trial, drop_solves, sigma_of

BELOW = 4.0  # the first weight of a penalty of degree 1 is the scale over this
FACTOR = 2.0  # from one weight to the next; the parabola interpolates
MOST_WEIGHTS = 14  # on a path
_THRESHOLD = 1.0  # standard errors above the lowest error at which the path ends
_MOST_RISES = 2  # consecutive weights without improvement also end it
_LARGEST_RATIO = 8.0  # between the weight for one map and the best for all
_LARGEST_DISTANCE = 3.0  # in steps, from the first to the lowest error
_LEAST_LEVEL = 1e-3  # of the mean level: an empty map has no relative error
_LEVEL_POWER = 1.5
_NOTHING = 1e-3  # of the largest value of the weighted penalty on the path: the maps have become flat


@dataclass(frozen=True)
class Wording:
    """How a method describes its choice."""

    method: str  # its name
    why: str  # end of the sentence about the choice
    quantity: str  # name of the criterion


def minimise_along_path(
    task: Task, attempt: Attempt, scale: tuple[float, float], wording: Wording, share: float = 1.0
) -> tuple[ChosenWeight, list[Trial]]:
    r"""The weight with the lowest error, and the trials by ascending weight.

    Parameters
    ----------
    task : the search.
    attempt : solves at a weight and returns the errors.
    scale : a strong weight, and the degree of the penalty.
    wording : of the note.
    share : p of the counts that a solve uses. For a penalty of degree 1 the best weight scales with the noise in the
        gradient of the likelihood, as the square root of the dose; one of degree 2 is a Gaussian prior, whose weight
        does not depend on the dose: the choice is divided by :math:`p^{(2 - k)/2}`. With TV on phantoms the best
        weight for half of the counts is 0.67 to 0.85 times that for all.
    """
    degree = scale[1]
    full = share ** (-(2.0 - degree) / 2.0)
    near = task.near
    first = attempt(near.weight if near is not None else first_weight(*scale), near or task.rival)
    maps = len(task.dataset.elements) if PER_ELEMENT in task.searched else 1
    trials = _path(attempt, first, task.rival, task.term, maps)
    best = min(trials, key=lambda trial: trial.error)
    ordered = sorted(trials, key=lambda trial: trial.weight)
    choice, error = parabola_minimum([trial.weight for trial in ordered], [trial.errors for trial in ordered])
    curve = SearchCurve(
        tuple(rounded(full * trial.weight) for trial in trials),
        tuple(trial.error for trial in trials),
        tuple(paired_difference(trial.errors, best.errors)[1] for trial in trials),
        tuple(trial.iterations for trial in trials),
        wording.quantity,
    )
    weight = rounded(full * choice)
    if error is None:
        limits, range_text = None, "the end of the path: the data do not determine it well"
    else:
        limits = two_errors(weight, error)
        range_text = f"{limits[0]:.2g} to {limits[1]:.2g}"
    note = f"The weight of {task.term} is {weight:.4g} ({range_text}): {wording.why}."
    facts = {"share": share, "correction": full, "degree": degree, "solves": len(trials)}
    chosen = ChosenWeight(task.index, task.term, weight, wording.method, note, limits, facts, curve, trial=best)
    return chosen, ordered


def at_weight(task: Task, trial: Trial, method: str) -> ChosenWeight:
    """A weight that needs no search, with the error by which penalties are compared."""
    note = f"The weight of {task.term} is {trial.weight:.4g}: it is relative to the noise."
    facts = {"solves": 1, "iterations_beside": trial.iterations}
    return ChosenWeight(task.index, task.term, trial.weight, method, note, None, facts, trial=trial)


def first_weight(strong: float, degree: float) -> float:
    """The first weight of a path."""
    return strong / BELOW ** (2.0 - degree)


def _path(attempt: Attempt, first: Trial, rival: Trial | None, term: str, maps: int) -> list[Trial]:
    """Solve at decreasing weights until the error has risen, and at increasing ones if the first is the best.

    With several maps the error of each map must have risen. A solve that diverges ends its direction, and so does one
    whose maps cost no penalty: they solve the problem at every larger weight.
    """
    trials = [first]
    for factor in (1.0 / FACTOR, FACTOR):
        while len(trials) < MOST_WEIGHTS:
            edge = min(trials, key=lambda t: t.weight) if factor < 1.0 else max(trials, key=lambda t: t.weight)
            try:
                trials.append(attempt(edge.weight * factor, edge))
                drop_solves(trials)
            except Terminated:
                return trials
            except DivergedError:  # the weights beyond would diverge too
                break
            if rival is not None and cannot_win(trials, abs(trials[-1].error - edge.error), rival.error):
                return trials
            if factor > 1.0 and costs_nothing(trials, term):
                break
            if all(has_risen(own, factor) for own in trials_by_map(trials, maps)) or _is_misled(trials):
                break
        if not any(min(own, key=lambda t: t.error) is own[0] for own in trials_by_map(trials, maps)):
            break  # a smaller weight is better than the first, and hence than any larger one
    return trials


def costs_nothing(trials: Sequence[Trial], term: str) -> bool:
    """Whether the penalty has vanished at the last of these solutions."""
    costs = [sum(result.terms.get(term, 0.0) for result in trial.results) for trial in trials]
    return costs[-1] < _NOTHING * max(costs)


def _is_misled(trials: Sequence[Trial]) -> bool:
    """Whether the last weight is far from the best for all maps; a map that prefers it is misled by the image."""
    ratio = trials[-1].weight / min(trials, key=lambda trial: trial.error).weight
    return max(ratio, 1.0 / ratio) >= _LARGEST_RATIO


def trials_by_map(trials: Sequence[Trial], maps: int) -> list[list[Trial]]:
    """The trials with the errors of each single map."""
    return [[replace(one, errors=one.errors.reshape(maps, -1)[k]) for one in trials] for k in range(maps)]


def cannot_win(trials: list[Trial], fall: float, rival: float) -> bool:
    """Whether the error cannot fall to that of another penalty.

    The error is convex around its minimum in the logarithm of the weight: no step lowers it more than the last did.

    Parameters
    ----------
    trials : so far.
    fall : change of the error in the last step.
    rival : lowest error of the other penalty.
    """
    return min(trial.error for trial in trials) - rival > _LARGEST_DISTANCE * fall


def has_risen(trials: list[Trial], factor: float, threshold: float = _THRESHOLD, most: int = _MOST_RISES) -> bool:
    """Whether the last trial is significantly above the lowest error, or the last ones have not improved on it."""
    best = min(trials, key=lambda trial: trial.error)
    difference, spread = paired_difference(trials[-1].errors, best.errors)
    beyond = [trial for trial in trials if (trial.weight - best.weight) * (factor - 1.0) > 0.0]
    return difference > threshold * spread or len(beyond) >= most


def paired_difference(errors: Array, others: Array) -> tuple[float, float]:
    """Mean difference of two arrays of squared held-out errors, pixel by pixel, and its standard error."""
    difference = np.asarray(errors - others, np.float64)
    return float(difference.mean()), float(difference.std() / difference.size**0.5)


def parabola_minimum(weights: Sequence[float], errors: Sequence[Array]) -> tuple[float, float | None]:
    """The weight at the minimum of the parabola through errors at ascending weights; standard error of its logarithm.

    At an end of the path it is the weight of the lowest error itself, with an unknown error (None).
    """
    means = [float(one.mean(dtype=np.float64)) for one in errors]
    at = int(np.argmin(means))
    if at in (0, len(means) - 1):
        return float(weights[at]), None
    u = np.log(np.asarray(weights[at - 1 : at + 2]) / weights[at])
    curvature, slope, _ = np.polyfit(u, np.asarray(means[at - 1 : at + 2]), 2)
    if not curvature > 0.0:  # all three are equal
        return float(weights[at]), None
    _, spread = paired_difference(errors[at + 1], errors[at - 1])
    shift = np.clip(-slope / (2.0 * curvature), u[0], u[2])
    return float(weights[at] * np.exp(shift)), float(spread / (u[2] - u[0]) / (2.0 * curvature))


def map_levels(one: Noisy) -> Array:
    """The mean of each map of counts to the power 3/2, relative to that of all maps; 1 for data of unknown noise.

    For maps with known Gaussian noise it is the noise times the root mean square of the map above the noise.

    Parameters
    ----------
    one : the fit whose data validate; (n, ny, nx) for n maps.

    Returns
    -------
    (n, 1, 1), or an array of one number.
    """
    data = np.asarray(one.data, np.float64)
    sigma, mean_of = sigma_of(one), np.nanmean if np.isnan(data).any() else np.mean
    if sigma is not None:
        signal = np.maximum(mean_of(data**2, axis=(1, 2), keepdims=True) - sigma**2, 0.01 * sigma**2)
        return sigma * np.sqrt(signal)
    if one.noise != POISSON or data.ndim != 3:
        return np.ones(1)
    means = mean_of(data, axis=(1, 2), keepdims=True)
    mean = float(means.mean()) or 1.0
    return np.maximum(means / mean, _LEAST_LEVEL) ** _LEVEL_POWER
