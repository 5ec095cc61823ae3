"""Peak memory of a solve, in a process of its own: ``python -m benchmarks.memory_child SIZE ENGINE [SOLVER]``.

The peak is that of the operating system (VmHWM), reset after libraries are imported, kernels compiled and inputs made:
it counts everything that composing, starting and solving add to the inputs. Memory that the C library keeps for reuse
would hide arrays, so it returns large blocks at once (ENVIRONMENT, set by the parent) and is trimmed before.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

from benchmarks.harness import composed
from benchmarks.problems import Case, case
from fusionkit.compose_problem import make_solver
from fusionkit.loop import solve
from fusionkit.reconstruct import starting_point

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_ITERATIONS = 20
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def status(key: str) -> int:
    """VmRSS (now) or VmHWM (peak) of this process, in bytes."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return 1024 * int(line.split()[1])


def run(chosen: Case, engine: str, name: str) -> None:
    """Compose, start and solve."""
    problem = composed(chosen.dataset, chosen.terms, engine)
    solver = make_solver(name, tolerance=0.0, max_iterations=_ITERATIONS)
    solve(problem, solver, starting_point("auto", problem, chosen.dataset))


def main(size: int, engine: str, name: str) -> None:
    """Print the added bytes and the bytes of one float32 image per element."""
    run(case("nanoparticle_fractions", 32), engine, name)
    chosen = case("nanoparticle_fractions", size)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = status("VmRSS")
    _RESET.write_text("5")
    run(chosen, engine, name)
    print(json.dumps({"added": status("VmHWM") - before, "images": 4 * chosen.dataset.arrays["maps"].size}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "chambolle_pock")
