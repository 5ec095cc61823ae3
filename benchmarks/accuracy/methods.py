"""The methods by name: each returns maps in counts, and facts about the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.accuracy import filters, fusion, low_rank, reference, stabilised, user_calls
from benchmarks.accuracy.breakages import calibrated
from benchmarks.accuracy.factors import factors
from benchmarks.accuracy.fusion import fuse, job
from benchmarks.accuracy.pca import pca
from benchmarks.accuracy.specimens import Case
from benchmarks.accuracy.truth_weight import best_adaptive, best_tv
from fusionkit.terms import Array

Maps = tuple[Array, dict[str, Any]]
Method = Callable[[Case], Maps]

RAW, GAUSSIAN, PCA, REFERENCE, AUTO, BEST_TV = "raw", "gaussian", "pca", "reference", "auto", "best_tv"
GUIDED, JOINT_TGV, ADAPTIVE, BEST_ADAPTIVE = "structure_tensor_tv", "joint_tgv", "cos_adaptive", "best_adaptive"
MAIN = (RAW, GAUSSIAN, PCA, REFERENCE, AUTO, GUIDED, ADAPTIVE, BEST_TV)
BM3D, LOW_RANK, LOW_RANK_IMAGE, FUSE = "bm3d", "jnl", "jnl_h", "fuse"
GAMMAS = (1.0, 1.2, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.2)


def _fused(*sets: str, config: str = fusion.TV) -> Method:
    def run(case: Case) -> Maps:
        found = fuse(case, sets, config)
        return found.x, found.facts

    return run


def _dropped(term: str) -> Method:
    """The weights chosen for all three terms, then one of them set to zero."""

    def run(case: Case) -> Maps:
        chosen = fuse(case).facts["weights"] | {term: 0.0}
        found = fuse(case, [f"terms.{name}.weight={weight!r}" for name, weight in chosen.items()])
        return found.x, found.facts | {"weights": chosen}

    return run


def _assumed(gamma: float, calibrate: bool) -> Method:
    def run(case: Case) -> Maps:
        dataset = calibrated(case.dataset, gamma) if calibrate else case.dataset
        found = fuse(Case(dataset, gamma))
        return found.x, found.facts

    return run


ABLATION: dict[str, Method] = {
    "drop_haadf": _dropped("haadf"),
    "drop_poisson": _dropped("poisson"),
    "drop_tv": _dropped("tv"),
    # without the image another weight of TV is best
    "drop_haadf_auto": _fused("terms.haadf.weight=0.0"),
}
SWEEP: dict[str, Method] = {
    f"gamma_{gamma:.1f}{suffix}": _assumed(gamma, calibrate)
    for gamma in GAMMAS
    for suffix, calibrate in (("", True), ("_units", False))
}


def _intervals(method: str, config: str = fusion.TV) -> Method:
    """fusionkit's maps, with the ends of the 90 % intervals as facts."""

    def run(case: Case) -> Maps:
        from fusionkit.uncertainty.intervals import intervals

        ready = job(case, f"uncertainty.method={method}", config=config)
        result = ready.solve()
        x, found = result.x, ready.assess(result).uncertainty
        assert found is not None
        low, high = intervals(x, found.standard_deviation, found.interval)
        return np.asarray(x, np.float64), {"low": low, "high": high, "seconds": found.seconds}

    return run


INTERVALS: dict[str, Method] = {
    **{name: _intervals(name) for name in ("curvature", "bootstrap")},
    "bootstrap_adaptive": _intervals("bootstrap", fusion.ADAPTIVE),
}
# gain and exponent are fitted in the solve; the user does not know the units of the image
FITTED: dict[str, Method] = {"gamma_fitted": _fused("terms.haadf.gamma=[1.4, 2.0]", "terms.haadf.gain=auto")}
REGULARISERS: dict[str, Method] = {
    "tv_per_element": _fused("terms.tv.per_element=auto"),
    "vectorial_tv": _fused("terms.tv={type: vectorial_tv, weight: auto}"),
    "nuclear_tv": _fused("terms.tv={type: vectorial_tv, coupling: nuclear, weight: auto}"),
    "huber_tv": _fused("terms.tv={type: huber_tv, smoothing: 0.5, weight: auto}"),
    "tgv": _fused("terms.tv={type: tgv, weight: auto}"),
    JOINT_TGV: _fused("terms.tv={type: tgv, coupling: joint, weight: auto}"),
    "directional_tv": _fused("terms.tv={type: directional_tv, weight: auto}"),
    GUIDED: _fused("terms.tv={type: structure_tensor_tv, weight: auto}"),
}
OTHERS: dict[str, Method] = {
    "gaussian_cv": filters.gaussian_cv,
    BM3D: stabilised.bm3d,
    "nlm": stabilised.non_local_means,
    "factors": factors,
    "guided": filters.guided,
    LOW_RANK: low_rank.maps_alone,
    LOW_RANK_IMAGE: low_rank.with_image,
}
USER_CALLS: dict[str, Method] = {
    FUSE: user_calls.fuse,
    **{
        f"file_{config}{suffix}": user_calls.packaged(config, image)
        for config in ("cos_adaptive", "cos_nonlocal")
        for suffix, image in (("", True), ("_alone", False))
    },
}
COMPARED = (RAW, GAUSSIAN, *OTHERS, REFERENCE, *USER_CALLS)
NEEDS = {BM3D: "bm3d", "nlm": "skimage", REFERENCE: "multimodal_fusion"}  # packages
METHODS: dict[str, Method] = {
    RAW: lambda case: (case.dataset.arrays["maps"], {}),
    GAUSSIAN: filters.gaussian,
    PCA: pca,
    REFERENCE: reference.best,
    AUTO: _fused(),
    ADAPTIVE: _fused(config=fusion.ADAPTIVE),
    BEST_TV: best_tv,
    BEST_ADAPTIVE: best_adaptive,
    **ABLATION,
    **SWEEP,
    **FITTED,
    **INTERVALS,
    **REGULARISERS,
    **OTHERS,
    **USER_CALLS,
}
