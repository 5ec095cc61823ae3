"""Counts times a factor: the factor is the smallest step between values."""

from __future__ import annotations

import numpy as np

from fusionkit.terms import Array

_SAME = 1e-6  # of the greatest value: values that are closer are one value, rounded
_SAMPLE = 65_536
_OFF = 0.05  # of a step: the most that a value may lie off a whole number of them


def is_counts(data: Array) -> bool:
    """Whether every value is a whole number >= 0, and not all are multiples of one, as rates can be.

    Parameters
    ----------
    data : of any shape; a first axis of three is that of the maps, one of which is enough.
    """
    if not (np.all(data >= 0) and np.all(data == np.rint(data))):
        return False
    steps = [step_of(sample(one)) for one in (data if data.ndim == 3 else [data]) if one.any()]
    return not steps or any(step is None or step < 1.5 for step in steps)


def sample(image: Array) -> Array:
    """Values of an image, some of many: what shows their step, since sorting all would slow the start of a run."""
    flat = image.ravel()
    some = flat[:: max(1, flat.size // _SAMPLE)]
    return some if some.any() else flat[np.flatnonzero(flat)[:_SAMPLE]]


def step_of(data: Array) -> float | None:
    """What counts were multiplied by to give these values; None where no factor does.

    Where an offset was taken off as well (``minmax`` on a map whose least count is not 0), the steps are the same and
    it goes unseen.

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
    if not keep.any():  # too many values, too close: no step can be told from rounding
        return None
    values, steps = values[keep], steps[keep]
    # a long way is counted in short steps, since the shortest is known to a few digits only
    counts = np.cumsum(np.rint(steps / steps.min()))
    step = float(values[-1] / counts[-1])
    return step if float(np.abs(values - counts * step).max()) <= _OFF * step else None
