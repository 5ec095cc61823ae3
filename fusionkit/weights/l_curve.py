r"""The weight at the corner of the L-curve of data misfit against penalty, both logarithmic.

With r the logarithm of the data misfit (deviance of counts, squared residual over variance), e that of the penalty
without its weight, and derivatives by u, the logarithm of the weight, the curvature along the path is

.. math:: \kappa = (r' e'' - r'' e') / (r'^2 + e'^2)^{3/2};

its maximum is chosen. Source: P. C. Hansen, SIAM Rev. 34, 561 (1992).
"""

import numpy as np
from scipy.interpolate import CubicSpline

from fusionkit.result import Result
from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight, SearchCurve, rounded
from fusionkit.weights.path import FACTOR
from fusionkit.weights.search import POISSON, Noisy, Task

_WEIGHTS = 10  # from the scale downwards
_GRID = 200  # points


def l_curve(task: Task) -> ChosenWeight:
    """The weight of a penalty by the L-curve."""
    former: Array | Result = task.start()
    scale, degree = task.scale(former)
    weights = scale / FACTOR ** np.arange(_WEIGHTS)
    points, iterations = [], []
    for weight in weights:
        problem = task.problem(float(weight))
        former = result = task.solve(problem, float(weight), former, 1.0 / FACTOR)
        x = result.x
        penalty = next(term for term in problem.terms if term.name == task.term).value(x) / weight
        points.append((np.log(data_misfit(task.validation_terms(problem), x)), np.log(max(penalty, 1e-12))))
        iterations.append(result.iterations)
    u = np.log(weights[::-1])
    fine, bend = curvature(u, np.array(points)[::-1])
    choice = rounded(float(np.exp(fine[np.argmax(bend)])))
    values = tuple(float(np.interp(np.log(weight), fine, bend)) for weight in weights)
    zeros = (0.0,) * _WEIGHTS
    curve = SearchCurve(
        tuple(rounded(float(one)) for one in weights), values, zeros, tuple(iterations), "curvature", "highest"
    )
    note = f"The weight of {task.term} is {choice:.4g}: the corner of the L-curve; its uncertainty is unknown."
    facts = {"degree": degree, "solves": _WEIGHTS}
    return ChosenWeight(task.index, task.term, choice, "l_curve", note, None, facts, curve)


def data_misfit(validation: list[Noisy], x: Array) -> float:
    """Deviance of counts, or squared residual over variance for normal noise."""
    total = 0.0
    for one in validation:
        measured = ~np.isnan(one.data)
        data, m = np.asarray(one.data, np.float64)[measured], np.asarray(one.expected(x), np.float64)[measured]
        if one.noise == POISSON:
            m = np.maximum(m, 1e-9)
            ratio = np.log(np.where(data > 0.0, data, 1.0) / m) * data
            total += 2.0 * one.weight * float((ratio - data + m).sum())
        else:
            total += one.weight * float(((data - m) ** 2).sum())
    return max(total, 1e-12)


def curvature(u: Array, points: Array) -> tuple[Array, Array]:
    """Curvature on a fine grid of u without the ends, where it would be one-sided."""
    spline = CubicSpline(u, points)
    fine = np.linspace(u[1], u[-2], _GRID)
    (r1, e1), (r2, e2) = spline(fine, 1).T, spline(fine, 2).T
    return fine, (r1 * e2 - r2 * e1) / (r1 * r1 + e1 * e1 + 1e-300) ** 1.5
