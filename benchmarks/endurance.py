"""Many calls of ``fuse`` in one process: ``python -m benchmarks.endurance [--calls 500]``.

Memory, open files and threads must not grow after the first 50 calls; the exit status is 1 if they do.
"""

from __future__ import annotations

import argparse
import gc
import sys

import numpy as np
import psutil

import fusionkit as fk

_FIRST = 50  # calls that import and compile
_EVERY = 50
_GROWTH = 1.05  # of memory


def measure(process: psutil.Process) -> tuple[float, int, int]:
    """Memory in MB, open files and threads."""
    gc.collect()
    return process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()


def main(arguments: list[str]) -> int:
    """Run the calls, print a line after every 50, and compare the last with the first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance")
    parser.add_argument("--calls", type=int, default=500)
    calls, process = parser.parse_args(arguments).calls, psutil.Process()
    lines: list[tuple[float, int, int]] = []
    print("calls  memory  files  threads")
    for call in range(1, calls + 1):
        random = np.random.default_rng(call)  # other data each time, so that no search is repeated from the cache
        density = np.zeros((24, 24))
        density[6:18, 6:18] = 8.0
        maps = {name: random.poisson(density + 0.5) for name in ("Co", "O")}
        fk.fuse((2.0 * density) ** 1.7 + random.normal(0.0, 20.0, density.shape), maps, tv=0.3, progress=False)
        if call % _EVERY == 0:
            lines.append(measure(process))
            print(f"{call:5d}  {lines[-1][0]:6.1f}  {lines[-1][1]:5d}  {lines[-1][2]:7d}", flush=True)
    start = lines[_FIRST // _EVERY - 1]
    end = lines[-1]
    grows = end[0] > _GROWTH * start[0] or end[1] > start[1] or end[2] > start[2]
    print("grows" if grows else "does not grow")
    return int(grows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
