r"""The weight whose maps of half of the counts predict the other half best; see `fusionkit.weights.count_splitting`.

The error is squared, not the Poisson deviance: deviance is relative error, so that the dark pixels decide. On `films`
at 5 to 20 counts it asks for 1.3 to 3.6 times the weight whose maps are nearest to the truth.

Count splitting: two independent recordings out of one.

A count b ~ Poisson(mu) whose every electron or photon goes to the training set with probability p gives
:math:`b_t \sim \mathrm{Poisson}(p\mu)` and :math:`b_v = b - b_t \sim \mathrm{Poisson}((1-p)\mu)`, independent of each
other. With the maps :math:`b_t / p`, the objective keeps its units, and the likelihood of b_t is the Poisson term of
these maps with p times the weight:

.. math:: p\mu - b_t \log(p\mu) = p \bigl(\mu - \tfrac{b_t}{p} \log\mu\bigr) + \mathrm{const}

Whatever x is made from b_t, :math:`b_v/(1-p)` is a noisy view of mu that x knows nothing of, so that

.. math:: E\,\|x - b_v/(1-p)\|^2 = E\,\|x - \mu\|^2 + \mathrm{const}:

the squared held-out error has its minimum where the squared error has it. Source: A. Neufeld, A. Dharamshi, L. L. Gao,
D. Witten, J. Mach. Learn. Res. 25, 57 (2024), Poisson thinning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusionkit.data.counts.scale import is_counts, step_of
from fusionkit.errors import UserError
from fusionkit.terms import Array
from fusionkit.weights.auto import PER_ELEMENT
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.path import Said, levels, lowest
from fusionkit.weights.per_element import of_each, with_own
from fusionkit.weights.search import POISSON, Attempt, Noisy, Task, Trial

SHARE = 0.5  # of the counts for training: with 0.7 and 0.85 the held-out error is noisier and the choice no better
_SEED = 0  # of the division: the same data give the same weight
_SAID = Said("count_splitting", "maps of half of the counts predict the other half best", "squared held-out error")


def can_split(judges: list[Noisy], arrays: dict[str, Array]) -> bool:
    """Whether the judges' data are counts, or counts times a factor."""
    return all(one.noise == POISSON and one.target in arrays for one in judges) and all(
        _steps(arrays[one.target]) is not None for one in judges
    )


def count_splitting(task: Task) -> ChosenWeight:
    """The weight of a penalty by count splitting.

    Raises
    ------
    UserError : the data are neither counts nor counts times a factor.
    """
    attempt, start = held_out(task, of_penalty=True)
    found, trials = lowest(task, attempt, task.scale(start), _SAID, SHARE)
    return _of_each(task, found, trials) if task.each else found


def _of_each(task: Task, found: ChosenWeight, trials: list[Trial]) -> ChosenWeight:
    """A weight for each element, where it predicts the other half better than one for all does."""
    assert found.trial is not None
    own = of_each(trials, task.dataset.elements)
    attempt, _ = held_out(task.with_options({PER_ELEMENT: dict(own.factors)}), of_penalty=True)
    return with_own(found, attempt(own.mean, found.trial), own, found.facts["correction"])


def held_out(task: Task, of_penalty: bool) -> tuple[Attempt, Array]:
    """What solves with half of the counts and judges by the other half, and the starting point.

    Parameters
    ----------
    task : the search.
    of_penalty : whether the weight is a penalty's: errors of each map are then over its level, see
        `fusionkit.weights.path`; an image tells most of the elements that hold most of the counts, and is judged by
        errors as they are.

    Raises
    ------
    UserError : the data are neither counts nor counts times a factor.
    """
    halves = _halves(task)
    training = {name: half.training for name, half in halves.items()}

    start = task.start(training)

    def attempt(weight: float, former: Trial | None) -> Trial:
        problem = task.problem(weight, training, SHARE)
        if former is None:
            result = task.solve(problem, weight, start)
        else:
            result = task.solve(problem, weight, former.results[0], weight / former.weight if of_penalty else 1.0)
        parts = []
        for one in task.judges(problem):
            square = (one.expected(result.x) - halves[one.target].held_out) ** 2
            parts.append(np.ravel(square / levels(one) if of_penalty else square))
        return Trial(weight, np.concatenate(parts), (result,), result.iterations)

    return attempt, start


def _halves(task: Task) -> dict[str, Halves]:
    """The counts of every judge, divided."""
    random, found = np.random.default_rng(_SEED), dict[str, Halves]()
    for one in task.judges(task.problem(1.0)):
        data = task.dataset.arrays.get(one.target)
        steps = _steps(data) if data is not None and one.noise == POISSON else None
        if data is None or steps is None:
            said = f"count_splitting needs counts, or counts times a factor, and '{one.target}' are none"
            raise UserError(task.key, said, "write {auto: masked_pixels}")
        if one.target not in found:
            half = thin(data / steps, SHARE, random)
            found[one.target] = Halves(half.training * steps, half.held_out * steps)
    return found


def _steps(data: Array) -> Array | None:
    """What one count is, for each map, in a shape that broadcasts; None where the data are no counts."""
    if is_counts(data):
        return np.ones((1,) * data.ndim)
    parts = list(data) if data.ndim == 3 else [data]
    steps = [step_of(part) if part.any() else 1.0 for part in parts]
    if any(step is None for step in steps):
        return None
    return np.array(steps, np.float64).reshape(-1, *(1,) * (data.ndim - 1)) if data.ndim == 3 else np.array(steps)


@dataclass(frozen=True)
class Halves:
    """Training and held-out data, both in the units of the counts.

    Parameters
    ----------
    training : b_t / p.
    held_out : b_v / (1 - p).
    """

    training: Array
    held_out: Array


def thin(counts: Array, share: float, random: np.random.Generator) -> Halves:
    """The counts divided at random.

    Parameters
    ----------
    counts : whole numbers >= 0, of any shape.
    share : p in (0, 1), of the training set.
    random : where the chance comes from.
    """
    whole = np.rint(counts).astype(np.int64)
    kept = random.binomial(whole, share)
    return Halves(kept / share, (whole - kept) / (1.0 - share))
