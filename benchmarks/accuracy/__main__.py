"""Measure the accuracy: ``python -m benchmarks.accuracy [--quick] [--size N] [--seeds N] [--output FOLDER]``.

Each measurement is kept in ``FOLDER/cells``, so that the command resumes after an interruption. ``--docs`` also updates
the tables and figures of docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks.accuracy.cells import measured
from benchmarks.accuracy.document import tables, write_docs
from benchmarks.accuracy.figures import draw_all
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.studies import QUICK, STUDIES, Extent

_REQUIRED = ("multimodal_fusion", "skimage")
_DOCS = Path(__file__).parents[2] / "docs"


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description="Errors of maps against the truth."
    )
    parser.add_argument("--quick", action="store_true", help="80 x 80, two doses, one seed: a few minutes")
    parser.add_argument("--size", type=int, help="pixels along an axis, except in the headline (128)")
    parser.add_argument("--seeds", type=int, help="recordings of each specimen and dose (2)")
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


def main(words: list[str]) -> int:
    """Exit status; missed targets appear in the table only."""
    options = _arguments(words)
    if not all(find_spec(name) for name in _REQUIRED):
        print(f"needs {' and '.join(_REQUIRED)}: pip install '.[bench]'", file=sys.stderr)
        return 2
    extent, folder = _extent(options), options.output / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    studies: dict[str, Rows] = {}
    for part in options.parts.split(","):
        cells = STUDIES[part](extent)
        rows, started = [], time.perf_counter()
        for number, cell in enumerate(cells, 1):
            rows.append(measured(cell, folder))
            elapsed = time.perf_counter() - started
            line = f"{part} {number}/{len(cells)} {cell.recording.name} {cell.method}: {rows[-1]['mean']:.4f}"
            print(f"{line} ({elapsed:.0f} s)", file=sys.stderr, flush=True)
        studies[part] = Rows(tuple(rows))
    text = tables(studies, extent)
    (options.output / "accuracy.md").write_text(text, encoding="utf-8")
    figures = draw_all(studies, extent, options.output)
    print(text, f"written: {options.output / 'accuracy.md'}", *figures, sep="\n")
    if options.docs:
        write_docs(text, _DOCS / "accuracy.md")
        draw_all(studies, extent, _DOCS / "figures")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
