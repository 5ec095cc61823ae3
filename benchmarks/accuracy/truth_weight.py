"""fusionkit at the weight with the lowest error, the goal of ``weight: auto``."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.accuracy.fusion import ADAPTIVE, Fused, fuse
from benchmarks.accuracy.metrics import mean_nrmse
from benchmarks.accuracy.specimens import Case
from fusionkit.terms import Array

_COARSE = tuple(float(w) for w in np.geomspace(0.01, 20.48, 12))  # factors of 2
_FINE = tuple(2.0 ** (k / 6.0) for k in range(-5, 6) if k)


def best_adaptive(case: Case) -> tuple[Array, dict[str, Any]]:
    """The penalty that cos_adaptive chooses, at its best weight: half octaves about the choice, then sixths.

    The other weights are chosen without the truth.
    """
    truth = case.dataset.truth
    assert truth is not None
    automatic = fuse(case, config=ADAPTIVE)
    chosen = automatic.facts["weights"]
    penalty = "tgv" if chosen["tgv"] else "smooth"
    known = {name: weight for name, weight in chosen.items() if name != penalty}
    tried = {chosen[penalty]: (mean_nrmse(automatic.x, truth), automatic)}
    for spacing in (0.5, 1.0 / 6.0):
        middle = min(tried, key=lambda weight: tried[weight][0])
        for step in (-3, -2, -1, 1, 2, 3):
            weight = middle * 2.0 ** (step * spacing)
            sets = [f"terms.{name}.weight={value!r}" for name, value in {**known, penalty: weight}.items()]
            fused = fuse(case, sets, ADAPTIVE)
            tried[weight] = mean_nrmse(fused.x, truth), fused
    best = min(tried, key=lambda weight: tried[weight][0])
    curve = sorted((weight, error) for weight, (error, _) in tried.items())
    return tried[best][1].x, {penalty: best, "curve": curve}


def best_tv(case: Case) -> tuple[Array, dict[str, Any]]:
    """The maps with the lowest mean NRMSE, with known noise: factors of 2, then sixths of an octave about the best."""
    truth, sigma = case.dataset.truth, case.dataset.haadf_sigma
    assert truth is not None
    assert sigma is not None
    known = (f"terms.haadf.weight={sigma**-2!r}", "terms.poisson.weight=1.0")
    tried: dict[float, tuple[float, Fused]] = {}

    def attempt(weight: float) -> None:
        fused = fuse(case, (*known, f"terms.tv.weight={weight!r}"))
        tried[weight] = mean_nrmse(fused.x, truth), fused

    for weight in _COARSE:
        attempt(weight)
    middle = min(tried, key=lambda weight: tried[weight][0])
    for factor in _FINE:
        attempt(middle * factor)
    chosen = min(tried, key=lambda weight: tried[weight][0])
    curve = sorted((weight, error) for weight, (error, _) in tried.items())
    return tried[chosen][1].x, {"tv": chosen, "curve": curve}
