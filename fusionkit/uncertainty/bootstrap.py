r"""Standard deviations by parametric bootstrap: the solution's simulated data are solved like the recording.

**Simulated data** are the predictions of the forward models from the solution, with the noise of the losses,

.. math:: b^* \sim \mathrm{Poisson}(w \bar b) / w, \qquad
          b^* = \bar b + \mathcal N(0, s^2)

with the mean of the data from `fusionkit.uncertainty.residuals`. The weight w of counts is 1; s is the visible noise of
an image, and for other data with normal noise 1 / s^2 is the weight. A weight of the image below 1 / s^2 means that its
model deviates by more than the noise: data drawn with 1 / w would have noise that the image does not have.

**The standard deviation.** With solutions :math:`x^*` of simulated data, each started from x, and averages over samples
<>,

.. math:: s^2 = A\, V + c\, A \bigl[ (\langle x^* \rangle - x)^2 - V / n \bigr]_+, \qquad
          V = \bigl\langle (x^* - \langle x^* \rangle)^2 \bigr\rangle

where A is a local average and n the number of samples. The second part is the squared bias: a penalty flattens its
input, and its effect on x in a second solve estimates its effect on the truth. That may be smaller or larger the second
time; the factor c of each element comes from its counts, see `fusionkit.uncertainty.error_scale`. Both parts are
averaged over neighbours, since few samples determine the variance and the bias of one pixel badly (with the averages, 8
and 30 samples cover the same share of the pixels within 1 %), and since the bias of the recording lies near that of the
samples, but not at the same pixels. Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993),
chapter 10.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.engines.cpu.threads import thread_count
from fusionkit.errors import UserError
from fusionkit.machine import limit_threads
from fusionkit.operators.fidelity import Fidelity
from fusionkit.problem import Problem
from fusionkit.terms import Array, Fitted, Term
from fusionkit.uncertainty.error_scale import USUAL, CountResiduals, bias_factors
from fusionkit.uncertainty.residuals import data_mean, local_mean, normal_variance, smoothed

TOLERANCE = 1e-3  # of the solves: 1e-4 or 3e-5 change the standard deviations by 1 % and take twice as long


@dataclass(frozen=True)
class Sample:
    """One simulated recording, solved."""

    x: Array  # the solution, (n, ny, nx)
    # q* of `fusionkit.uncertainty.error_scale`, (n,); None without counts to compare the bias with
    squared: Array | None = None


@dataclass(frozen=True)
class Moments:
    """Bias and variance of the solutions of simulated data."""

    bias: Array  # mean of the samples minus the solution behind them
    variance: Array  # unbiased variance of a sample
    factors: Array  # c of each element, (n,)
    samples: int  # their number

    def standard_deviation(self) -> Array:
        """Standard deviation of the error, bias included, (n, ny, nx)."""
        variance = local_mean(self.variance)
        # without the scatter of the mean, so that few samples suffice
        squared_bias = np.maximum(local_mean(self.bias**2) - variance / self.samples, 0.0)
        return np.sqrt(variance + self.factors[:, None, None] * squared_bias)


@dataclass
class _Sums:
    """Running sums of a value and its square."""

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


@dataclass
class Tally:
    """What the samples so far add up to, which a checkpoint can hold."""

    # moves, squares: of the solutions minus the solution behind them, and of `Sample.squared`
    moves: _Sums
    squares: _Sums
    # smooth, lengths: the moves as the smoothed residuals see them, and their squared lengths, (n,)
    smooth: Array
    lengths: Array
    notes: tuple[Any, ...] = ()  # what the caller noted of each sample

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Tally:
        """Without a sample, for an unknown of this shape."""
        return cls(_Sums.empty(shape), _Sums.empty(shape[:1]), np.zeros(shape), np.zeros(shape[:1]))

    def add(self, sample: Sample, centre: Array, counts: CountResiduals | None) -> None:
        """Add a sample, see `moments`."""
        move = np.asarray(sample.x, np.float64) - centre
        self.moves.add(move)
        if counts is not None and sample.squared is not None:
            in_data = smoothed(move * counts.slope)
            self.smooth += in_data
            self.lengths += np.sum(in_data**2, axis=(1, 2))
            self.squares.add(sample.squared)

    def moments(self, counts: CountResiduals | None) -> Moments:
        """Bias and variance of the samples, see `moments`."""
        number, scale = self.squares.count, np.full(len(self.lengths), USUAL)
        if counts is not None and number > 1:
            squared_bias = np.sum((self.smooth / number) ** 2, axis=(1, 2))
            # scatter of the mean of the samples
            squared_bias -= (self.lengths / number - squared_bias) / (number - 1)
            scale = bias_factors(counts.observed, (self.squares.mean(), self.squares.variance()), squared_bias)
        return Moments(self.moves.mean(), self.moves.variance(), scale, self.moves.count)


def moments(samples: Iterable[Sample], centre: Array, counts: CountResiduals | None = None) -> Moments:
    """Bias and variance of two or more samples, without keeping these.

    Parameters
    ----------
    samples : solutions.
    centre : the solution behind the simulated data.
    counts : to compare the bias with; None for the usual factor.
    """
    tally = Tally.empty(centre.shape)
    for sample in samples:
        tally.add(sample, centre, counts)
    return tally.moments(counts)


def solutions(
    solve: Callable[[np.random.Generator], Sample], samples: int, seed: int, workers: int | None, first: int = 0
) -> Generator[Sample]:
    """The solutions of the samples, in order; the random numbers of a sample do not depend on its worker.

    Parameters
    ----------
    solve : draws data and solves them; runs in threads, since kernels release the GIL.
    samples, seed, workers : as `fusionkit.uncertainty.options.UncertaintyOptions`.
    first : number of samples to leave out, which an earlier run has solved.
    """
    streams = (np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(samples)[first:])
    cores = thread_count()
    count = max(1, min(workers or cores, samples))
    with limit_threads(max(1, cores // count)), ThreadPoolExecutor(count, thread_name_prefix="bootstrap") as pool:
        while batch := list(islice(streams, count)):  # so that no more solutions wait than there are workers
            yield from (done.result() for done in [pool.submit(copy_context().run, solve, each) for each in batch])


_NOISES = ("poisson", "normal")


@dataclass(frozen=True)
class Model:
    """Expected data and their noise."""

    terms: tuple[Fidelity, ...]  # the fits to data, one for each array
    expected: tuple[Array, ...]  # data of each
    variances: tuple[float | Array, ...]  # of the normal noise of each; unused for counts

    def draw(self, dataset: Dataset, random: np.random.Generator) -> Dataset:
        """The dataset with simulated data."""
        arrays = dict(dataset.arrays)
        for term, mean, variance in zip(self.terms, self.expected, self.variances, strict=True):
            array = arrays[term.target]
            drawn = _noisy(term, mean, variance, random).reshape(array.shape).astype(array.dtype)
            arrays[term.target] = np.where(np.isnan(array), array, drawn)
        return replace(dataset, arrays=arrays)


def data_model(problem: Problem, x: Array) -> Model:
    """The model to draw data from for the unknown ``x``."""
    first: dict[str, Fidelity] = {}
    for term in _fitted(problem):
        first.setdefault(term.target, term)
    terms = tuple(first.values())
    return Model(terms, tuple(data_mean(term, x) for term in terms), tuple(normal_variance(term) for term in terms))


def check_drawable(problem: Problem, where: str) -> None:
    """`UserError` if the noise of some data is unknown."""
    for term in problem.terms:
        if isinstance(term, Fitted) and not _drawable(term):
            problem_text = f"the bootstrap cannot simulate the data of {term.name}, whose noise it does not know"
            raise UserError(where, problem_text, "use least_squares or poisson, or method: none")
    if not _fitted(problem):
        raise UserError(where, "the bootstrap needs a term with data and a weight > 0", "use method: none")


def _drawable(term: Term) -> bool:
    return isinstance(term, Fidelity) and bool(term.target) and term.noise in _NOISES


def _fitted(problem: Problem) -> list[Fidelity]:
    return [t for t in problem.terms if isinstance(t, Fidelity) and _drawable(t) and t.weight > 0]


def _noisy(term: Fidelity, mean: Array, variance: float | Array, random: np.random.Generator) -> Array:
    if term.noise == "poisson":
        return random.poisson(term.weight * mean) / term.weight
    return mean + variance**0.5 * random.standard_normal(mean.shape)
