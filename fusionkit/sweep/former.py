"""The points of a former sweep in the same folder: their rows of the table may not get lost without a word."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from fusionkit.errors import UserError
from fusionkit.results import result_file
from fusionkit.sweep.files import TABLE

_MOST_NAMES = 4  # that a line holds
_REMEDY = "choose another folder with --output"


def check_former(folder: Path, names: Collection[str]) -> None:
    """Refuse to write a table that lacks points which the folder holds.

    Parameters
    ----------
    folder : of a sweep.
    names : of the points that the new table is to have.

    Raises
    ------
    UserError : a finished point of the former table is not among them, or that table cannot be read.
    """
    left_out = [name for name in _finished(folder) if name not in names]
    if left_out:
        more = f" and {len(left_out) - _MOST_NAMES} more" if len(left_out) > _MOST_NAMES else ""
        said = f"holds points that this call does not name: {' '.join(left_out[:_MOST_NAMES])}{more}"
        raise UserError(str(folder), said, f"name them too, {_REMEDY}, or leave them out of the table with --overwrite")


def _finished(folder: Path) -> list[str]:
    """The points of the former table whose run folders are there; all run folders where there is no table."""
    path = folder / TABLE
    names = _in_table(path) if path.exists() else sorted(each.name for each in folder.iterdir())
    return [name for name in names if (folder / name / result_file.NAME).is_file()]


def _in_table(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:  # no file, no text, no table, not even one line
        raise _unknown(path) from error
    if head[:1] != ["point"]:
        raise _unknown(path)
    return [row[0] for row in rows if row]


def _unknown(path: Path) -> UserError:
    remedy = f"{_REMEDY}, or write it anew with --overwrite"
    return UserError(str(path), "is no table of a sweep, so that its points are not known", remedy)
