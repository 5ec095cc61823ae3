"""multimodal-fusion 0.6.0 on the data and objective of fusionkit.

The package's step is 1/n for n elements, so its weights are lambda_1 / n and lambda_2 / n. By default it has no atomic
numbers; scaling the columns of its matrix by (Z_i / mean Z)^gamma gives fusionkit's model. It starts from the maps and
stops after 50 iterations with 15 inner ones; fewer iterations give the curve of its objective. Loading the data is not
timed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import Timer, composed
from benchmarks.problems import case, raw
from fusionkit.data.elements import atomic_number

ALL = 50
_COURSE, _INNER = (1, 2, 5, 10, 20, ALL), 15
_OF_RECORDING = [("dysco3", 256, count) for count in _COURSE]
WORK = {
    "full": [
        *_OF_RECORDING,
        *(("nanoparticle_fractions", 256, count) for count in _COURSE),
        ("nanoparticle_fractions", 1024, ALL),
    ],
    "quick": [
        *_OF_RECORDING,
        *(("nanoparticle_fractions", 64, count) for count in _COURSE),
        ("nanoparticle_fractions", 256, ALL),
    ],
}


@cache
def reference(name: str, size: int) -> Any:
    """The package's object with data loaded; a run does not change the data."""
    package = pytest.importorskip("multimodal_fusion", reason="multimodal-fusion is not installed: '.[bench]'")
    sparse = pytest.importorskip("scipy.sparse")
    chosen = case(name, size)
    haadf, maps = raw(chosen)
    loaded = package.DataFusion(list(maps), gamma=chosen.terms[0]["gamma"])
    loaded.load_chemical_maps(maps)
    loaded.load_haadf(haadf)
    numbers = np.array([atomic_number(element) for element in maps], dtype=np.float64)
    columns = np.repeat((numbers / numbers.mean()) ** loaded.gamma, loaded.nPix)
    loaded.A = (loaded.A @ sparse.diags(columns)).tocsr().astype(np.float32)
    return loaded


@pytest.mark.benchmark(group="reference")
def test_reference(benchmark: Timer, work: tuple[str, int, int]) -> None:
    name, size, iterations = work
    chosen, loaded = case(name, size), reference(name, size)
    n = len(chosen.dataset.elements)
    options = {
        "nIter": iterations,
        "lambdaEDS": chosen.terms[1]["weight"] / n,
        "lambdaTV": chosen.terms[2]["weight"] / n,
        "ng": _INNER,
        "bkg": chosen.terms[1]["epsilon"],
        "plot_images": False,
        "plot_convergence": False,
    }
    benchmark.pedantic(lambda: loaded.run(**options), rounds=3 if iterations == ALL and size <= 256 else 1)
    problem = composed(chosen.dataset, chosen.terms, precision="double")
    objective = problem.value(loaded.xx.reshape(problem.shape).astype(np.float64))
    benchmark.extra_info.update(name=name, size=size, iterations=iterations, objective=objective)
