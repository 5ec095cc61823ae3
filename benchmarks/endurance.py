"""Many calls of ``fuse``, and many points of a sweep: ``python -m benchmarks.endurance [--calls 500] [--points 1000]``.

Memory, open files and threads must not grow after the first 50; the exit status is 1 if they do.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice

import numpy as np
import psutil

import fusionkit as fk

_EVERY = 50  # calls; the first ones import and compile
_GROWTH = 1.05  # of memory
_SMALL = ["data.phantom.size=16", "engine=numpy", "solver.type=chambolle_pock", "solver.max_iterations=10"]
_SMALL += ["output.figures=false", "output.report=false"]

Use = tuple[float, int, int]  # memory in MB, open files and threads


def use_of(processes: list[psutil.Process]) -> Use:
    """What the processes use together."""
    uses = [(one.memory_info().rss / 1e6, one.num_fds(), one.num_threads()) for one in processes]
    return sum(use[0] for use in uses), sum(use[1] for use in uses), sum(use[2] for use in uses)


def calls(count: int) -> Iterator[Use]:
    """Call ``fuse``; the use of this process after every call."""
    process = psutil.Process()
    for call in range(count):
        random = np.random.default_rng(call)  # other data each time, so that no search is repeated from the cache
        density = np.zeros((24, 24))
        density[6:18, 6:18] = 8.0
        maps = {name: random.poisson(density + 0.5) for name in ("Co", "O")}
        fk.fuse((2.0 * density) ** 1.7 + random.normal(0.0, 20.0, density.shape), maps, tv=0.3, progress=False)
        gc.collect()
        yield use_of([process])


def points(count: int) -> Iterator[Use]:
    """Run a sweep with one worker; the use of both processes after every point."""
    over = ["--over", f"terms.tv.weight=linear:0.1:1:{count}", "--workers", "1", "--output"]
    sets = [word for value in _SMALL for word in ("--set", value)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fusionkit", "sweep", "cos_nanoparticle", *sets, *over, f"{folder}/sweep"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as sweep:
            assert sweep.stderr is not None
            parent = psutil.Process(sweep.pid)
            for line in sweep.stderr:
                if f"/{count}" in line and sweep.poll() is None:
                    yield use_of([parent, *parent.children()])


def grows(what: str, uses: Iterator[Use]) -> bool:
    """Print the use after every 50, and compare the last with the first."""
    lines = list[Use]()
    print(f"{what}  memory  files  threads")
    while part := list(islice(uses, _EVERY)):
        lines += part[-1:]
        memory, files, threads = part[-1]
        print(f"{_EVERY * len(lines):{len(what)}d}  {memory:6.1f}  {files:5d}  {threads:7d}", flush=True)
    # the last point may have ended the worker
    start, end = lines[0], lines[-2 if what == "points" else -1]
    more = end[0] > _GROWTH * start[0] or end[1] > start[1] or end[2] > start[2]
    print("grows" if more else "does not grow")
    return more


def main(arguments: list[str]) -> int:
    """Run both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance")
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--points", type=int, default=1000)
    options = parser.parse_args(arguments)
    more = [grows("calls", calls(options.calls))] if options.calls else []
    more += [grows("points", points(options.points))] if options.points else []
    return int(any(more))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
