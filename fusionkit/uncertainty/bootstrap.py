r"""Standard deviations by parametric bootstrap: data simulated from the solution are solved as the recording was.

With solutions :math:`x^*` of simulated data, each started from x, and averages over samples <>,

.. math:: s^2 = A \Bigl[ \bigl\langle (x^* - \langle x^* \rangle)^2 \bigr\rangle
                + c\, (\langle x^* \rangle - x)^2 \Bigr]

where A is a local average. The second part is the squared bias: a penalty flattens what it is given, and what it takes
from x when that is solved again estimates what it took from the truth. It takes more or less the second time; the
factor c of each element is what its counts say, see `fusionkit.uncertainty.error_scale`. Both are averaged over
neighbours, since 30 samples know a variance to 26 % and the bias of one pixel hardly, and since the bias of the
recording is near that of the samples, not at the same pixels.
Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 10.

Simulated data: what the forward models predict from the solution, with the noise that the losses are for.

.. math:: b^* \sim \mathrm{Poisson}(w \bar b) / w, \qquad
          b^* = \bar b + \mathcal N(0, s^2)

with the mean of the data from `fusionkit.uncertainty.residuals`. The weight w of counts is 1; s is the noise seen in an
image, and 1 / s^2 the weight of other data with normal noise. A weight of the image below 1 / s^2 says that its
model is off by more than the noise: data drawn with 1 / w would have noise that the image does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.engines.cpu.threads import thread_count
from fusionkit.errors import UserError
from fusionkit.machine import limit_threads
from fusionkit.operators.fidelity import Fidelity
from fusionkit.problem import Problem
from fusionkit.terms import Array, Fitted, Term
from fusionkit.uncertainty.error_scale import USUAL, Counts, bias_factors
from fusionkit.uncertainty.residuals import averaged, mean_of, narrow, normal_variance

TOLERANCE = 1e-3  # of the solves: with 1e-4 or 3e-5 the standard deviations are the same to 1 % and take twice as long


@dataclass(frozen=True)
class Sample:
    """One simulated recording, solved.

    Parameters
    ----------
    x : the solution, (n, ny, nx).
    squared : q* of `fusionkit.uncertainty.error_scale`, (n,); None where no counts judge the bias.
    """

    x: Array
    squared: Array | None = None


@dataclass(frozen=True)
class Moments:
    """Bias and variance of the solutions of simulated data.

    Parameters
    ----------
    bias : mean of the samples minus the solution that they were simulated from.
    variance : unbiased variance of a sample.
    factors : c of each element, (n,).
    """

    bias: Array
    variance: Array
    factors: Array

    def standard_deviation(self) -> Array:
        """Of the error, bias included, shape (n, ny, nx)."""
        return np.sqrt(averaged(self.variance + self.factors[:, None, None] * self.bias**2))


@dataclass
class _Sums:
    """Sums over samples of a value and of its square; lives as long as the bootstrap."""

    first: Array
    second: Array
    count: int = 0

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> _Sums:
        return cls(np.zeros(shape), np.zeros(shape))

    def add(self, value: Array) -> None:
        self.count += 1
        self.first += value
        self.second += value * value

    def mean(self) -> Array:
        return self.first / self.count

    def variance(self) -> Array:
        return np.maximum(self.second - self.first**2 / self.count, 0.0) / (self.count - 1)


def moments(samples: Iterable[Sample], centre: Array, counts: Counts | None = None) -> Moments:
    """Bias and variance of two or more samples, which are not kept.

    Parameters
    ----------
    samples : solutions.
    centre : the solution that they were simulated from.
    counts : what judges the bias; None for the usual factor.
    """
    moves, squares = _Sums.empty(centre.shape), _Sums.empty(centre.shape[:1])
    smooth, lengths = np.zeros(centre.shape), np.zeros(centre.shape[:1])
    for sample in samples:
        move = np.asarray(sample.x, np.float64) - centre
        moves.add(move)
        if counts is not None and sample.squared is not None:
            in_data = narrow(move * counts.slope)
            smooth += in_data
            lengths += np.sum(in_data**2, axis=(1, 2))
            squares.add(sample.squared)
    told = np.full(len(centre), USUAL)
    if counts is not None and squares.count > 1:
        seen = np.sum((smooth / squares.count) ** 2, axis=(1, 2))
        seen -= (lengths / squares.count - seen) / (squares.count - 1)  # by which the mean of the samples scatters
        told = bias_factors(counts.observed, (squares.mean(), squares.variance()), seen)
    return Moments(moves.mean(), moves.variance(), told)


def solutions(
    solve: Callable[[np.random.Generator], Sample], samples: int, seed: int, workers: int | None
) -> Iterator[Sample]:
    """The solutions of the samples, in order: every sample has random numbers of its own, whichever worker takes it.

    Parameters
    ----------
    solve : draws data and solves them; called in threads, since kernels release Python's lock.
    samples, seed, workers : as `fusionkit.uncertainty.options.UncertaintyOptions`.
    """
    streams = (np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(samples))
    cores = thread_count()
    count = max(1, min(workers or cores, samples))
    with limit_threads(max(1, cores // count)), ThreadPoolExecutor(count, thread_name_prefix="bootstrap") as pool:
        while batch := list(islice(streams, count)):  # no more solutions wait than there are workers
            yield from (done.result() for done in [pool.submit(copy_context().run, solve, each) for each in batch])


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
