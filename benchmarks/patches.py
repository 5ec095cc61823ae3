"""Groups of similar patches beside penalties of neighbours: ``python -m benchmarks.patches [--size N] [--doses 5,20]``.

The error of each element relative to that of the Gaussian filter whose width the truth chooses; geometric mean.
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

_ALONE = ("terms.haadf.weight=0.0", "terms.joint_nonlocal.guide=null")
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cos_adaptive": (fusion.ADAPTIVE, ()),
    "cos_nonlocal": ("cos_nonlocal", ()),
    "without the image": ("cos_nonlocal", _ALONE),
}


def errors(x: Array, one: Case) -> Array:
    """The relative error of each element."""
    truth = one.dataset.truth
    assert truth is not None
    return np.linalg.norm((x - truth).reshape(len(x), -1), axis=1) / np.linalg.norm(truth.reshape(len(x), -1), axis=1)


def main(words: list[str]) -> int:
    """Print a row for each specimen and dose."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.patches")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--doses", default="5,20")
    given = parser.parse_args(words)
    print(f"| specimen, counts | {' | '.join(METHODS)} | seconds |\n|{'---|' * (len(METHODS) + 2)}")
    for specimen in SPECIMENS:
        for dose in map(float, given.doses.split(",")):
            one = case(Recording(specimen, given.size, dose, 0))
            best, cells, took = errors(filters.gaussian(one)[0], one), [], []
            for config, sets in METHODS.values():
                started = time.perf_counter()
                ratios = errors(fuse(one, sets, config).x, one) / best
                took.append(f"{time.perf_counter() - started:.1f}")
                cells.append(f"{np.exp(np.log(ratios).mean()):.2f}")
            print(f"| {specimen}, {dose:g} | {' | '.join(cells)} | {' '.join(took)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
