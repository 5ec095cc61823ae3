r"""The lowest error along a path of weights, each solve started from the one before.

The path's scale is :math:`\lambda_0 = N / (k\, g(x_0))`, with N unknowns, a penalty g that is homogeneous of
degree k and the smoothed maps x_0: where :math:`e^{-\lambda g}` as a density of x makes x_0 most likely. All counts of
`cos_nanoparticle`, `films` and `lattice` at a dose of 5 to 100 want 1.3 to 11 times less, and the path starts between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

from fusionkit.terms import Array
from fusionkit.weights.choice import paired, vertex
from fusionkit.weights.chosen import ChosenWeight, Curve, rounded
from fusionkit.weights.task import Task

BELOW = 4.0  # times lower than the scale is the first weight
FACTOR = 2.0  # from one weight to the next, to the power of the degree; the parabola finds what is between
MOST = 14  # weights
_CLEARLY = 3.0  # standard errors above the lowest at which the path ends
_RISES = 2  # ends it as well: so many weights in a row that are no better


@dataclass(frozen=True)
class Trial:
    """One weight of the path: errors of its maps at each pixel, its maps, and iterations of its solves."""

    weight: float
    errors: Array
    x: Array
    iterations: int

    @property
    def error(self) -> float:
        """The mean error."""
        return float(self.errors.mean(dtype="float64"))


Attempt = Callable[[float, Array], Trial]  # of a weight, started from maps


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
    task: Task, attempt: Attempt, start: Array, scale: tuple[float, float], said: Said, share: float = 1.0
) -> ChosenWeight:
    r"""The weight with the lowest error.

    Parameters
    ----------
    task : the search.
    attempt : solves at a weight and finds the errors.
    start : of the first attempt.
    scale : a strong weight, and the degree of the penalty.
    said : how it is told.
    share : of the counts that a solve uses. For a penalty of degree 1 the best weight goes with the noise in the
        gradient of the likelihood, as the square root of the dose; one of degree 2 is a Gaussian prior, which has a
        weight of its own: the choice is divided by :math:`p^{(2 - k)/2}`. Measured with TV on phantoms, the best
        weight of half of the counts is 0.67 to 0.85 times that of all.
    """
    strong, degree = scale
    trials = _path(attempt, strong / BELOW, start, FACTOR**degree)
    best = min(trials, key=lambda trial: trial.error)
    ordered = sorted(trials, key=lambda trial: trial.weight)
    choice, error = vertex([trial.weight for trial in ordered], [trial.errors for trial in ordered])
    full = share ** (-(2.0 - degree) / 2.0)
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
    return ChosenWeight(task.index, task.term, weight, said.method, note, limits, facts, curve)


def _path(attempt: Attempt, first: float, start: Array, stride: float) -> list[Trial]:
    """Solves from the first weight to weaker ones until the error has risen; to stronger ones where it is lowest."""
    trials = [attempt(first, start)]
    for factor in (1.0 / stride, stride):
        while len(trials) < MOST:
            edge = min(trials, key=lambda t: t.weight) if factor < 1.0 else max(trials, key=lambda t: t.weight)
            trials.append(attempt(edge.weight * factor, edge.x))
            if risen(trials, factor):
                break
        if min(trials, key=lambda t: t.error) is not trials[0]:
            break  # a weaker one is better than the first, and so than any stronger one
    return trials


def risen(trials: list[Trial], factor: float) -> bool:
    """Whether the last trial is clearly above the lowest, or the last ones are no better than it."""
    best = min(trials, key=lambda trial: trial.error)
    difference, spread = paired(trials[-1].errors, best.errors)
    since = [trial for trial in trials if (trial.weight - best.weight) * (factor - 1.0) > 0.0]
    return difference > _CLEARLY * spread or len(since) >= _RISES
