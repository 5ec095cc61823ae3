r"""The weight that minimises an unbiased estimate of the squared error of the maps: SURE, and PURE for counts.

With data b of variance v, their prediction :math:`m(b)` from the maps, and a random direction z of signs,

.. math:: R = \sum_k (m_k - b_k)^2 - v_k + 2\, \frac{v_k}{\delta_k}\, \frac{(m(b + h \delta) - m(b))_k}{h}, \qquad
    \delta = \min(\sqrt{v}, b / h)\, z,

estimates :math:`\|m - \mu\|^2`: the last summand is twice the covariance of prediction and noise. For normal noise
v = s^2, and delta is not limited; for counts v = b (times the unit of a count), to first order in the derivative of m.
Sources: C. Stein, Ann. Stat. 9, 1135 (1981); S. Ramani, T. Blu, M. Unser, IEEE Trans. Image Process. 17, 1540 (2008);
F. Luisier, T. Blu, M. Unser, IEEE Trans. Image Process. 20, 696 (2011), for counts.
"""

import numpy as np

from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.path import Wording, map_levels, minimise_along_path
from fusionkit.weights.search import POISSON, Noisy, Task, Trial

_STEP = 0.5  # h: perturbation of the data in standard deviations of the noise
_FINER = 0.3  # of the tolerance: the difference of two solves is small
_SEED = 0
_WORDING = Wording("sure", "the estimated squared error of the maps is smallest", "estimated squared error")


def sure(task: Task) -> ChosenWeight:
    """The weight of a penalty by the unbiased estimate of risk, with two solves at each weight."""
    random = np.random.default_rng(_SEED)
    validation = task.validation_terms(task.problem(1.0))
    moves = {one.target: _length(one) * random.choice([-1.0, 1.0], one.data.shape) for one in validation}
    moved = {one.target: one.data + _STEP * moves[one.target] for one in validation}

    start, tolerance = task.start(), _FINER * task.tolerance

    def attempt(weight: float, former: Trial | None) -> Trial:
        problem = task.problem(weight)
        if former is None:
            solution = task.solve(problem, weight, start, tolerance=tolerance)
        else:
            solution = task.solve(problem, weight, former.results[0], weight / former.weight, tolerance)
        perturbed = task.solve(task.problem(weight, moved), weight, solution, tolerance=tolerance)
        parts = []
        for one in task.validation_terms(problem):
            m, data = one.expected(solution.x), np.asarray(one.data, np.float64)
            change = (one.expected(perturbed.x) - m) / _STEP
            risk = (m - data) ** 2 - _variance(one) + 2.0 * _lever(one, moves[one.target]) * change
            parts.append(np.ravel(np.where(np.isnan(data), 0.0, risk / map_levels(one))))
        return Trial(weight, np.concatenate(parts), (solution,), solution.iterations + perturbed.iterations)

    return minimise_along_path(task, attempt, task.scale(start), _WORDING)[0]


def _length(one: Noisy) -> Array:
    """Perturbation of the data over h: a standard deviation, but no count falls below zero."""
    length = np.sqrt(_variance(one))
    return np.minimum(length, np.asarray(one.data, np.float64) / _STEP) if one.noise == POISSON else length


def _lever(one: Noisy, move: Array) -> Array:
    """v / delta, the factor of a change along delta: delta itself where that is a standard deviation."""
    return np.divide(_variance(one), move, out=np.zeros_like(move), where=move != 0.0)


def _variance(one: Noisy) -> Array:
    """Variance of the data: b / weight for counts, 1 / weight for normal noise."""
    data = np.asarray(one.data, np.float64)
    return data / one.weight if one.noise == POISSON else np.full_like(data, 1.0 / one.weight)
