"""fusionkit with automatic or explicit settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.accuracy.specimens import Case
from fusionkit.data.dataset import Dataset
from fusionkit.reconstruct import Job, prepare
from fusionkit.terms import Array

TV, ADAPTIVE = "cos_auto", "cos_adaptive"  # packaged configurations


@dataclass(frozen=True)
class Fused:
    """Maps, and facts about the solve."""

    x: Array
    facts: dict[str, Any]


def blind(dataset: Dataset) -> Dataset:
    """The recording as a user has it: without truth or known noise."""
    return replace(dataset, truth=None, haadf_sigma=None, counts_per_unit=None, notes=())


def job(case: Case, *sets: str, config: str = TV) -> Job:
    """A prepared reconstruction: a packaged configuration with the case's exponent and ``sets``."""
    dataset = blind(case.dataset)
    return prepare(config, ("threads=1", f"terms.haadf.gamma={case.gamma!r}", *sets), read=lambda *_: dataset)


def fuse(case: Case, sets: Sequence[str] = (), config: str = TV) -> Fused:
    """fusionkit's maps; chosen weights, iterations and seconds as facts."""
    ready = job(case, *sets, config=config)
    result = ready.solve()
    facts: dict[str, Any] = {
        "status": str(result.status.value),
        "iterations": result.iterations,
        "setup_seconds": ready.setup_seconds,
        "solve_seconds": result.seconds,
        "weights": {chosen.term: chosen.weight for chosen in ready.weights},
    }
    curves = [chosen.curve for chosen in ready.weights if chosen.curve is not None]
    if curves:
        facts["solves"] = sum(len(curve.weights) for curve in curves)
        facts["search_iterations"] = sum(chosen.iterations for chosen in ready.weights)
    return Fused(np.asarray(result.x, np.float64), facts)
