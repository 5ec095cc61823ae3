"""``summary.json``: the outcome and the origin of a run as strict JSON."""

import json
import math
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.data.missing import known
from fusionkit.machine import peak
from fusionkit.results.record import RunRecord

INCOMPLETE = "incomplete"  # key of a summary while other files are being written, or without the error bars
_DISTRIBUTIONS = {"fusionkit": "fusionkit-em"} | {
    name: name for name in ("numpy", "scipy", "numba", "pylops", "pyproximal", "h5py")
}
# distributions that only some runs use, by their modules
_OPTIONAL = {"rsciio": "rosettasciio", "hyperspy": "hyperspy", "exspy": "exspy", "skimage": "scikit-image"}


def versions() -> dict[str, str]:
    """Versions of Python, fusionkit and the libraries that affect the numbers, of optional ones if loaded."""
    loaded = {name: name for module, name in _OPTIONAL.items() if module in sys.modules}
    return {"python": platform.python_version()} | {
        name: _version(distribution) for name, distribution in (_DISTRIBUTIONS | loaded).items()
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # a checkout also runs without being installed
        return "not installed"


def summarise(record: RunRecord, write_seconds: float) -> dict[str, Any]:
    """The contents of ``summary.json``; numbers may still be infinite or NaN. Writing the other files took so long."""
    result, dataset = record.result, record.dataset
    certificate = result.certificate
    return {
        "status": str(result.status),
        **({INCOMPLETE: True} if record.is_stopped else {}),
        "message": result.message,
        "verdict": None if record.verdict is None else record.verdict.plain(),
        "iterations": result.iterations,
        "objective": result.objective,
        "terms": dict(result.terms),
        "weights": dict(record.term_weights),
        "weights_auto": {chosen.term: chosen.plain() for chosen in record.weights},
        "parameters": {
            term: {name: {"value": each.value, "error": each.error} for name, each in parameters.items()}
            for term, parameters in result.parameters.items()
        },
        "optimality": result.optimality,
        "certificate": {
            "stationarity": certificate.stationarity,
            "alignment": certificate.alignment,
            "feasibility": certificate.feasibility,
            "calibration": certificate.calibration,
        },
        "uncertainty": None if record.uncertainty is None else record.uncertainty.plain(result.labels),
        "composition": {each.region.name: each.plain() for each in record.compositions},
        "steps": dict(result.steps),
        "seconds": {**record.seconds, "write": write_seconds},
        "memory": {"estimate": record.memory, "peak": peak()},
        "versions": versions(),
        "seed": dataset.seed,
        "source": dataset.source,
        "files": dict(record.files),
        "pixel_size": dataset.pixel_size,
        "units": dataset.units,
        "origin": None if dataset.origin is None else list(dataset.origin),
        "metadata": dict(dataset.metadata),
        "elements": list(dataset.elements),
        "counts": counts_of(dataset) | {name: one.plain() for name, one in record.counts.items()},
        "labels": list(result.labels),
        "shape": list(result.x.shape),
        "precision": str(result.x.dtype),
        "engine": result.engine,
        "device": result.device or None,
        "notes": [*dataset.notes, *result.notes],
        "warnings": list(record.warnings),
        "diagnostics": [each.text for each in record.diagnostics],
    }


def counts_of(dataset: Dataset) -> dict[str, Any]:
    """The kind of the maps; if the unit of a count is known, counts of each element and dose (per pixel, of all)."""
    maps, counting = dataset.arrays.get("maps"), dataset.counting
    facts: dict[str, Any] = {} if counting is None else counting.plain()
    scale = dataset.counts_per_unit
    if scale is None and counting is not None and counting.kind == "counts":
        scale = 1.0
    names = dataset.stacks.get("maps", dataset.elements)
    if maps is None or scale is None or maps.ndim != 3 or len(names) != len(maps):
        return facts
    totals = [scale * float(np.sum(known(counts), dtype=np.float64)) for counts in maps]
    pixels = known(maps[0]).size
    return facts | {
        "counts_per_unit": scale,
        "total": dict(zip(names, totals, strict=True)),
        "per_pixel": {name: total / pixels for name, total in zip(names, totals, strict=True)},
        "dose": sum(totals) / pixels,
    }


def to_json(summary: Mapping[str, Any]) -> str:
    """Strict JSON of a `summarise`; infinite numbers and NaN become ``null`` and are listed in ``notes``."""
    replaced: list[str] = []
    plain = plain_json(summary, "", replaced)
    plain["notes"] += [f"{entry}, which JSON cannot hold; it is null here" for entry in replaced]
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plain_json(value: Any, key: str, replaced: list[str]) -> Any:
    """Plain Python values with None for numbers that are not finite, whose keys are appended to ``replaced``."""
    if isinstance(value, Mapping):
        return {str(k): plain_json(v, f"{key}.{k}" if key else str(k), replaced) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(v, f"{key}[{index}]", replaced) for index, v in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        replaced.append(f"{key} is {value}")
        return None
    return value
