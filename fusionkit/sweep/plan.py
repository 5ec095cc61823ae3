"""The plan of a sweep: its points are all combinations of the values, each a checked config with its own folder."""

import csv
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from os.path import isdir, isfile
from pathlib import Path
from typing import Any

from fusionkit import writer
from fusionkit.config import LoadedConfig, Source, check_source, override_source
from fusionkit.config import yaml as yamlio
from fusionkit.config.resolved import absolute_paths, resolved
from fusionkit.data.new_file import whole_file
from fusionkit.errors import UserError, file_errors
from fusionkit.reconstruct import check_formats
from fusionkit.report.comparison import differences
from fusionkit.results import result_file
from fusionkit.results.resume import fingerprints
from fusionkit.results.saved import read_summary
from fusionkit.results.summary import INCOMPLETE
from fusionkit.sweep.axes import Axis, assignment, join
from fusionkit.weights.auto import restore_auto

CONFIG, TABLE, PAGE = "sweep.yaml", "table.csv", "index.html"  # files beside the folders of the points
_MOST_NAMES = 4  # listed in a message
_REMEDY = "choose another folder with --output"


@dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    name: str  # of its folder
    place: tuple[int, ...]  # its index on each axis
    values: Mapping[str, Any]  # by key of the config
    source: Source  # its unchecked configuration
    loaded: LoadedConfig  # its checked configuration
    folder: Path  # its run folder


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep."""

    source: Source  # the configuration with its ``sweep``
    axes: tuple[Axis, ...]  # keys and their values
    points: tuple[Point, ...]  # all combinations, the last axis fastest
    folder: Path  # of the points' folders, the table and the page


def plan(source: Source, axes: Sequence[Axis], folder: Path) -> Plan:
    """Make and check every point; `UserError` if the config lacks a key of the axes or cannot take a value."""
    single = Source({k: v for k, v in source.raw.items() if k != "sweep"}, source.folder, source.name, source.packaged)
    places = itertools.product(*(range(len(axis.values)) for axis in axes))
    points = tuple(_point(single, axes, place, folder) for place in places)
    check_formats(points[0].loaded.config)  # the same for all points
    return Plan(source, tuple(axes), points, folder)


def _point(source: Source, axes: Sequence[Axis], place: tuple[int, ...], folder: Path) -> Point:
    chosen = list(zip(axes, place, strict=True))
    name = join([axis.parts[index] for axis, index in chosen])
    values = {axis.key: axis.values[index] for axis, index in chosen}
    own_source = override_source(source, [assignment(key, value) for key, value in values.items()], "sweep")
    try:
        loaded = check_source(own_source)
    except UserError as error:
        labels = ", ".join(f"{axis.key} = {axis.labels[index]}" for axis, index in chosen)
        raise UserError(error.where, f"{error.problem} (at {labels})", error.remedy) from None
    return Point(name, place, values, own_source, loaded, folder / name)


def check_folder(plan: Plan, overwrite: bool) -> tuple[Point, ...]:
    """The points that are not finished yet.

    `UserError` if the folder is not that of a sweep, cannot be made, or holds a point with another configuration, of
    other data or outside the plan; ``overwrite`` permits these, and omits points outside the plan from the table.
    """
    folder = plan.folder
    if isdir(folder) and any(folder.iterdir()) and not (folder / CONFIG).is_file():
        raise UserError(str(folder), "holds something other than a former sweep", _REMEDY)
    if not isfile(folder / CONFIG):
        writer.check_output(folder, overwrite=False)
    elif not overwrite:
        _check_former(folder, {point.name for point in plan.points})
    return tuple(point for point in plan.points if not _is_done(point, overwrite))


def _check_former(folder: Path, names: Collection[str]) -> None:
    """`UserError` if the former table is unreadable, or has finished points that are not among the ``names``."""
    missing = [name for name in _finished_points(folder) if name not in names]
    if missing:
        more = f" and {len(missing) - _MOST_NAMES} more" if len(missing) > _MOST_NAMES else ""
        problem = f"holds points that this command does not name: {' '.join(missing[:_MOST_NAMES])}{more}"
        raise UserError(str(folder), problem, f"name them too, {_REMEDY}, or omit them from the table with --overwrite")


def _finished_points(folder: Path) -> list[str]:
    """The points of the former table that have a run folder; all run folders if there is no table."""
    path = folder / TABLE
    names = _read_names(path) if path.exists() else sorted(each.name for each in folder.iterdir())
    return [name for name in names if (folder / name / result_file.NAME).is_file()]


def _read_names(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:  # unreadable, not text, not a table, or empty
        raise _not_a_table(path) from error
    if head[:1] != ["point"]:
        raise _not_a_table(path)
    return [row[0].removeprefix("'") for row in rows if row]


def _not_a_table(path: Path) -> UserError:
    remedy = f"{_REMEDY}, or rewrite it with --overwrite"
    return UserError(str(path), "is not the table of a sweep, so its points are unknown", remedy)


def _is_done(point: Point, overwrite: bool) -> bool:
    """Whether the folder of the point holds a run of its configuration; `UserError` if that of another one."""
    if not (point.folder / result_file.NAME).is_file():
        writer.check_output(point.folder, overwrite)
        return False
    if is_finished(point):
        return True
    changed = ", ".join(differences(_former(point.folder), resolved(point.loaded), "")[:3])
    if overwrite or (_is_incomplete(point) and not changed):
        return False
    remedy = "replace it with --overwrite, or choose another folder with --output"
    file = _changed_file(point)
    if file is not None and not changed:
        raise UserError(str(point.folder), f"'{file}' has changed since this run", remedy)
    raise UserError(str(point.folder), f"holds a run of another configuration (old against new: {changed})", remedy)


def is_finished(point: Point) -> bool:
    """Whether the point has been run with this configuration on the current files."""
    if not (point.folder / result_file.NAME).is_file() or _is_incomplete(point):
        return False
    return _former(point.folder) == resolved(point.loaded) and _changed_file(point) is None


def _is_incomplete(point: Point) -> bool:
    """Whether the run of the point was killed after its result, before its error bars, verdict and report."""
    return bool(read_summary(point.folder / writer.SUMMARY, "remove the folder").get(INCOMPLETE))


def _changed_file(point: Point) -> str | None:
    """The first input file of the point that its run did not read as it is now; None if there is none."""
    summary = read_summary(point.folder / writer.SUMMARY, "remove the folder")
    known = summary.get("files", {})
    # a result stays valid if its input is gone
    return next((name for name, now in fingerprints(resolved(point.loaded)).items() if now != known.get(name)), None)


def _former(folder: Path) -> dict[str, Any]:
    """The configuration of a run folder as requested, with ``auto`` in place of weights that the data chose."""
    summary = read_summary(folder / writer.SUMMARY, "remove the folder, or replace it with --overwrite")
    return restore_auto(yamlio.read(folder / writer.CONFIG), summary)


def write_config(plan: Plan) -> None:
    """Write ``sweep.yaml``, a config that gives the same points from any folder."""
    raw = {key: value for key, value in plan.source.raw.items() if key not in ("sweep", "output")}
    raw["output"] = plan.points[0].loaded.config.output.model_dump(exclude={"directory"})
    loaded, data = plan.points[0].loaded, raw.get("data")
    if isinstance(data, dict):
        raw["data"] = absolute_paths(data, loaded)
    if str(raw.get("init", "")).lower().endswith((".h5", ".hdf5")):
        raw["init"] = str(loaded.path(raw["init"]))
    raw["sweep"] = {axis.key: list(axis.values) for axis in plan.axes}
    with file_errors(str(plan.folder), remedy=_REMEDY):
        plan.folder.mkdir(parents=True, exist_ok=True)
    with whole_file(plan.folder / CONFIG) as partial:
        partial.write_text(yamlio.dump(raw), encoding="utf-8")
