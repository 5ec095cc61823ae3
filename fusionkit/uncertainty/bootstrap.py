r"""Standard deviations by parametric bootstrap: data simulated from the solution are solved as the recording was.

With solutions :math:`x^*` of simulated data, each started from x, and averages over samples <>,

.. math:: s^2 = A \Bigl[ \bigl\langle (x^* - \langle x^* \rangle)^2 \bigr\rangle
                + c\, (\langle x^* \rangle - x)^2 \Bigr]

where A is a local average and c = 1.5. The second part is the squared bias: a penalty flattens what it is given, and
what it takes from x when that is solved again estimates what it took from the truth. It takes less the second time,
hence c. Both are averaged over neighbours, since 30 samples know a variance to 26 % and the bias of one pixel hardly.
Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.fast_threads import thread_count
from fusionkit.terms import Array
from fusionkit.threads import limit_threads

# Chosen with the width of the average on three phantoms at 5, 20 and 100 counts with one seed, where c = 1 covers 81 to
# 94 % of the pixels and c = 1.5 90 to 95 %; other seeds agree (docs/uncertainty.md).
_BIAS = 1.5
_WIDTH = 3.0  # pixels, standard deviation of the Gaussian that averages
TOLERANCE = 1e-3  # of the solves: with 1e-4 or 3e-5 the standard deviations are the same to 1 % and take twice as long


@dataclass(frozen=True)
class Moments:
    """Bias and variance of the solutions of simulated data.

    Parameters
    ----------
    bias : mean of the samples minus the solution that they were simulated from.
    variance : unbiased variance of a sample.
    """

    bias: Array
    variance: Array

    def standard_deviation(self) -> Array:
        """Of the error, bias included, shape (n, ny, nx)."""
        squared = self.variance + _BIAS * self.bias**2
        return np.sqrt(gaussian_filter(squared, (0.0, _WIDTH, _WIDTH)))


def moments(samples: Iterable[Array], centre: Array) -> Moments:
    """Bias and variance of two or more samples, which are not kept.

    Parameters
    ----------
    samples : solutions.
    centre : the solution that they were simulated from.
    """
    count, first, second = 0, np.zeros(centre.shape), np.zeros(centre.shape)
    for sample in samples:
        move = np.asarray(sample, np.float64) - centre
        count += 1
        first += move
        second += move * move
    return Moments(first / count, np.maximum(second - first**2 / count, 0.0) / (count - 1))


def solutions(
    solve: Callable[[np.random.Generator], Array], samples: int, seed: int, workers: int | None
) -> Iterator[Array]:
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
