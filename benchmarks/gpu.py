"""Time of an iteration on a CUDA device compared with a copy, three elements: ``python -m benchmarks.gpu``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fusionkit.compose_problem import compose
from fusionkit.data.dataset import Dataset
from fusionkit.engines.gpu.device import Device, find_device
from fusionkit.engines.gpu.engine import DeviceEngine
from fusionkit.engines.gpu.split import on_device
from fusionkit.errors import UserError
from fusionkit.problem import Slots

_ROUNDS = 7
_TERMS = [{"type": "haadf", "gamma": 1.7}, "poisson", {"type": "tv", "weight": 0.5}, "nonnegative"]


@dataclass(frozen=True)
class Row:
    """Measurements at one size, in seconds.

    Parameters
    ----------
    size : pixels along an edge.
    iteration, check : of the fused kernels.
    copy : of a copy of as many bytes as an iteration must move.
    moved : bytes that an iteration must move: x and p in and out, the data in.
    """

    size: int
    iteration: float
    check: float
    copy: float
    moved: int


def seconds(device: Device, call: Callable[[], object], repeat: int) -> float:
    """Median time of one call among ``repeat`` calls in a row."""
    times = []
    for _ in range(_ROUNDS + 2):
        device.synchronize()
        started = time.perf_counter()
        for _ in range(repeat):
            call()
        device.synchronize()
        times.append((time.perf_counter() - started) / repeat)
    return float(np.median(times[2:]))


def measure(device: Device, size: int, repeat: int = 20) -> Row:
    """Times at size x size x 3."""
    random = np.random.default_rng(0)
    counts = random.poisson(5.0, (3, size, size)).astype(np.float32)
    image = (30 + random.standard_normal((size, size))).astype(np.float32)
    problem = compose(Dataset({"haadf": image, "maps": counts}, elements=("Co", "S", "O")), _TERMS)
    split = on_device(problem.sort(Slots(pixelwise=True, auxiliary=True)))
    engine = DeviceEngine(split.spec, split.tv, problem.shape, problem.dtype, 1, device)
    x, p = engine.put(np.full(problem.shape, 5, np.float32)), engine.put(np.zeros(engine.dual_shape, np.float32))

    def step() -> None:
        nonlocal x, p
        x, (p,) = engine.step(x, (), (p,), (0.5, 0.25), 1.6)

    moved = 2 * x.nbytes + 2 * p.nbytes + counts.nbytes + image.nbytes
    iteration, check = seconds(device, step, repeat), seconds(device, lambda: engine.check(x, (), (p,)), repeat)
    xp = device.xp
    source, target = xp.zeros(moved // 2, np.uint8), xp.empty(moved // 2, np.uint8)  # a copy reads and writes each byte
    return Row(size, iteration, check, seconds(device, lambda: xp.copyto(target, source), repeat), moved)


def table(device: Device, rows: list[Row]) -> list[str]:
    """The numbers as a table in Markdown."""
    head = "| size | ms per iteration | GB/s | copy, GB/s | time / that of the copy | ms per check |"
    lines = [f"{device.name}, float32", "", head, "|---|---|---|---|---|---|"]
    for row in rows:
        rate, copy = row.moved / row.iteration / 1e9, row.moved / row.copy / 1e9
        times = row.iteration / row.copy
        figures = f"{1e3 * row.iteration:.3f} | {rate:.0f} | {copy:.0f} | {times:.2f} | {1e3 * row.check:.3f}"
        lines.append(f"| {row.size}² x 3 | {figures} |")
    return lines


def main() -> int:
    """Print the table, or the reason why there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096], help="edges in pixels")
    sizes = parser.parse_args().sizes
    try:
        device = find_device()
    except UserError as error:
        print(f"nothing measured: {error.problem}")
        return 2
    print("\n".join(table(device, [measure(device, size) for size in sizes])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
