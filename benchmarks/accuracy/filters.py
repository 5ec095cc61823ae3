"""Filters without a model: Gaussian filters, and the guided filter.

The guided filter is that of K. He, J. Sun, X. Tang, IEEE Trans. Pattern Anal. Mach. Intell. 35, 1397 (2013).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from benchmarks.accuracy.metrics import mean_nrmse
from benchmarks.accuracy.specimens import Case
from fusionkit.arrays import Array

WIDTHS = tuple(float(w) for w in np.geomspace(0.3, 15.0, 40))  # standard deviations, pixels
_SIDES, _FLATNESS = (3, 5, 9, 15, 25), (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def known(case: Case) -> Array:
    """The truth of a case."""
    assert case.dataset.truth is not None
    return case.dataset.truth


def nearest(tried: Iterable[Array], truth: Array) -> tuple[int, Array]:
    """Index and maps of the candidate with the least error; candidates and truth (n, ny, nx) or (ny, nx)."""
    stack = truth.reshape(-1, *truth.shape[-2:])
    candidates = list(tried)
    errors = [mean_nrmse(x.reshape(stack.shape), stack) for x in candidates]
    chosen = int(np.argmin(errors))
    return chosen, candidates[chosen]


def gaussian(case: Case) -> tuple[Array, dict[str, Any]]:
    """Each map with the Gaussian filter of least error, or none."""
    pairs = zip(case.dataset.arrays["maps"], known(case), strict=True)
    chosen = [nearest([one, *_filtered(one)], truth) for one, truth in pairs]
    return np.stack([x for _, x in chosen]), {"widths": [(0.0, *WIDTHS)[place] for place, _ in chosen]}


def gaussian_cv(case: Case) -> tuple[Array, dict[str, Any]]:
    """Each map with the width that predicts one half of the counts best from the other."""
    random = np.random.default_rng(1)
    maps, widths = [], []
    for one in case.dataset.arrays["maps"]:
        half = random.binomial(np.rint(one).astype(np.int64), 0.5).astype(np.float64)
        pairs = zip(_filtered(half), _filtered(one - half), strict=True)
        risks = [np.sum((a - (one - half)) ** 2) + np.sum((b - half) ** 2) for a, b in pairs]
        widths.append(WIDTHS[int(np.argmin(risks))])
        maps.append(gaussian_filter(one, widths[-1], mode="nearest"))
    return np.stack(maps), {"widths": widths}


def guided(case: Case) -> tuple[Array, dict[str, Any]]:
    """Each map, guided by the image, with the side and flatness of least error."""
    image = case.dataset.arrays["haadf"]
    image = (image - image.mean()) / image.std()
    settings = list(product(_SIDES, _FLATNESS))
    pairs = zip(case.dataset.arrays["maps"], known(case), strict=True)
    chosen = [nearest([_guided(one, image, *setting) for setting in settings], truth) for one, truth in pairs]
    return np.stack([x for _, x in chosen]), {"side, flatness": [settings[place] for place, _ in chosen]}


def _filtered(one: Array) -> Sequence[Array]:
    return [gaussian_filter(one, width, mode="nearest") for width in WIDTHS]


def _guided(one: Array, image: Array, side: int, flatness: float) -> Array:
    def mean(values: Array) -> Array:
        return uniform_filter(values, side, mode="nearest")

    brightness, counts = mean(image), mean(one)
    slope = (mean(image * one) - brightness * counts) / (mean(image * image) - brightness**2 + flatness)
    return np.maximum(mean(slope) * image + mean(counts - slope * brightness), 0.0)
