"""A few factors of the elements after a Gaussian filter: what PCA and NMF can do with maps alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.filters import known, nearest
from benchmarks.accuracy.specimens import Case
from fusionkit.arrays import Array

_WIDTHS = (0.0, 0.5, 0.8, 1.2, 1.8, 2.5, 4.0)


def factors(case: Case) -> tuple[Array, dict[str, Any]]:
    """Maps of low rank, weighted for Poisson noise and clipped at zero, with the rank and width of least error."""
    maps = case.dataset.arrays["maps"]
    weight = np.sqrt(maps.mean((1, 2)))[:, None]
    settings, tried = [], []
    for width in _WIDTHS:
        smooth = np.stack([gaussian_filter(one, width, mode="nearest") if width else one for one in maps])
        left, values, right = np.linalg.svd(smooth.reshape(len(maps), -1) / weight, full_matrices=False)
        for rank in range(1, len(maps) + 1):
            low = (left[:, :rank] * values[:rank]) @ right[:rank] * weight
            tried.append(np.maximum(low, 0.0).reshape(maps.shape))
            settings.append({"width": width, "rank": rank})
    chosen, x = nearest(tried, known(case))
    return x, settings[chosen]
