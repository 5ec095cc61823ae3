"""Reading finished runs from their folders."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import isdir, isfile, realpath
from pathlib import Path
from typing import Any

from fusionkit.config import yaml as yamlio
from fusionkit.errors import UserError
from fusionkit.options import repeated
from fusionkit.results.result_file import NAME, SavedResult, read_result

_SUMMARY = "summary.json"
_NUMBERS = ("objective", "optimality", "iterations")


@dataclass(frozen=True)
class SavedRun:
    """A run folder."""

    name: str  # of the folder, or its path if another folder of the comparison has the same name
    saved: SavedResult  # its arrays
    summary: Mapping[str, Any]  # the contents of ``summary.json``
    config: Mapping[str, Any]  # its resolved configuration

    def number(self, *keys: str) -> float:
        """A number of the summary by its path of keys; NaN if there is none."""
        value: Any = self.summary
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return float(value) if isinstance(value, int | float) else math.nan


def read_runs(folders: Sequence[Path]) -> tuple[SavedRun, ...]:
    """The runs in these output folders, or of the ``result.h5`` in them.

    `UserError` if there are fewer than two, one is named twice, or one is not a finished run.
    """
    if len(folders) < 2:
        raise UserError("compare", "needs at least two runs", "name the output folders of two runs")
    folders = [folder.parent if folder.name == NAME else folder for folder in folders]
    paths = [Path(realpath(folder)) for folder in folders]
    path = repeated(map(str, paths))
    if path is not None:
        raise UserError(path, "is named twice", "name each run once")
    short = [path.name for path in paths]
    names = short if repeated(short) is None else [str(folder) for folder in folders]
    return tuple(_read(folder, name) for folder, name in zip(folders, names, strict=True))


def read_run(folder: Path) -> SavedRun:
    """The run in a folder, or of the ``result.h5`` in it; `UserError` if it is not a finished run."""
    folder = folder.parent if folder.name == NAME else folder
    return _read(folder, Path(realpath(folder)).name)


def _read(folder: Path, name: str) -> SavedRun:
    if isfile(folder):
        raise UserError(str(folder), "is a file, not the output folder of a run", "name the folder of a run")
    if not isdir(folder):
        raise UserError(str(folder), "there is no such folder", "name the output folder of a run")
    saved = read_result(folder)
    summary = read_summary(folder / _SUMMARY, "name a complete output folder")
    config = yamlio.parse(saved.config, f"config of {folder}")
    if not isinstance(config, dict):
        raise UserError(str(folder), "was not written by fusionkit", "name the output folder of a run")
    return SavedRun(name, saved, summary, config)


def read_summary(path: Path, remedy: str) -> dict[str, Any]:
    """The summary of a run; keys may be missing.

    `UserError` with this remedy if it cannot be read, is not JSON, or has a value of a wrong type.
    """
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(str(path), f"cannot be read: {error.strerror}", remedy) from None
    except (ValueError, RecursionError):  # not UTF-8, not JSON, or nested too deeply
        raise UserError(str(path), "is not JSON", remedy) from None
    if not isinstance(summary, dict):
        raise UserError(str(path), "was not written by fusionkit: it is not a JSON object", remedy)
    wrong = next(_wrong(summary), None)
    if wrong is not None:
        raise UserError(str(path), f"was not written by fusionkit: '{wrong[0]}' is not of the type {wrong[1]}", remedy)
    return summary


def _wrong(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys whose values have a wrong type, and the right type."""
    for key in _NUMBERS:
        if not _is_number(summary.get(key)):
            yield key, "number"
    for key in ("terms", "seconds"):
        values = summary.get(key, {})
        if not isinstance(values, dict):
            yield key, "object"
            continue
        yield from ((f"{key}.{name}", "number") for name, value in values.items() if not _is_number(value))
    chosen = summary.get("weights_auto", {})
    entries = chosen.values() if isinstance(chosen, dict) else [None]
    if not all(isinstance(entry, dict) and isinstance(entry.get("key"), str) for entry in entries):
        yield "weights_auto", "object of objects with keys"


def _is_number(value: Any) -> bool:
    """Whether the value is a finite number, or ``null``, which replaces other numbers."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and abs(value) <= sys.float_info.max)
