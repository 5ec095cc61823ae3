"""Errors of every penalty on every phantom, kept row by row so that an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.guided.solving import PENALTIES, automatic, best, errors, gaussian
from fusionkit.data.dataset import Dataset
from fusionkit.data.phantoms import PhantomSpec, simulate_dataset

PHANTOMS, DOSES, SIZES = ("cos_nanoparticle", "films", "lattice"), (5, 20, 100), (256, 128)
Row = dict[str, Any]


def recording(phantom: str, size: int, dose: float) -> Dataset:
    """The phantom; gamma 1.7, and image noise of 2 % of its maximum."""
    spec = PhantomSpec.model_validate({"preset": phantom, "size": size, "dose": float(dose), "gamma": 1.7})
    return simulate_dataset(spec, phantom)


def rows(folder: Path, sizes: tuple[int, ...] = SIZES) -> Iterator[Row]:
    """Every row, measured where its file is not there yet."""
    for size in sizes:
        for phantom in PHANTOMS:
            for dose in DOSES:
                dataset = recording(phantom, size, dose)
                for method in ("gaussian", *PENALTIES):
                    path = folder / f"{phantom}-{size}-{dose}-{method.replace(', ', '-')}.json"
                    if not path.exists():
                        found = {"phantom": phantom, "size": size, "dose": dose, "method": method}
                        found |= measure(dataset, method)
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_text(json.dumps(found))
                    yield json.loads(path.read_text())


def measure(dataset: Dataset, method: str) -> Row:
    """The errors of each map by one method, with the automatic weight and with the best."""
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
