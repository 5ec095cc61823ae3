r"""Filters for white noise on the square root of the counts of each map: BM3D and non-local means.

:math:`2 \sqrt{n + 3/8}` has unit variance from about 5 counts on; the inverse is unbiased (M. Makitalo, A. Foi, IEEE
Trans. Image Process. 20, 99, 2011).
"""

from __future__ import annotations

from importlib import import_module
from itertools import product
from typing import Any

import numpy as np

from benchmarks.accuracy.filters import known, nearest
from benchmarks.accuracy.specimens import Case
from fusionkit.arrays import Array

_PATCHES, _STRENGTHS = (3, 5, 7), (0.3, 0.5, 0.7, 1.0)  # of non-local means


def root(counts: Array) -> Array:
    """Anscombe's transform."""
    return 2 * np.sqrt(np.maximum(counts, 0) + 0.375)


def counts_of(root: Array) -> Array:
    """Its unbiased inverse."""
    d = np.maximum(root, 2 * np.sqrt(0.375))
    series = d**2 / 4 + 0.25 * np.sqrt(1.5) / d - 11 / 8 / d**2 + 0.625 * np.sqrt(1.5) / d**3 - 0.125
    return np.maximum(series, 0)


def bm3d(case: Case) -> tuple[Array, dict[str, Any]]:
    """BM3D with the known noise."""
    package: Any = import_module("bm3d")  # not installed where the types are checked
    return np.stack([counts_of(package.bm3d(root(one), 1.0)) for one in case.dataset.arrays["maps"]]), {}


def non_local_means(case: Case) -> tuple[Array, dict[str, Any]]:
    """Non-local means by scikit-image, with the patch size and strength of least error for each element."""
    from skimage.restoration import denoise_nl_means

    settings = list(product(_PATCHES, _STRENGTHS))
    options: dict[str, Any] = {"patch_distance": 9, "sigma": 1.0, "fast_mode": True}

    def filtered(one: Array, patch: int, strength: float) -> Array:
        return counts_of(denoise_nl_means(root(one), patch_size=patch, h=strength, **options))

    pairs = zip(case.dataset.arrays["maps"], known(case), strict=True)
    chosen = [nearest([filtered(one, *setting) for setting in settings], truth) for one, truth in pairs]
    return np.stack([x for _, x in chosen]), {"patch, strength": [settings[place] for place, _ in chosen]}
