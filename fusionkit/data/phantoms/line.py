r"""Data of a linear regression: :math:`y = X w + b + \mathcal N(0, \sigma^2)`."""

from typing import Annotated

import numpy as np
from pydantic import Field

from fusionkit.data.dataset import Dataset
from fusionkit.data.phantoms.base import PhantomOptions
from fusionkit.options import Finite, NonNegative


class LineOptions(PhantomOptions):
    """Options of ``line``.

    Parameters
    ----------
    samples : number of observations m.
    coefficients : w, one for each of the p features.
    intercept : b.
    noise : standard deviation sigma, in the units of y.
    """

    samples: Annotated[int, Field(ge=2)] = 100
    coefficients: Annotated[list[Finite], Field(min_length=1)] = Field(default_factory=lambda: [2.0])
    intercept: Finite = 0.5
    noise: NonNegative = 0.1

    def bytes_needed(self) -> int:
        """Bytes that the simulation needs, roughly."""
        return 32 * self.samples * (len(self.coefficients) + 1)


def line(options: LineOptions) -> Dataset:
    """The phantom ``line``: X (m, p), uniform in [-1, 1], y (m,); the ground truth is w, then b, shape (p + 1,)."""
    features, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(2))
    x = features.uniform(-1.0, 1.0, (options.samples, len(options.coefficients)))
    truth = np.array([*options.coefficients, options.intercept])
    y = x @ truth[:-1] + truth[-1] + options.noise * noise.standard_normal(options.samples)
    return Dataset({"X": x, "y": y}, truth=truth, source="phantom line", seed=options.seed)
