"""What people do without fusion: the raw maps, and Gaussian filtering at its best."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.metrics import rescaled
from benchmarks.accuracy.specimens import Case
from fusionkit.report.metrics import nrmse
from fusionkit.terms import Array

WIDTHS = tuple(float(w) for w in np.geomspace(0.3, 15.0, 40))  # standard deviations, pixels


def gaussian(case: Case) -> tuple[Array, dict[str, Any]]:
    """Each map by the Gaussian filter whose width the truth chooses for this element."""
    truth = case.dataset.truth
    assert truth is not None
    maps, widths = [], []
    for one, known in zip(case.dataset.arrays["maps"], truth, strict=True):
        tried = [one, *(gaussian_filter(one, width, mode="nearest") for width in WIDTHS)]
        errors = [nrmse(rescaled(x[None], known[None])[0], known) for x in tried]
        chosen = int(np.argmin(errors))
        maps.append(tried[chosen])
        widths.append((0.0, *WIDTHS)[chosen])
    return np.stack(maps), {"widths": widths}
