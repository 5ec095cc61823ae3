"""From raw arrays to a result certified at 1e-4, including normalisation, composition and start."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.harness import Timer, composed
from benchmarks.problems import Case, case, raw
from fusionkit.compose_problem import make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.loop import solve
from fusionkit.reconstruct import starting_point
from fusionkit.result import Result, Status
from fusionkit.terms import Array

WORK = {
    "full": [("dysco3", 256), ("nanoparticle_fractions", 256), ("nanoparticle_fractions", 1024)],
    "quick": [("dysco3", 256), ("nanoparticle_fractions", 64), ("nanoparticle_fractions", 256)],
}
_TOLERANCE = 1e-4


def _normalised(image: Array) -> Array:
    shifted = image - image.min()
    shifted /= shifted.max()
    return shifted


def fuse(haadf: Array, maps: dict[str, Array], chosen: Case, engine: str) -> Result:
    """The result for a raw image (ny, nx) and raw maps (ny, nx) by element, with the terms of the case."""
    arrays = {"haadf": _normalised(haadf), "maps": np.stack([_normalised(one) for one in maps.values()])}
    dataset = Dataset(arrays, tuple(maps))
    problem = composed(dataset, chosen.terms, engine)
    solver = make_solver("chambolle_pock", tolerance=_TOLERANCE, max_iterations=5000)
    return solve(problem, solver, starting_point("auto", problem, dataset))


@pytest.mark.benchmark(group="certified")
def test_certified(benchmark: Timer, work: tuple[str, int], engine: str) -> None:
    name, size = work
    if engine == "numpy" and size > 256:
        pytest.skip("numpy, the reference engine, is too slow for large images")
    chosen, small = case(name, size), case("nanoparticle_fractions", 32)
    fuse(*raw(small), small, engine)  # compiles
    haadf, maps = raw(chosen)
    result = benchmark.pedantic(fuse, (haadf, maps, chosen, engine), rounds=1 if engine == "numpy" else 5)
    assert result.status is Status.CONVERGED, result.message
    benchmark.extra_info.update(
        name=name,
        size=size,
        engine=engine,
        iterations=result.iterations,
        objective=result.objective,
        optimality=result.optimality,
    )
