"""Datasets, problems, jobs and results can be pickled and copied, as joblib, dask and multiprocessing require."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuse_data import FAST, HAADF, MAPS

import fusionkit as fk
from fusionkit.arrays import KeepsReadOnly
from fusionkit.problem import Problem
from fusionkit.reconstruct import Job
from fusionkit.writer import write

SETS = ("data.phantom={preset: cos_nanoparticle, size: 32}", "solver.max_iterations=20")
TERMS = [
    {"type": "haadf", "weight": 1e-3, "offset": "auto"},
    "poisson",
    {"type": "tgv", "weight": 0.1},
    {"type": "directional_tv", "weight": 0.1, "name": "guided"},
    {"type": "least_squares", "data": "maps", "forward": {"type": "blur", "sigma": 1.0}},
    "nonnegative",
]


def solve(thing: Any) -> np.ndarray:
    """The solution that the object holds or leads to."""
    if isinstance(thing, fk.Dataset):
        thing = fk.compose(thing, ["haadf", "poisson", {"type": "tv", "weight": 0.3}, "nonnegative"], engine="numpy")
    if isinstance(thing, Problem):
        start = np.ones(thing.shape, thing.dtype)
        return fk.solve(thing, fk.make_solver("chambolle_pock", max_iterations=5), start).x
    if isinstance(thing, Job):
        return thing.solve().x
    return thing.stack if isinstance(thing, fk.Fused) else thing.x


def writeable_arrays(thing: Any) -> list[str]:
    """The writeable arrays of a dataset or of the terms of a problem."""
    if isinstance(thing, fk.Dataset):
        arrays = {**thing.arrays, "truth": thing.truth}
    else:
        parts = [part for term in thing.terms for part in (term, getattr(term, "forward", None))]
        arrays = {
            f"{type(part).__name__}.{name}": value
            for part in parts
            if isinstance(part, KeepsReadOnly)
            for name, value in vars(part).items()
            if isinstance(value, np.ndarray)
        }
    assert arrays
    return [name for name, array in arrays.items() if array is not None and array.flags.writeable]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    job = fk.prepare("cos_nanoparticle", (*SETS, "engine=numpy"))
    result = job.solve()
    folder = Path(tmp_path_factory.mktemp("pickle"), "run")
    write(job.record(result), folder, overwrite=False, figures=False, report=False)
    return {
        "Dataset": job.dataset,
        "Problem": fk.compose(job.dataset, TERMS, engine="numpy"),
        "Job": job,
        "compiled Job": fk.prepare("cos_nanoparticle", (*SETS, "engine=numba")),
        "Result": result,
        "read result": fk.read_result(folder),
        "Fused": fk.fuse(HAADF, MAPS, **FAST),
    }


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


NAMES = ("Dataset", "Problem", "Job", "compiled Job", "Result", "read result", "Fused")
WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "copy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_copy_solves_as_the_original(name: str, way: str, objects: dict[str, Any]) -> None:
    made = WAYS[way](objects[name])
    assert type(made) is type(objects[name])
    np.testing.assert_array_equal(solve(made), solve(objects[name]))


@pytest.mark.parametrize("name", NAMES)
def test_another_process_gives_the_same(name: str, objects: dict[str, Any], pool: ProcessPoolExecutor) -> None:
    np.testing.assert_array_equal(pool.submit(solve, objects[name]).result(timeout=120), solve(objects[name]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["Dataset", "Problem"])
def test_what_is_read_only_stays_so(name: str, way: str, objects: dict[str, Any]) -> None:
    assert writeable_arrays(objects[name]) == []
    made = WAYS[way](objects[name])
    assert writeable_arrays(made) == []
    if isinstance(made, fk.Dataset):
        with pytest.raises(TypeError):
            made.arrays["haadf"] = made.arrays["maps"]  # type: ignore[index]  # the mapping is read-only as well
