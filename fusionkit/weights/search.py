r"""The weight of a penalty by count splitting: the one whose maps of half of the counts predict the other half best.

Along a path of weights, each solve started from the one before, the mean squared held-out error falls
and rises again. Its scale is :math:`\lambda_0 = N / (k\, g(x_0))`, with N unknowns, a penalty g that is homogeneous of
degree k and the smoothed maps x_0: where :math:`e^{-\lambda g}` as a density of x makes x_0 most likely. All counts of
`cos_nanoparticle`, `films` and `lattice` at a dose of 5 to 100 want 1.3 to 11 times less, and the path starts between.

Half of the counts want another weight than all of them. For a penalty of degree 1 the best weight goes with the noise
in the gradient of the likelihood, as the square root of the dose; one of degree 2 is a Gaussian prior, which has a
weight of its own: the choice is divided by :math:`p^{(2 - k)/2}`. Measured with TV on those phantoms, the best weight
of half of the counts is 0.67 to 0.85 times that of all.

The error is squared, not the Poisson deviance: deviance is relative error, so that the dark pixels decide. On `films`
at 5 to 20 counts it asks for 1.3 to 3.6 times the weight whose maps are nearest to the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, isfinite, log2

import numpy as np

from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.problem import Problem
from fusionkit.result import Status
from fusionkit.solver import Solver
from fusionkit.terms import Array, Term
from fusionkit.weights.choice import paired, vertex
from fusionkit.weights.chosen import ChosenWeight, Curve, rounded

SHARE = 0.5  # of the counts for training: with 0.7 and 0.85 the held-out error is noisier and the choice no better
TOLERANCE = 1e-3  # of the solves of the search
_BELOW = 4.0  # times lower than the scale is the first weight
_FACTOR = 2.0  # from one weight to the next; the parabola finds what is between
_MOST = 14  # solves
_CLEARLY = 3.0  # standard errors above the lowest at which the path ends
_RISES = 2  # ends it as well: so many weights in a row that are no better


@dataclass(frozen=True)
class Trial:
    """One solve of the path: its weight, the squared held-out error at each pixel, the maps and the iterations."""

    weight: float
    errors: Array
    x: Array
    iterations: int

    @property
    def error(self) -> float:
        """The mean squared held-out error."""
        return float(self.errors.mean(dtype=np.float64))


@dataclass(frozen=True)
class Search:
    """What a search needs.

    Parameters
    ----------
    build : the problem of the training data with this weight of the penalty.
    errors : squared held-out errors of maps, flat, for a problem that ``build`` gave.
    solver : with the tolerance of the search.
    start : starting point.
    index, term : of the penalty.
    """

    build: Callable[[float], Problem]
    errors: Callable[[Problem, Array], Array]
    solver: Solver
    start: Array
    index: int
    term: str

    @property
    def key(self) -> str:
        """The config key of the weight."""
        return f"terms[{self.index}].weight"


def search(task: Search) -> ChosenWeight:
    """The weight with the lowest held-out error.

    Raises
    ------
    UserError : the penalty of the starting point is zero or infinite, or a solve diverges.
    """
    first, degree = _scale(task)
    trials = _path(task, first)
    best = min(trials, key=lambda trial: trial.error)
    compared = [paired(trial.errors, best.errors) for trial in trials]
    ordered = sorted(trials, key=lambda trial: trial.weight)
    choice, error = vertex([trial.weight for trial in ordered], [trial.errors for trial in ordered])
    full = SHARE ** (-(2.0 - degree) / 2.0)
    curve = Curve(
        tuple(rounded(full * trial.weight) for trial in trials),
        tuple(trial.error for trial in trials),
        tuple(spread for _, spread in compared),
        tuple(trial.iterations for trial in trials),
    )
    weight = rounded(full * choice)
    if error is None:
        limits, said = None, "the end of the path: the counts do not tell it well"
    else:
        limits = (rounded(weight * exp(-2.0 * error)), rounded(weight * exp(2.0 * error)))
        said = f"{limits[0]:.2g} to {limits[1]:.2g}"
    note = (
        f"The weight of {task.term} is {weight:.4g} ({said}): maps of half of the counts predict the other half best."
    )
    facts = {"share": SHARE, "correction": full, "degree": degree, "solves": len(trials)}
    return ChosenWeight(task.index, task.term, weight, "count_splitting", note, limits, facts, curve)


def _scale(task: Search) -> tuple[float, float]:
    """The first weight of the path, and the degree of the penalty."""
    problem = task.build(1.0)
    penalty = _term(problem, task.term)
    once, twice = penalty.value(task.start), penalty.value(2 * task.start)
    if not (once > 0.0 and isfinite(once) and twice > once and isfinite(twice)):
        said = f"auto finds no scale: the term is {once:g} at the starting point"
        raise UserError(task.key, said, "give a number")
    degree = min(2.0, max(1.0, log2(twice / once)))
    return problem.size / (degree * once) / _BELOW, degree


def _path(task: Search, first: float) -> list[Trial]:
    """Solves from the first weight to weaker ones until the error has risen; to stronger ones where it is lowest."""
    trials = [_trial(task, first, task.start)]
    for factor in (1.0 / _FACTOR, _FACTOR):
        while len(trials) < _MOST:
            edge = min(trials, key=lambda t: t.weight) if factor < 1.0 else max(trials, key=lambda t: t.weight)
            trials.append(_trial(task, edge.weight * factor, edge.x))
            if _risen(trials, factor):
                break
        if min(trials, key=lambda t: t.error) is not trials[0]:
            break  # a weaker one is better than the first, and so than any stronger one
    return trials


def _risen(trials: list[Trial], factor: float) -> bool:
    """Whether the last trial is clearly above the lowest, or the last ones are no better than it."""
    best = min(trials, key=lambda trial: trial.error)
    difference, spread = paired(trials[-1].errors, best.errors)
    since = [trial for trial in trials if (trial.weight - best.weight) * (factor - 1.0) > 0.0]
    return difference > _CLEARLY * spread or len(since) >= _RISES


def _open(trials: list[Trial]) -> bool:
    best = min(trials, key=lambda trial: trial.error)
    return best.weight in (min(t.weight for t in trials), max(t.weight for t in trials))


def _trial(task: Search, weight: float, start: Array) -> Trial:
    problem = task.build(weight)
    result = solve(problem, task.solver, start)
    if result.status is Status.DIVERGED or not np.isfinite(result.x).all():
        raise UserError(task.key, f"the search diverged at the weight {weight:.4g}", "give a number")
    return Trial(weight, task.errors(problem, result.x), result.x, result.iterations)


def _term(problem: Problem, name: str) -> Term:
    return next(term for term in problem.terms if term.name == name)
