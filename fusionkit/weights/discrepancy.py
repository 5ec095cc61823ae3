r"""The weight at which the residual equals the noise: the discrepancy principle.

With counts b, their prediction m and its part x without background, the statistic

.. math:: D = \sum_k (b_k - m_k)^2 / m_k \Bigm/ \sum_k x_k / m_k

is 1 on average where m is the truth (a pixel without matter has no noise); for normal noise it is the mean squared
residual over the variance. Weaker penalties fit the noise, D < 1. Source: V. A. Morozov, Sov. Math. Dokl. 7, 414
(1966); for counts, M. Bertero et al., Inverse Probl. 26, 105004 (2010).
"""

from math import exp, log

import numpy as np

from fusionkit.result import Result
from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight, SearchCurve, rounded, two_errors
from fusionkit.weights.path import FACTOR, MOST_WEIGHTS, first_weight
from fusionkit.weights.search import POISSON, Noisy, Task

_LEVEL = 1.0


def discrepancy(task: Task) -> ChosenWeight:
    """The weight of a penalty by the discrepancy principle."""
    start = task.start()
    scale, degree = task.scale(start)
    trials: list[tuple[float, float, float, int, Result]] = []  # weight, D, its standard error, iterations, solution

    def attempt(weight: float, former: Array | Result, ratio: float = 1.0) -> float:
        problem = task.problem(weight)
        result = task.solve(problem, weight, former, ratio)
        value, error = statistic(task.validation_terms(problem), result.x)
        trials.append((weight, value, error, result.iterations, result))
        return value

    weight = first_weight(scale, degree)
    factor = 1.0 / FACTOR if attempt(weight, start) > _LEVEL else FACTOR
    while len(trials) < MOST_WEIGHTS and (trials[-1][1] > _LEVEL) == (factor < 1.0):
        weight *= factor
        attempt(weight, trials[-1][-1], factor)
    choice, spread = _crossing(trials)
    columns = list(zip(*trials, strict=True))
    curve = SearchCurve(
        tuple(map(rounded, columns[0])), columns[1], columns[2], columns[3], "squared residual over noise", "level"
    )
    weight = rounded(choice)
    limits, message, reason = None, "the end of the path", "no weight makes the residual equal to the noise"
    if spread is not None:
        limits = two_errors(weight, spread)
        message, reason = f"{limits[0]:.2g} to {limits[1]:.2g}", "the residual equals the noise"
    note = f"The weight of {task.term} is {weight:.4g} ({message}): {reason}."
    facts = {"degree": degree, "solves": len(trials)}
    return ChosenWeight(task.index, task.term, weight, "discrepancy", note, limits, facts, curve)


def statistic(validation: list[Noisy], x: Array) -> tuple[float, float]:
    """D, and its standard error if the model holds."""
    total, expected, variance = 0.0, 0.0, 0.0
    for one in validation:
        measured, predicted = ~np.isnan(one.data), np.asarray(one.predict(x), np.float64)
        data, m = np.asarray(one.data, np.float64)[measured], np.asarray(one.expected(x), np.float64)[measured]
        if one.noise == POISSON:
            mean = one.weight * np.maximum(m, 1e-6)  # in counts
            share = np.clip(predicted[measured] / np.maximum(m, 1e-6), 0.0, 1.0)
            total += float(((one.weight * data - mean) ** 2 / mean).sum())
            expected += float(share.sum())
            variance += float((share * (2.0 + 1.0 / mean)).sum())
        else:
            total += one.weight * float(((data - m) ** 2).sum())
            expected += data.size
            variance += 2.0 * data.size
    return total / max(expected, 1e-6), variance**0.5 / max(expected, 1e-6)


def _crossing(trials: list[tuple[float, float, float, int, Result]]) -> tuple[float, float | None]:
    """The weight at which D crosses 1, interpolated in the logarithm, and its standard error."""
    if len(trials) < 2 or (trials[-1][1] > _LEVEL) == (trials[-2][1] > _LEVEL):
        return trials[-1][0], None
    (u, low), (v, high) = ((log(one[0]), one[1]) for one in trials[-2:])
    slope = (high - low) / (v - u)
    return exp(u + (_LEVEL - low) / slope), abs(trials[-1][2] / slope)
