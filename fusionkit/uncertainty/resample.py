r"""Simulated data: what the forward models predict from the solution, with the noise that the losses are for.

.. math:: b^* \sim \mathrm{Poisson}(w \bar b) / w, \qquad
          b^* = \bar b + \mathcal N(0, 1/w)

with the mean of the data that `fusionkit.uncertainty.means` gives. A weight w of the noise is 1 for counts and 1 / s^2
for an image with noise of the standard deviation s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fusionkit.data import Dataset
from fusionkit.errors import UserError
from fusionkit.operators.fidelity import Fidelity
from fusionkit.problem import Problem
from fusionkit.terms import Array, Fitted, Term
from fusionkit.uncertainty.means import mean_of

_NOISES = ("poisson", "normal")


@dataclass(frozen=True)
class Model:
    """The data on average and their noise.

    Parameters
    ----------
    terms : those that the data are drawn for, one a name of data.
    expected : of each, of the shape of the data.
    """

    terms: tuple[Fidelity, ...]
    expected: tuple[Array, ...]

    def draw(self, dataset: Dataset, random: np.random.Generator) -> Dataset:
        """The dataset with simulated data."""
        arrays = dict(dataset.arrays)
        for term, mean in zip(self.terms, self.expected, strict=True):
            given = arrays[term.target]
            arrays[term.target] = _noisy(term, mean, random).reshape(given.shape).astype(given.dtype)
        return replace(dataset, arrays=arrays)


def model_of(problem: Problem, x: Array) -> Model:
    """What data are to be drawn from where the unknown is ``x``."""
    chosen: dict[str, Fidelity] = {}
    for term in _fitted(problem):
        chosen.setdefault(term.target, term)
    return Model(tuple(chosen.values()), tuple(mean_of(term, x) for term in chosen.values()))


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


def _noisy(term: Fidelity, mean: Array, random: np.random.Generator) -> Array:
    if term.noise == "poisson":
        return random.poisson(term.weight * mean) / term.weight
    return mean + term.weight**-0.5 * random.standard_normal(mean.shape)
