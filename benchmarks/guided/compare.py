"""Errors of every penalty on every phantom. Each row is kept in a file, so that a run resumes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.accuracy.metrics import errors
from benchmarks.accuracy.specimens import Recording, phantom
from benchmarks.guided.solving import PENALTIES, automatic, best, gaussian
from fusionkit.data.dataset import Dataset

PHANTOMS, DOSES, SIZES = ("cos_nanoparticle", "films", "lattice"), (5, 20, 100), (256, 128)
Row = dict[str, Any]


def recording(preset: str, size: int, dose: float) -> Dataset:
    """The phantom; gamma 1.7, and image noise of 2 % of its maximum."""
    return phantom(preset, Recording(preset, size, dose, 0))


def rows(folder: Path, sizes: tuple[int, ...] = SIZES) -> Iterator[Row]:
    """Every row, read from its file or measured."""
    for size in sizes:
        for preset in PHANTOMS:
            for dose in DOSES:
                dataset = recording(preset, size, dose)
                for method in ("gaussian", *PENALTIES):
                    path = folder / f"{preset}-{size}-{dose}-{method.replace(', ', '-')}.json"
                    if not path.exists():
                        found = {"phantom": preset, "size": size, "dose": dose, "method": method}
                        found |= measure(dataset, method)
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_text(json.dumps(found))
                    yield json.loads(path.read_text())


def measure(dataset: Dataset, method: str) -> Row:
    """Errors of each map by one method, with the automatic and the best weight."""
    truth = dataset.truth
    assert truth is not None
    if method == "gaussian":
        return {"best": errors(gaussian(dataset), truth)}
    auto = automatic(dataset, PENALTIES[method])
    known = best(dataset, PENALTIES[method], auto.weight)
    return {
        "auto": errors(auto.x, truth),
        "auto_weight": auto.weight,
        "best": errors(known.x, truth),
        "best_weight": known.weight,
    }
