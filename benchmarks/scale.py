"""Time of an iteration and memory from 1024² to 8192², three elements: ``python -m benchmarks.scale``."""

from __future__ import annotations

import argparse
import time

import numpy as np

from fusionkit.composition import compose, make_solver
from fusionkit.data import Dataset
from fusionkit.memory import peak
from fusionkit.solver import fit

_TILE, _ROUNDS = 1024, 5
_TERMS = [{"type": "haadf", "gamma": 1.7}, "poisson", {"type": "tv", "weight": 0.5}, "nonnegative"]


def seconds(size: int) -> float:
    """Median time of an iteration of chambolle_pock at size x size x 3, a tile of counts repeated."""
    random = np.random.default_rng(0)
    counts = random.poisson(5.0, (3, _TILE, _TILE)).astype(np.float32)
    image = (30 + random.standard_normal((_TILE, _TILE))).astype(np.float32)
    times = size // _TILE
    arrays = {"haadf": np.tile(image, (times, times)), "maps": np.tile(counts, (1, times, times))}
    problem = compose(Dataset(arrays, elements=("Co", "S", "O")), _TERMS)
    solver = make_solver("chambolle_pock")
    split = fit(solver, problem)
    state = solver.init(split, np.full(problem.shape, 5, np.float32))
    took = []
    for _ in range(3 + _ROUNDS):
        started = time.perf_counter()
        state = solver.step(split, state)
        took.append(time.perf_counter() - started)
    return float(np.median(took[3:]))


def main() -> None:
    """Print a table and the exponent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--largest", type=int, default=8192, help="pixels along an edge (%(default)s)")
    largest = parser.parse_args().largest
    sizes = [_TILE * 2**k for k in range(8) if _TILE * 2**k <= largest]
    print("| size | ms an iteration | ns a voxel | GiB at the peak |\n|---|---|---|---|")
    found = []
    for size in sizes:
        found.append(seconds(size))
        print(
            f"| {size}² | {1e3 * found[-1]:.1f} | {1e9 * found[-1] / (3 * size**2):.2f} | {peak() / 2**30:.2f} |",
            flush=True,
        )
    if len(sizes) > 1:
        exponent = np.polyfit(np.log(np.square(sizes, dtype=float)), np.log(found), 1)[0]
        print(f"exponent of time against voxels: {exponent:.3f}")


if __name__ == "__main__":
    main()
