r"""What the data of a term are on average where the unknown is the solution.

A Poisson term adds epsilon to its prediction. That may be a background which the data have, or no more than what keeps
the logarithm finite: pixels without the element tell. Their mean, between 0 and epsilon, is the background here; where
there are too few of them, the term is taken at its word.
"""

from __future__ import annotations

import numpy as np

from fusionkit.operators.fidelity import Fidelity
from fusionkit.terms import Array

_FEWEST = 100  # pixels without the element


def mean_of(term: Fidelity, x: Array) -> Array:
    """The mean of the data, of their shape, float64.

    Parameters
    ----------
    term : compares a prediction with the data.
    x : the solution.
    """
    prediction = np.asarray(term.predict(x), np.float64)
    offset = np.asarray(term.expected(x), np.float64) - prediction
    if term.noise != "poisson":
        return prediction + offset
    empty = prediction < offset
    if np.count_nonzero(empty) >= _FEWEST:
        found = np.mean(term.data[empty] - prediction[empty], dtype=np.float64)
        offset = np.clip(found, 0.0, offset)
    return np.maximum(prediction + offset, 0.0)  # rounding takes a mean of zero below it
