"""The table of a sweep, with a row for each point from its run folder."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fusionkit import writer
from fusionkit.data.new_file import whole_file
from fusionkit.report.image_limits import block_mean, quantity
from fusionkit.report.metrics import nrmse
from fusionkit.results import result_file
from fusionkit.results.saved import read_summary
from fusionkit.sweep.plan import Point
from fusionkit.terms import Array

FAILED, NOT_RUN = "failed", "not run"
THUMBNAIL = 128  # most pixels along an edge


@dataclass(frozen=True)
class Row:
    """The outcome of a point."""

    point: Point  # the point
    status: str  # as in ``summary.json``, or ``failed``, or ``not run``
    # verdict and its measures, objective, each term, optimality, iterations, seconds of the solve, and relative errors
    # if the truth is known
    numbers: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""  # why it failed
    # the fused maps by element, reduced to at most `THUMBNAIL` pixels along an edge; empty if it has none
    maps: Mapping[str, Array] = field(default_factory=dict)
    unit: str = ""  # of the maps

    @property
    def outcome(self) -> str:
        """The verdict, or the status of a point without one."""
        return str(self.numbers.get("verdict") or self.status)


def row_of(point: Point) -> Row:
    """The row of a finished point, from its run folder."""
    summary = read_summary(point.folder / writer.SUMMARY, "remove the folder")
    saved = result_file.read_result(point.folder)
    verdict = summary.get("verdict") or {}
    numbers = {
        "verdict": verdict.get("level"),
        "objective": summary.get("objective"),
        "optimality": summary.get("optimality"),
        "iterations": summary.get("iterations"),
        "seconds": summary.get("seconds", {}).get("solve"),
        **{f"term.{name}": value for name, value in summary.get("terms", {}).items()},
        **{name.replace("_", ".", 1): value for name, value in verdict.get("measures", {}).items()},
    }
    if errors := [value for name, value in numbers.items() if name.startswith("held-out.")]:
        numbers["held-out"] = sum(errors) / len(errors)
    if saved.truth is not None and saved.truth.shape == saved.x.shape:
        numbers["nrmse"] = nrmse(saved.x, saved.truth)
        if len(saved.labels) > 1:
            pairs = zip(saved.labels, saved.x, saved.truth, strict=True)
            numbers |= {f"nrmse.{label}": nrmse(x, truth) for label, x, truth in pairs}
    maps = (
        {name: block_mean(x, THUMBNAIL).astype(np.float32) for name, x in saved.maps.items()} if saved.elements else {}
    )
    return Row(point, saved.status, numbers, maps=maps, unit=quantity(saved.inputs.get("maps", saved.x)))


def columns(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The values of each row by column; all rows have the same columns, with None for missing numbers."""
    numbers = dict.fromkeys(name for row in rows for name in row.numbers)
    return [
        {
            "point": row.point.name,
            **row.point.values,
            "status": row.status,
            **{name: row.numbers.get(name) for name in numbers},
            "error": row.error,
        }
        for row in rows
    ]


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Write the rows, in the order of the points, as CSV, with lists and mappings as JSON."""
    lines = [{name: _cell(value) for name, value in row.items()} for row in columns(rows)]
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
        return f"'{value}"  # spreadsheets would take it for a formula
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value
