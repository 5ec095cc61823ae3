"""Coverage of the intervals on phantoms for which the model holds: ``python -m benchmarks.coverage``.

Every weight is chosen from the data. A row per phantom, dose and method has the share of the pixels with an element
whose interval holds the truth, the share of all pixels, and that of the counts and the atomic fractions of 16 regions
and the whole.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fusionkit.reconstruct import prepare
from fusionkit.uncertainty.estimate import Assessment
from fusionkit.uncertainty.intervals import coverage, intervals

PHANTOMS = ("cos_nanoparticle", "films", "lattice")
DOSES = (5, 20, 100)
METHODS = ("curvature", "bootstrap")
CONFIGS = {
    "cos_auto": METHODS,
    "cos_adaptive": ("bootstrap",),  # curvature supports only TV
    "cos_nonlocal": ("bootstrap",),
}
_TILES = 4  # regions along an edge
_TARGET = (0.85, 0.95)
_TRACE = 0.01  # an element with a smaller fraction counts as absent from a region


@dataclass(frozen=True)
class Row:
    """One recording.

    Parameters
    ----------
    phantom, dose, seed, method : recording and method.
    elements : in the order of the lists.
    held : share of the pixels with the element whose interval holds the truth, per element.
    every : the same for all pixels.
    counts, fractions : share of the counts and of the atomic fractions of the regions within their interval.
    whole : largest relative error of an atomic fraction over the whole image.
    solve, seconds : time of the solve and of the error bars.
    """

    phantom: str
    dose: float
    seed: int
    method: str
    elements: list[str]
    held: list[float]
    every: list[float]
    counts: float
    fractions: float
    whole: float
    solve: float
    seconds: float


def measure(config: str, phantom: str, dose: float, seed: int, method: str, given: argparse.Namespace) -> Row:
    """Coverage of pixels and fractions for one recording, with the time."""
    size = given.size
    edges = [size * index // _TILES for index in range(_TILES + 1)]
    tiles = [(edges[i : i + 2], edges[j : j + 2]) for i in range(_TILES) for j in range(_TILES)]
    regions = ", ".join(f"'{n}': {{rows: {rows}, columns: {columns}}}" for n, (rows, columns) in enumerate(tiles))
    settings = (
        f"data.phantom={{preset: {phantom}, size: {size}, dose: {dose}, seed: {seed}}}",
        f"uncertainty={{method: {method}, samples: {given.samples}}}",
        f"composition={{regions: {{{regions}}}}}",
        f"terms.haadf.gamma={given.gamma}",
    )
    job = prepare(config, settings)
    result, truth = job.solve(), job.dataset.truth
    assert truth is not None
    started = time.perf_counter()
    found = job.assess(result)
    seconds = time.perf_counter() - started
    assert found.uncertainty is not None
    low, high = intervals(result.x, found.uncertainty.standard_deviation, found.uncertainty.interval)
    return Row(
        phantom=phantom,
        dose=dose,
        seed=seed,
        method=method,
        elements=list(job.problem.labels),
        held=coverage(low, high, truth).tolist(),
        every=((low <= truth) & (truth <= high)).mean(axis=(1, 2)).tolist(),
        counts=counts_covered(found, truth),
        fractions=fractions_covered(found, truth),
        whole=whole_error(found, truth),
        solve=result.seconds,
        seconds=seconds,
    )


def counts_covered(found: Assessment, truth: np.ndarray) -> float:
    """Share of the sums of all regions within their interval, without traces."""
    inside = []
    for one in found.compositions:
        sums = one.region.sums(truth)
        pairs = zip(one.counts, sums, strict=True)
        inside += [low <= value <= high for (_, low, high), value in pairs if value > _TRACE * sums.sum()]
    return float(np.mean(inside))


def fractions_covered(found: Assessment, truth: np.ndarray) -> float:
    """Share of the atomic fractions of all regions within their interval, without traces."""
    inside = []
    for one in found.compositions:
        sums = one.region.sums(truth)
        known = sums / max(float(sums.sum()), 1e-30)
        pairs = zip(one.low, known, one.high, strict=True)
        inside += [low <= value <= high for low, value, high in pairs if value > _TRACE]
    return float(np.mean(inside))


def whole_error(found: Assessment, truth: np.ndarray) -> float:
    """The largest relative error of an atomic fraction over the whole image."""
    one = found.compositions[0]
    known = one.region.sums(truth) / one.region.sums(truth).sum()
    return float(np.max(np.abs(np.array(one.fractions) / known - 1)))


def table(rows: Sequence[Row]) -> str:
    """Markdown: means over seeds, and the range over seeds for the pixels with the element."""
    head = ["phantom", "counts", "method", "pixels with the element, %", "all pixels, %"]
    head += ["sums, %", "fractions, %", "whole, %"]
    lines = [_line([*head, "seconds (solve)"]), _line(["---"] * (len(head) + 1))]
    for phantom, dose, method in dict.fromkeys((row.phantom, row.dose, row.method) for row in rows):
        own = [row for row in rows if (row.phantom, row.dose, row.method) == (phantom, dose, method)]
        held, every = (100 * np.array(part) for part in ([row.held for row in own], [row.every for row in own]))
        parts = zip(own[0].elements, held.mean(0), held.min(0), held.max(0), strict=True)
        cells = [
            phantom,
            f"{dose:g}",
            method,
            ", ".join(f"{element} {mean:.0f} ({low:.0f}–{high:.0f})" for element, mean, low, high in parts),
            " / ".join(f"{value:.0f}" for value in every.mean(0)),
            f"{100 * np.mean([row.counts for row in own]):.0f}",
            f"{100 * np.mean([row.fractions for row in own]):.0f}",
            f"{100 * np.mean([row.whole for row in own]):.2f}",
            f"{np.mean([row.seconds for row in own]):.2f} ({np.mean([row.solve for row in own]):.2f})",
        ]
        lines.append(_line(cells))
    held_all = np.concatenate([row.held for row in rows])
    inside = np.mean((held_all >= _TARGET[0]) & (held_all <= _TARGET[1]))
    return "\n".join(lines) + f"\n\n{100 * inside:.0f} % of the maps have 85 to 95 % of their pixels in the interval."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description="Coverage of the intervals.")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3, help="recordings of each phantom and dose")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=30, help="samples of the bootstrap")
    parser.add_argument("--gamma", type=float, default=1.7, help="exponent of the fit; that of the phantoms is 1.7")
    parser.add_argument("--method", choices=METHODS, help="one method only")
    parser.add_argument("--config", choices=CONFIGS, default="cos_auto", help="a packaged configuration")
    parser.add_argument("--output", type=Path, help="JSON file of the raw numbers")
    own = parser.parse_args(arguments)
    seeds = range(own.first_seed, own.first_seed + own.seeds)
    methods = CONFIGS[own.config] if own.method is None else (own.method,)
    rows = [
        measure(own.config, phantom, dose, seed, method, own)
        for method in methods
        for phantom in PHANTOMS
        for dose in DOSES
        for seed in seeds
    ]
    print(table(rows))
    if own.output is not None:
        own.output.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
