r"""Simulated data: what the forward models predict from the solution, with the noise that the losses are for.

.. math:: b^* \sim \mathrm{Poisson}(w \bar b) / w, \qquad
          b^* = \bar b + \mathcal N(0, s^2)

with the mean of the data that `fusionkit.uncertainty.means` gives. The weight w of counts is 1; s is the noise seen in
an image, and 1 / s^2 the weight of other data with normal noise. A weight of the image below 1 / s^2 says that its
model is off by more than the noise: data drawn with 1 / w would have noise that the image does not have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.operators.fidelity import Fidelity
from fusionkit.problem import Problem
from fusionkit.terms import Array, Fitted, Term
from fusionkit.uncertainty.means import mean_of
from fusionkit.uncertainty.noise import normal_variance

_NOISES = ("poisson", "normal")


@dataclass(frozen=True)
class Model:
    """The data on average and their noise.

    Parameters
    ----------
    terms : those that the data are drawn for, one a name of data.
    expected : of each, of the shape of the data.
    variances : of normal noise, of each; not used for counts.
    """

    terms: tuple[Fidelity, ...]
    expected: tuple[Array, ...]
    variances: tuple[float, ...]

    def draw(self, dataset: Dataset, random: np.random.Generator) -> Dataset:
        """The dataset with simulated data."""
        arrays = dict(dataset.arrays)
        for term, mean, variance in zip(self.terms, self.expected, self.variances, strict=True):
            given = arrays[term.target]
            arrays[term.target] = _noisy(term, mean, variance, random).reshape(given.shape).astype(given.dtype)
        return replace(dataset, arrays=arrays)


def model_of(problem: Problem, x: Array) -> Model:
    """What data are to be drawn from where the unknown is ``x``."""
    chosen: dict[str, Fidelity] = {}
    for term in _fitted(problem):
        chosen.setdefault(term.target, term)
    terms = tuple(chosen.values())
    return Model(terms, tuple(mean_of(term, x) for term in terms), tuple(normal_variance(term) for term in terms))


def check_drawable(problem: Problem, where: str) -> None:
    """`UserError` where the noise of some data is not known."""
    for term in problem.terms:
        if isinstance(term, Fitted) and not _drawable(term):
            said = f"the bootstrap cannot simulate the data of {term.name}, whose noise it does not know"
            raise UserError(where, said, "use least_squares or poisson, or method: none")
    if not _fitted(problem):
        raise UserError(where, "the bootstrap simulates data, and no term has any of a weight > 0", "use method: none")


def _drawable(term: Term) -> bool:
    return isinstance(term, Fidelity) and bool(term.target) and term.noise in _NOISES


def _fitted(problem: Problem) -> list[Fidelity]:
    return [t for t in problem.terms if isinstance(t, Fidelity) and _drawable(t) and t.weight > 0]


def _noisy(term: Fidelity, mean: Array, variance: float, random: np.random.Generator) -> Array:
    if term.noise == "poisson":
        return random.poisson(term.weight * mean) / term.weight
    return mean + variance**0.5 * random.standard_normal(mean.shape)
