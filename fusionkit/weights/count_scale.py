r"""The weight of a Poisson term: 1 for counts, 1 / f for counts times f.

With counts c, data b = f c and their mean x = f mu, the likelihood is that of c:

.. math:: \sum_k \mu_k - c_k \log \mu_k = \frac1f \sum_k x_k - b_k \log x_k + \mathrm{const}

The factor f is the smallest step between values. Where an offset was taken off as well (``minmax`` on a map whose
least count is not 0), the steps are the same and it goes unseen.
"""

from __future__ import annotations

import numpy as np

from fusionkit.errors import UserError
from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight, rounded

_SAME = 1e-6  # of the greatest value: values that are closer are one value, rounded
_OFF = 0.05  # of a step: the most that a value may lie off a whole number of them


def is_counts(data: Array) -> bool:
    """Whether every value is a whole number >= 0."""
    return bool(np.all(data >= 0) and np.all(data == np.rint(data)))


def step_of(data: Array) -> float | None:
    """What counts were multiplied by to give these values; None where no factor does.

    Parameters
    ----------
    data : of any shape, >= 0.
    """
    values = np.unique(np.asarray(data, np.float64))
    largest = float(values[-1])
    if not largest > 0.0 or values[0] < 0.0:
        return None
    steps = np.diff(values, prepend=0.0)
    keep = steps > _SAME * largest
    values, steps = values[keep], steps[keep]
    # a long way is counted in short steps, since the shortest is known to a few digits only
    counts = np.cumsum(np.rint(steps / steps.min()))
    step = float(values[-1] / counts[-1])
    return step if float(np.abs(values - counts * step).max()) <= _OFF * step else None


def weight_of_counts(data: Array, labels: tuple[str, ...], index: int, term: str) -> ChosenWeight:
    """1 for counts, 1 / f for counts times f; where every map has its own f, what keeps the total number of counts.

    Parameters
    ----------
    data : counts or scaled counts; (n, ny, nx) for maps, each of which may have its own factor.
    labels : of the maps.
    index, term : of the term.

    Raises
    ------
    UserError : the data are no counts.
    """
    if is_counts(data):
        note = f"The weight of {term} is 1, since its data are counts."
        return ChosenWeight(index, term, 1.0, "count_scale", note, None, {"factor": 1.0})
    parts = list(data) if data.ndim == 3 else [data]
    names = labels if len(labels) == len(parts) else tuple(str(place) for place in range(len(parts)))
    factors: dict[str, float] = {}
    for name, part in zip(names, parts, strict=True):
        factor = step_of(part)
        if factor is not None:
            factors[name] = factor
        elif np.any(part != 0):
            said = "auto needs counts, or counts times a factor, and the data"
            said += f" of {name}" if len(parts) > 1 else ""
            raise UserError(
                f"terms[{index}].weight", f"{said} have no smallest step", "give maps of counts, or a number"
            )
    if not factors:
        raise UserError(f"terms[{index}].weight", "auto finds no counts: the data are all 0", "give other data")
    totals = {n: float(p.sum(dtype=np.float64)) for n, p in zip(names, parts, strict=True) if n in factors}
    counts = sum(total / factors[name] for name, total in totals.items())
    weight = counts / sum(totals.values())
    low, high = min(factors.values()), max(factors.values())
    note = f"The weight of {term} is {weight:.4g}, since its data are counts times {1 / weight:.4g}"
    if high > 1.01 * low:
        note += (
            f" on average ({low:.4g} to {high:.4g}, each map its own: only counts as they are weigh every map right)"
        )
    facts = {"factor": 1 / weight, **{f"factor_{name}": factor for name, factor in factors.items()}}
    return ChosenWeight(index, term, rounded(weight), "count_scale", note + ".", None, facts)
