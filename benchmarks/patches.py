"""Patches compared with penalties on neighbours: ``python -m benchmarks.patches [--size N] [--doses 5,20]``.

The table has the error of each element relative to the best Gaussian filter, as a geometric mean over the elements.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from benchmarks.accuracy import filters, fusion
from benchmarks.accuracy.fusion import fuse
from benchmarks.accuracy.specimens import SPECIMENS, Case, Recording, case
from fusionkit.arrays import Array
from fusionkit.report.metrics import nrmse

_ALONE = ("terms.haadf.weight=0.0", "terms.joint_nonlocal.guide=null")
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cos_adaptive": (fusion.ADAPTIVE, ()),
    "cos_nonlocal": ("cos_nonlocal", ()),
    "without the image": ("cos_nonlocal", _ALONE),
}


def errors(x: Array, one: Case) -> Array:
    """NRMSE of each element."""
    truth = one.dataset.truth
    assert truth is not None
    return np.array([nrmse(fused, known) for fused, known in zip(x, truth, strict=True)])


def main(words: list[str]) -> int:
    """Print a row per specimen and dose."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.patches")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--doses", default="5,20")
    options = parser.parse_args(words)
    print(f"| specimen, counts | {' | '.join(METHODS)} | seconds |\n|{'---|' * (len(METHODS) + 2)}")
    for specimen in SPECIMENS:
        for dose in map(float, options.doses.split(",")):
            one = case(Recording(specimen, options.size, dose, 0))
            best, cells, seconds = errors(filters.gaussian(one)[0], one), [], []
            for config, sets in METHODS.values():
                started = time.perf_counter()
                ratios = errors(fuse(one, sets, config).x, one) / best
                seconds.append(f"{time.perf_counter() - started:.1f}")
                cells.append(f"{np.exp(np.log(ratios).mean()):.2f}")
            print(f"| {specimen}, {dose:g} | {' | '.join(cells)} | {' '.join(seconds)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
