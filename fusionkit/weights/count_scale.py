r"""The weight of a Poisson term: 1 for counts, 1 / f for counts times f.

With counts c, data b = f c and their mean x = f mu, the likelihood is that of c:

.. math:: \sum_k \mu_k - c_k \log \mu_k = \frac1f \sum_k x_k - b_k \log x_k + \mathrm{const}

The factor f is the smallest step between values, or, where there is none, the variance of the noise over the mean.
"""

from __future__ import annotations

import numpy as np

from fusionkit.data.counts.scale import is_counts, mean_variance, step_of
from fusionkit.errors import UserError
from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight, rounded


def weight_of_counts(
    data: Array, labels: tuple[str, ...], index: int, term: str, converted: bool = False
) -> ChosenWeight:
    """1 for counts, 1 / f for counts times f; where every map has its own f, what keeps the total number of counts.

    Parameters
    ----------
    data : counts, scaled counts or fractions; (n, ny, nx) for maps, each of which may have its own factor.
    labels : of the maps.
    index, term : of the term.
    converted : whether the data were turned into counts when they were read.

    Raises
    ------
    UserError : the data are all 0, or have neither a smallest step nor noise.
    """
    if converted or is_counts(data):
        note = f"The weight of {term} is 1, since its data are {'taken to ' * converted}counts."
        return ChosenWeight(index, term, 1.0, "count_scale", note, None, {"factor": 1.0})
    factors, errors, totals = _factors(data, labels, index)
    if not factors:
        raise UserError(f"terms[{index}].weight", "auto finds no counts: the data are all 0", "give other data")
    counts = sum(total / factors[name] for name, total in totals.items())
    weight = counts / sum(totals.values())
    low, high = min(factors.values()), max(factors.values())
    how = "as effective counts from their noise, one being" if errors else "counts times"
    note = f"The weight of {term} is {weight:.4g}, since its data are {how} {1 / weight:.4g}"
    if high > 1.01 * low:
        note += (
            f" on average ({low:.4g} to {high:.4g}, each map its own: data.maps_are makes them counts, which weigh "
            "every map right)"
        )
    facts = {"factor": 1 / weight, **{f"factor_{name}": factor for name, factor in factors.items()}}
    return ChosenWeight(index, term, rounded(weight), "count_scale", note + ".", _limits(weight, errors), facts)


def _factors(
    data: Array, labels: tuple[str, ...], index: int
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """The factor of each map that is not empty, its relative error where the noise tells it, and the map's sum."""
    parts = list(data) if data.ndim == 3 else [data]
    names = labels if len(labels) == len(parts) else tuple(str(place) for place in range(len(parts)))
    factors, errors, totals = dict[str, float](), dict[str, float](), dict[str, float]()
    for name, part in zip(names, parts, strict=True):
        if not np.any(part != 0):
            continue
        factor = step_of(part)
        if factor is None:
            fit = mean_variance(part) if part.ndim == 2 and part.min() >= 0 else None
            if fit is None:
                said = "auto needs counts or what was made of them, and the data"
                said += f" of {name}" if len(parts) > 1 else ""
                remedy = "give maps of counts, or a number"
                raise UserError(f"terms[{index}].weight", f"{said} have neither a smallest step nor noise", remedy)
            factor, errors[name] = fit.factor, fit.error
        factors[name], totals[name] = factor, float(part.sum(dtype=np.float64))
    return factors, errors, totals


def _limits(weight: float, errors: dict[str, float]) -> tuple[float, float] | None:
    """Two standard errors, the largest of any map."""
    if not errors:
        return None
    error = 2.0 * max(errors.values())
    return rounded(weight / (1.0 + error)), rounded(weight * (1.0 + error))
