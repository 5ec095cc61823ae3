"""A cell is one measurement: a method on a recording. Its numbers are kept in a small file, so that a run resumes."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy import reference
from benchmarks.accuracy.methods import METHODS, REFERENCE, Maps
from benchmarks.accuracy.metrics import scores
from benchmarks.accuracy.specimens import Case, Recording, case
from benchmarks.accuracy.structure import structure
from fusionkit.terms import Array
from fusionkit.uncertainty.intervals import coverage


@dataclass(frozen=True)
class Cell:
    """A method on a recording."""

    recording: Recording
    method: str

    def path(self, folder: Path) -> Path:
        """The file of its numbers."""
        return folder / f"{self.recording.name}-{self.method}.json"


def measured(cell: Cell, folder: Path) -> dict[str, Any]:
    """The numbers of a cell, read from its file or measured and written to it."""
    path = cell.path(folder)
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    drawn = case(cell.recording)
    assert drawn.dataset.truth is not None
    started = time.perf_counter()
    x, facts = _maps(cell, drawn, folder)
    seconds = time.perf_counter() - started
    beside = structure(x, drawn)
    row = {
        **vars(cell.recording),
        "method": cell.method,
        "elements": drawn.dataset.elements,
        **scores(x, drawn.dataset.truth).row(),
        **(beside.row() if beside else {}),
        **_coverage(facts, drawn.dataset.truth),
        "seconds": seconds,
        "facts": facts,
    }
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(row, indent=1), encoding="utf-8")
    os.replace(part, path)
    return row


def _coverage(facts: dict[str, Any], truth: Array) -> dict[str, Any]:
    """Coverage in place of the intervals, which are too large to be kept."""
    if "low" not in facts:
        return {}
    return {"coverage": coverage(facts.pop("low"), facts.pop("high"), truth).tolist()}


def _maps(cell: Cell, drawn: Case, folder: Path) -> Maps:
    """The maps; for further seeds, the reference's grid starts about the best weights of the first."""
    if cell.method == REFERENCE and cell.recording.seed:
        first = Cell(Recording(**{**vars(cell.recording), "seed": 0}), REFERENCE)
        return reference.best(drawn, near=measured(first, folder)["facts"])
    return METHODS[cell.method](drawn)
