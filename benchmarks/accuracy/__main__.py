"""Measure the accuracy: ``python -m benchmarks.accuracy [--quick] [--parts rivals] [--jobs N] [--output FOLDER]``.

Each measurement is kept in ``FOLDER/cells``, so that the command resumes after an interruption. Measurements run in
processes of one thread each. ``--docs`` also updates the tables and figures of docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.accuracy.cells import Cell, measured
from benchmarks.accuracy.document import tables, write_docs
from benchmarks.accuracy.figures import draw_all
from benchmarks.accuracy.methods import NEEDS
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.studies import QUICK, RIVALS, STUDIES, Extent
from benchmarks.accuracy.table import NAMES

_DOCS = Path(__file__).parents[2] / "docs"


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description="Errors of maps against the truth."
    )
    parser.add_argument("--quick", action="store_true", help="80 x 80, two doses, one seed: a few minutes")
    parser.add_argument("--size", type=int, help="pixels along an axis, except in the headline (128)")
    parser.add_argument("--seeds", type=int, help="recordings of each specimen and dose (2)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one per core)")
    parser.add_argument("--parts", default=",".join(STUDIES), help=f"parts to measure: {','.join(STUDIES)}")
    parser.add_argument("--output", type=Path, default=Path("runs/accuracy"), help="folder of cells, tables, figures")
    parser.add_argument("--docs", action="store_true", help="also update docs/accuracy.md and its figures")
    options = parser.parse_args(words)
    unknown = [part for part in options.parts.split(",") if part not in STUDIES]
    if unknown:
        parser.error(f"there is no part '{unknown[0]}'; known: {', '.join(STUDIES)}")
    return options


def _extent(options: argparse.Namespace) -> Extent:
    explicit = {name: value for name in ("size", "seeds") if (value := getattr(options, name)) is not None}
    return replace(QUICK if options.quick else Extent(), **explicit)


def _rows(cells: Sequence[Cell], folder: Path, jobs: int) -> Iterator[dict[str, Any]]:
    """The numbers of the cells in their order."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:  # new processes, which read the environment
        yield from pool.map(measured, cells, repeat(folder))


def main(words: list[str]) -> int:
    """Exit status; missed targets appear in the table only."""
    options = _arguments(words)
    extent, folder = _extent(options), options.output / "cells"
    planned = {part: STUDIES[part](extent) for part in options.parts.split(",")}
    absent = {method: package for method, package in NEEDS.items() if not find_spec(package)}
    for part, cells in planned.items():
        missing = dict.fromkeys(cell.method for cell in cells if cell.method in absent)
        if missing and part != RIVALS:
            packages = ", ".join(absent[method] for method in missing)
            print(f"{part} needs {packages}: pip install '.[bench]', or --parts {RIVALS}", file=sys.stderr)
            return 2
        for method in missing:
            print(f"{absent[method]} is not installed: {NAMES[method]} is left out; see '.[bench]'", file=sys.stderr)
    os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    folder.mkdir(parents=True, exist_ok=True)
    studies: dict[str, Rows] = {}
    for part, everything in planned.items():
        cells = [cell for cell in everything if cell.method not in absent]
        rows, started = [], time.perf_counter()
        for cell, row in zip(cells, _rows(cells, folder, options.jobs), strict=True):
            rows.append(row)
            done = f"{part} {len(rows)}/{len(cells)} {cell.recording.name} {cell.method}: {row['mean']:.4f}"
            print(f"{done} ({time.perf_counter() - started:.0f} s)", file=sys.stderr, flush=True)
        studies[part] = Rows(tuple(rows))
    text = tables(studies, extent)
    (options.output / "accuracy.md").write_text(text, encoding="utf-8")
    figures = draw_all(studies, extent, options.output)
    print(text, f"written: {options.output / 'accuracy.md'}", *figures, sep="\n")
    if options.docs:
        write_docs(studies, extent, _DOCS / "accuracy.md")
        draw_all(studies, extent, _DOCS / "figures")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
