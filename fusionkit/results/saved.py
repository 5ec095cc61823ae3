"""Finished runs read back from their folders, for a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusionkit.config import yaml as yamlio
from fusionkit.errors import UserError
from fusionkit.results.result_file import NAME, SavedResult, read_result
from fusionkit.results.saved_summary import read_summary

_SUMMARY = "summary.json"


@dataclass(frozen=True)
class SavedRun:
    """A run folder.

    Parameters
    ----------
    name : what to call it: the folder's name, or the path where two folders have one name.
    saved : its arrays.
    summary : its verdict, as in ``summary.json``.
    config : its resolved configuration.
    """

    name: str
    saved: SavedResult
    summary: Mapping[str, Any]
    config: Mapping[str, Any]

    def number(self, *keys: str) -> float:
        """A number of the summary; NaN where it has none."""
        value: Any = self.summary
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return float(value) if isinstance(value, int | float) else math.nan


def read_runs(folders: Sequence[Path]) -> tuple[SavedRun, ...]:
    """The runs in these folders.

    Parameters
    ----------
    folders : output folders of ``fusionkit run``, or the ``result.h5`` in them.

    Raises
    ------
    UserError : fewer than two, one named twice, or one that is no finished run.
    """
    if len(folders) < 2:
        raise UserError("compare", "needs at least two runs", "name the output folders of two runs")
    homes = [folder.parent if folder.name == NAME else folder for folder in folders]
    places = [home.resolve() for home in homes]
    for home, place in zip(homes, places, strict=True):
        if places.count(place) > 1:
            raise UserError(str(home), "is named twice", "name each run once")
    short = [place.name for place in places]
    names = short if len(set(short)) == len(short) else [str(home) for home in homes]
    return tuple(_read(home, name) for home, name in zip(homes, names, strict=True))


def read_run(folder: Path) -> SavedRun:
    """The run in a folder, or of the ``result.h5`` in it; `UserError` where it is no finished run."""
    home = folder.parent if folder.name == NAME else folder
    return _read(home, home.resolve().name)


def _read(folder: Path, name: str) -> SavedRun:
    if folder.is_file():
        raise UserError(str(folder), "is a file, no output folder of a run", "name the folder of a run")
    if not folder.is_dir():
        raise UserError(str(folder), "there is no such folder", "name the output folder of a run")
    saved = read_result(folder)
    summary = read_summary(folder / _SUMMARY, "name a whole output folder")
    config = yamlio.parse(saved.config, f"config of {folder}")
    if not isinstance(config, dict):
        raise UserError(str(folder), "was not written by fusionkit", "name the output folder of a run")
    return SavedRun(name, saved, summary, config)
