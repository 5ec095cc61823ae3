r"""The weight at which maps from half of the counts best predict the other half.

If every electron or photon of a count b ~ Poisson(mu) goes to the training set with probability p, then
:math:`b_t \sim \mathrm{Poisson}(p\mu)` and :math:`b_v = b - b_t \sim \mathrm{Poisson}((1-p)\mu)` are independent.
With the maps :math:`b_t / p` the objective keeps its units, and the likelihood of b_t is the Poisson term of these maps
with p times the weight:

.. math:: p\mu - b_t \log(p\mu) = p \bigl(\mu - \tfrac{b_t}{p} \log\mu\bigr) + \mathrm{const}

Any x computed from b_t is independent of the noise of :math:`b_v/(1-p)`, so that

.. math:: E\,\|x - b_v/(1-p)\|^2 = E\,\|x - \mu\|^2 + \mathrm{const}:

the squared held-out error and the squared error have the same minimum. The Poisson deviance would weight relative
errors, so that dark pixels dominate: on `films` at 5 to 20 counts it gives 1.3 to 3.6 times the best weight. Source: A.
Neufeld, A. Dharamshi, L. L. Gao, D. Witten, J. Mach. Learn. Res. 25, 57 (2024), Poisson thinning.

Maps b with Gaussian noise of the standard deviation s split as well: with :math:`z \sim N(0, s^2)`, :math:`b + z` and
:math:`b - z` are independent and have twice the variance, as halves of counts have.

Of a sparse scan, half of the measured pixels are left out whole. Halves of their counts would only judge the maps at
measured pixels, where the image and the penalty matter least.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from fusionkit.compose_problem import Objective
from fusionkit.data.counts.scale import is_counts, step_of
from fusionkit.data.dataset import Dataset
from fusionkit.data.missing import is_sparse, known
from fusionkit.errors import UserError
from fusionkit.interrupts import Terminated
from fusionkit.terms import Array, Bounds, Fitted
from fusionkit.weights.auto import PER_ELEMENT
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.path import Wording, at_weight, map_levels, minimise_along_path
from fusionkit.weights.per_element import element_weights, with_element_weights
from fusionkit.weights.search import POISSON, Attempt, Noisy, Task, Trial, sigma_of
from fusionkit.weights.shares import with_shares

SHARE = 0.5  # of the counts for training; at 0.7 and 0.85 the held-out error is noisier and the choice no better
_MOST = 2.0**53  # counts in a pixel: float64 does not tell larger whole numbers apart
_SEED = 0  # the same data give the same weight
_WORDING = Wording(
    "count_splitting", "maps of half of the counts predict the other half best", "squared held-out error"
)


_WITH_NOISE = Wording(
    "count_splitting", "maps with noise added predict an independent copy best", "squared held-out error"
)


def can_split(validation: list[Noisy], arrays: dict[str, Array]) -> bool:
    """Whether the validation data are counts, counts times a factor, or maps of known noise."""
    return all(
        one.target in arrays
        and (sigma_of(one) is not None or (one.noise == POISSON and steps_of(arrays[one.target]) is not None))
        for one in validation
    )


def count_splitting(task: Task) -> ChosenWeight:
    """The weight of a penalty by count splitting.

    `UserError` if the data are neither counts nor counts times a factor.
    """
    attempt, start = held_out(task)
    natural = task.natural_weight
    if natural is not None:
        chosen = at_weight(task, attempt(natural, task.near or task.rival), _WORDING.method)
        return with_shares(task, chosen, lambda one: held_out(one)[0])
    counted = all(one.noise == POISSON for one in task.validation_terms(task.problem(1.0)))
    wording = _WORDING if counted else _WITH_NOISE
    chosen, trials = minimise_along_path(task, attempt, task.scale(start), wording, SHARE)
    with suppress(Terminated):
        if PER_ELEMENT in task.searched:
            return _per_element(task, chosen, trials)
    return chosen


def _per_element(task: Task, chosen: ChosenWeight, trials: list[Trial]) -> ChosenWeight:
    """A weight for each element, if these predict the other half better than one weight for all."""
    assert chosen.trial is not None
    own = element_weights(trials, task.dataset.elements)
    attempt, _ = held_out(task.with_options({PER_ELEMENT: dict(own.factors)}))
    return with_element_weights(chosen, attempt(own.mean, chosen.trial), own, chosen.facts["correction"])


def held_out(task: Task, scales: bool = True) -> tuple[Attempt, Array]:
    """A function that solves with half of the counts and validates with the other half, and the starting point.

    Squared errors of each map are divided by its level; see `fusionkit.weights.path`. `UserError` if the data are
    neither counts, nor counts times a factor, nor maps of known noise.
    """
    halves = _halves(task)
    training = {name: half.training for name, half in halves.items()}
    shares = {name: half.share for name, half in halves.items()}

    start = task.start(training)

    def attempt(weight: float, former: Trial | None) -> Trial:
        problem = task.problem(weight, training, shares)
        if former is None:
            result = task.solve(problem, weight, start)
        else:
            result = task.solve(problem, weight, former.results[0], weight / former.weight if scales else 1.0)
        parts, noise, map_errors = [], 0.0, dict[str, float]()
        for one in task.validation_terms(problem):
            half, levels = halves[one.target], map_levels(one)
            missing = np.isnan(half.held_out)  # neither measured nor held out
            squares = np.where(missing, 0.0, (one.expected(result.x) - half.held_out) ** 2)
            variance = np.where(missing, 0.0, half.variance)
            parts.append(np.ravel(squares / levels))
            noise += float(np.sum(variance / levels))
            names = task.dataset.stacks.get(one.target, task.dataset.elements)
            excess = np.reshape(squares - variance, (len(squares), -1)).astype(np.float64)
            excess *= missing.size / np.count_nonzero(~missing)
            # an estimate far below its standard error means no error of 0
            floors = 0.25 * excess.std(axis=1) / excess.shape[1] ** 0.5
            means = np.maximum(excess.mean(axis=1), floors) ** 0.5
            if (mixing := task.dataset.arrays.get(f"{one.target}_mixing")) is not None:
                means /= np.diagonal(mixing)  # a set of channels holds a share of its element's counts
            map_errors |= {name: float(f"{mean:.4g}") for name, mean in zip(names, means, strict=False)}
        errors = np.concatenate(parts)
        return Trial(weight, errors, (result,), result.iterations, noise / errors.size, map_errors)

    return attempt, start


def map_errors(dataset: Dataset, objective: Objective) -> Mapping[str, float]:
    """Root mean square error of each map from half of the counts, with the weights of the objective.

    Empty where the data cannot be split, there is no penalty, or the solve diverges.
    """
    penalties = [
        (index, term, spec.options.get("weight", 1.0))
        for index, (term, spec) in enumerate(zip(objective.build(dataset).terms, objective.terms, strict=True))
        if not isinstance(term, Fitted | Bounds)
    ]
    index, term, weight = next((one for one in penalties if one[2]), (-1, None, 0.0))
    if term is None:
        return {}
    task = Task(objective, dataset, index, term.name)
    with suppress(UserError):
        if can_split(task.validation_terms(task.problem(1.0)), dict(dataset.arrays)):
            attempt, start = held_out(task)
            return attempt(float(weight) * SHARE ** ((2.0 - task.scale(start)[1]) / 2.0), None).map_errors
    return {}


def _halves(task: Task) -> dict[str, Halves]:
    """The split counts of every validation term."""
    random, halves = np.random.default_rng(_SEED), dict[str, Halves]()
    for one in task.validation_terms(task.problem(1.0)):
        data, sigma = task.dataset.arrays.get(one.target), sigma_of(one)
        sparse = data is not None and is_sparse(data)
        if data is not None and sigma is not None:
            split = leave_out(data, np.broadcast_to(sigma**2, data.shape), random) if sparse else None
            halves.setdefault(one.target, split or copies(data, sigma, random))
            continue
        steps = steps_of(data) if data is not None and one.noise == POISSON else None
        if data is None or steps is None:
            message = f"count_splitting needs counts, or counts times a factor, and '{one.target}' has neither"
            other = "give numbers" if task.searched else "write {auto: masked_pixels}, or give a number"
            raise UserError(task.key, message, other)
        if one.target not in halves and sparse:
            halves[one.target] = leave_out(data, data * steps, random)
        elif one.target not in halves:
            half = thin(data / steps, SHARE, random)
            halves[one.target] = Halves(half.training * steps, half.held_out * steps, half.variance * steps**2)
    return halves


def steps_of(data: Array) -> Array | None:
    """The value of one count in each map, in a shape that broadcasts; None where the data are no counts."""
    if is_counts(data):
        return np.ones((1,) * data.ndim)
    parts = list(data) if data.ndim == 3 else [data]
    steps = [step_of(part) if known(part).any() else 1.0 for part in parts]
    if any(step is None for step in steps):
        return None
    return np.array(steps, np.float64).reshape(-1, *(1,) * (data.ndim - 1)) if data.ndim == 3 else np.array(steps)


@dataclass(frozen=True)
class Halves:
    """Training and held-out data, both in the units of the counts."""

    training: Array  # b_t / p
    held_out: Array  # b_v / (1 - p)
    variance: Array  # of ``held_out``, estimated without bias from it: b_v / (1 - p)^2
    share: float = SHARE  # factor of the weight of the likelihood


def leave_out(data: Array, variance: Array, random: np.random.Generator) -> Halves:
    """Half of the pixels of (..., ny, nx), NaN in the training data, are held out."""
    kept = random.random(data.shape[-2:]) < SHARE
    held_out = np.where(kept, np.nan, data)
    return Halves(np.where(kept, data, np.nan), held_out, np.where(np.isnan(held_out), np.nan, variance), 1.0)


def thin(counts: Array, share: float, random: np.random.Generator) -> Halves:
    """Split counts at random: whole numbers >= 0 of any shape, NaN where nothing was measured.

    A ``share`` p of them is for training. `UserError` if a pixel holds more than float64 can count.
    """
    missing = np.isnan(counts)
    if (most := float(np.max(counts, where=~missing, initial=0.0))) > _MOST:
        raise UserError("data.maps", f"a pixel holds {most:.2g} counts", "mend it, or give the weights as numbers")
    whole = np.rint(np.where(missing, 0.0, counts)).astype(np.int64)
    kept = random.binomial(whole, share)
    held_out = np.where(missing, np.nan, (whole - kept) / (1.0 - share))
    return Halves(np.where(missing, np.nan, kept / share), held_out, held_out / (1.0 - share))


def copies(maps: Array, sigma: Array, random: np.random.Generator) -> Halves:
    """Two copies of maps (n, ny, nx) with independent Gaussian noise of twice the variance sigma², (n, 1, 1)."""
    noise = sigma * random.standard_normal(maps.shape)
    return Halves(maps + noise, maps - noise, np.broadcast_to(2.0 * sigma**2, maps.shape))
