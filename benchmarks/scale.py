"""Time of an iteration and memory from 256² to 8192², three elements: ``python -m benchmarks.scale``.

All sizes take turns, because the speed of a shared machine changes from minute to minute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.ratios import exponent
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.machine import peak
from fusionkit.solver import fit
from fusionkit.terms import Array

_TILE, _SMALLEST = 1024, 256
_PIXELS = 8192**2  # of all iterations of a size in a round
_TERMS = [{"type": "haadf", "gamma": 1.7}, "poisson", {"type": "tv", "weight": 0.5}, "nonnegative"]


def _data(size: int) -> tuple[Array, Array]:
    """An image and maps in counts: a part or repetitions of a tile."""
    random = np.random.default_rng(0)
    counts = random.poisson(5.0, (3, _TILE, _TILE)).astype(np.float32)
    image = (30 + random.standard_normal((_TILE, _TILE))).astype(np.float32)
    times = -(-size // _TILE)
    tiled = np.tile(image, (times, times)), np.tile(counts, (1, times, times))
    haadf, maps = (np.ascontiguousarray(array[..., :size, :size]) for array in tiled)
    return haadf, maps


def iterations(size: int) -> Callable[[], float]:
    """A function that runs chambolle_pock at size x size x 3 and returns the seconds per iteration."""
    haadf, maps = _data(size)
    problem = compose(Dataset({"haadf": haadf, "maps": maps}, elements=("Co", "S", "O")), _TERMS)
    solver = make_solver("chambolle_pock")
    split = fit(solver, problem)
    state: Any = solver.init(split, np.full(problem.shape, 5, np.float32))
    count = max(1, _PIXELS // size**2)

    def measure() -> float:
        nonlocal state
        started = time.perf_counter()
        for _ in range(count):
            state = solver.step(split, state)
        return (time.perf_counter() - started) / count

    measure()
    return measure


def main() -> None:
    """Print the table and the exponent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--largest", type=int, default=8192, help="pixels along an edge (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds over all sizes (%(default)s)")
    arguments = parser.parse_args()
    sizes = [_SMALLEST * 2**k for k in range(10) if _SMALLEST * 2**k <= arguments.largest]
    print("| size | ms per iteration | ns per voxel | peak memory so far, GiB |\n|---|---|---|---|")
    measured, peaks = [], []
    for size in sizes:
        measured.append(iterations(size))
        peaks.append(peak())
    times = np.median([[measure() for measure in measured] for _ in range(arguments.rounds)], axis=0)
    for size, seconds, held in zip(sizes, times, peaks, strict=True):
        print(f"| {size}² | {1e3 * seconds:.2f} | {1e9 * seconds / (3 * size**2):.2f} | {held / 2**30:.2f} |")
    if len(sizes) > 1:
        points = [(float(size**2), float(seconds)) for size, seconds in zip(sizes, times, strict=True)]
        print(f"exponent of time against voxels: {exponent(points):.3f}")


if __name__ == "__main__":
    main()
