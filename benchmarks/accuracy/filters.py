"""Filtering without fusion: the best Gaussian filter."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.metrics import errors
from benchmarks.accuracy.specimens import Case
from fusionkit.terms import Array

WIDTHS = tuple(float(w) for w in np.geomspace(0.3, 15.0, 40))  # standard deviations, pixels


def gaussian(case: Case) -> tuple[Array, dict[str, Any]]:
    """Each map with the Gaussian filter of least error, or none."""
    truth = case.dataset.truth
    assert truth is not None
    maps, widths = [], []
    for one, known in zip(case.dataset.arrays["maps"], truth, strict=True):
        tried = [one, *(gaussian_filter(one, width, mode="nearest") for width in WIDTHS)]
        chosen = int(np.argmin([errors(x[None], known[None])[0] for x in tried]))
        maps.append(tried[chosen])
        widths.append((0.0, *WIDTHS)[chosen])
    return np.stack(maps), {"widths": widths}
