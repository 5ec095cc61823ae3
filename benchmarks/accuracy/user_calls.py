"""fusionkit as users call it: `fusionkit.fuse` on arrays, and a packaged configuration for a file."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

import fusionkit as fk
from benchmarks.accuracy.specimens import Case
from fusionkit.arrays import Array

Maps = tuple[Array, dict[str, Any]]


def fuse(case: Case) -> Maps:
    """`fusionkit.fuse` with its defaults."""
    dataset = case.dataset
    fused = fk.fuse(dataset.arrays["haadf"], dict(zip(dataset.elements, dataset.arrays["maps"], strict=True)))
    x = np.stack([fused.arrays[element] for element in dataset.elements])
    return np.asarray(x, np.float64), {"status": str(fused.result.status), "notes": fused.notes}


def packaged(config: str, image: bool = True) -> Callable[[Case], Maps]:
    """A packaged configuration for a file, with gain and offset of the detector fitted.

    Parameters
    ----------
    config : its name.
    image : False removes the image from the terms and from the groups of patches.
    """

    def run(case: Case) -> Maps:
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{config}.yaml"
            path.write_text(_config(config, image, case.dataset.elements), encoding="utf-8")
            arrays = dict(zip(case.dataset.elements, case.dataset.arrays["maps"], strict=True))
            np.savez(Path(folder) / "recording.npz", HAADF=case.dataset.arrays["haadf"], **arrays)
            job = fk.prepare(path)
            result = job.solve()
        weights = {chosen.term: chosen.weight for chosen in job.weights}
        return np.asarray(result.x, np.float64), {"status": str(result.status), "weights": weights}

    return run


def _config(name: str, image: bool, elements: tuple[str, ...]) -> str:
    options = yaml.safe_load((files("fusionkit.configs") / f"{name}.yaml").read_text(encoding="utf-8"))
    options["data"] = {"path": "recording.npz", "haadf": "HAADF", "maps": list(elements)}
    terms = []
    for term in options["terms"]:
        if term["type"] == "haadf":
            term |= {"gain": "auto", "offset": "auto"}
        if not image and term["type"] == "joint_nonlocal":
            term |= {"guide": None}
        if image or term["type"] != "haadf":
            terms.append(term)
    return yaml.safe_dump({**options, "terms": terms}, sort_keys=False)
