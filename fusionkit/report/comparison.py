"""The comparison of runs: a table of their numbers, the maps to show side by side, and what is not comparable."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionkit.report.metrics import has_ssim, nrmse, psnr, ssim
from fusionkit.results.saved import SavedRun


@dataclass(frozen=True)
class ComparableMaps:
    """Maps to show side by side."""

    runs: tuple[SavedRun, ...] = ()  # the runs, the first as the reference; empty if no two match
    elements: tuple[str, ...] = ()  # labels of the maps that all of them have
    notes: tuple[str, ...] = ()  # what is not shown and why, a line each
    one_scale: bool = True  # whether all pixels have the same size in the same unit


def comparable_maps(runs: Sequence[SavedRun]) -> ComparableMaps:
    """The maps of the largest group of runs with the same shape and pixel size, the first of equally large groups.

    If no two runs share a pixel size, the same shape suffices, without a scale bar.
    """
    for describe in (_grid, _shape):
        group = _largest_group(runs, describe)
        if len(group) > 1:
            return _of_group(runs, group, describe)
    if all(_shape(run) is None for run in runs):
        return ComparableMaps()
    other = next(run for run in runs if _shape(run) != _shape(runs[0]))
    pair = f"{runs[0].name} ({_size(runs[0])}) and {other.name} ({_size(other)})"
    return ComparableMaps(notes=(f"The maps are not shown side by side: {pair} are of different sizes.",))


def _largest_group(runs: Sequence[SavedRun], describe: Callable[[SavedRun], str | None]) -> tuple[SavedRun, ...]:
    """The largest group of runs with the same description, which is not None."""
    groups: dict[str, list[SavedRun]] = {}
    for run in runs:
        description = describe(run)
        if description is not None:
            groups.setdefault(description, []).append(run)
    return tuple(max(groups.values(), key=len, default=[]))


def _of_group(
    runs: Sequence[SavedRun], group: tuple[SavedRun, ...], describe: Callable[[SavedRun], str | None]
) -> ComparableMaps:
    common = tuple(label for label in group[0].saved.labels if all(label in run.saved.labels for run in group))
    if not common:
        return ComparableMaps(notes=("The maps are not shown side by side: the runs have no element in common.",))
    notes = []
    names = [run.name for run in group]
    others = ", ".join(f"{run.name} ({describe(run) or 'no maps'})" for run in runs if run.name not in names)
    if others:
        chosen = f"{', '.join(names)} ({describe(group[0])})"
        notes.append(f"Only the maps of {chosen} are shown side by side, not those on other pixels: {others}.")
    labels = dict.fromkeys(label for run in group for label in run.saved.labels)
    omitted = ", ".join(label for label in labels if label not in common)
    if omitted:
        notes.append(f"Only the maps of {', '.join(common)} are shown side by side: not every run has {omitted}.")
    pixels = _pixel_notes(group)
    return ComparableMaps(group, common, (*notes, *pixels), not pixels)


def _pixel_notes(runs: Sequence[SavedRun]) -> list[str]:
    """Why the maps have no common scale bar; empty if they have one."""
    first, *others = runs
    for run in others:
        if _pixel(run) != _pixel(first):
            pair = f"{first.name} ({_pixel(first)}) and {run.name} ({_pixel(run)})"
            return [f"Lengths are in pixels, without a scale bar: the pixels of {pair} differ in size."]
    return []


def _shape(run: SavedRun) -> str | None:
    """The size of the maps as text; None without maps."""
    x = run.saved.x
    return f"{x.shape[1]} × {x.shape[2]} pixels" if x.ndim == 3 else None


def _grid(run: SavedRun) -> str | None:
    """The size of the maps and of a pixel as text; None without maps."""
    shape = _shape(run)
    return None if shape is None else f"{shape} of {_pixel(run)}{' size' if run.saved.pixel_size is None else ''}"


def _pixel(run: SavedRun) -> str:
    size = run.saved.pixel_size
    return "unknown" if size is None else f"{size:.6g} {run.saved.units or ''}".rstrip()


def _size(run: SavedRun) -> str:
    return " × ".join(map(str, run.saved.x.shape))


_MOST_DIFFERENCES = 4  # listed in a line


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs."""

    runs: tuple[SavedRun, ...]  # at least two
    rows: tuple[tuple[str, ...], ...]  # name of a quantity and its text for each run
    notes: tuple[str, ...]  # what is not comparable and why, a line each
    one_objective: bool  # whether all runs minimise the same objective
    maps: ComparableMaps  # the maps to show side by side


def compare(runs: tuple[SavedRun, ...]) -> Comparison:
    """Compare two or more runs with the first one."""
    objective = _objective_notes(runs)
    maps = comparable_maps(runs)
    rows, metrics = _rows(runs)
    return Comparison(runs, rows, (*objective, *maps.notes, *metrics), not objective, maps)


def _objective_notes(runs: Sequence[SavedRun]) -> list[str]:
    """Why objectives are not comparable, each reason once; empty if they are."""
    first, *others = runs
    reasons: dict[str, list[str]] = {}
    for run in others:
        changes = differences(first.config.get("terms"), run.config.get("terms"), "terms")
        if changes:
            more = f" and {len(changes) - _MOST_DIFFERENCES} more" if len(changes) > _MOST_DIFFERENCES else ""
            listed = "; ".join(changes[:_MOST_DIFFERENCES]) + more
            reasons.setdefault(listed, []).append(run.name)
        elif not _same_data(first, run):
            reasons.setdefault("the data differ", []).append(run.name)
    return [
        f"The objectives of {first.name} and {', '.join(names)} are not comparable: {reason}."
        for reason, names in reasons.items()
    ]


def differences(first: Any, second: Any, key: str) -> list[str]:
    """The keys below ``key`` at which two configurations differ, with both values."""
    if isinstance(first, dict) and isinstance(second, dict):
        pairs = [
            (f"{key}.{name}".lstrip("."), first.get(name), second.get(name))
            for name in dict.fromkeys([*first, *second])
        ]
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        names = [_name(one, index) for index, one in enumerate(first)]
        pairs = [(f"{key}.{name}", *both) for name, both in zip(names, zip(first, second, strict=True), strict=True)]
    elif isinstance(first, list) and isinstance(second, list):
        return [f"{key}: {_names(first)} against {_names(second)}"]
    else:
        return [] if first == second else [f"{key} {_text(first)} against {_text(second)}"]
    return [line for name, one, other in pairs for line in differences(one, other, name)]


def _name(value: Any, index: int) -> str:
    name = value.get("name") or value.get("type") if isinstance(value, dict) else None
    return str(name or index)


def _names(values: list[Any]) -> str:
    return ", ".join(_name(value, index) for index, value in enumerate(values))


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _same_data(first: SavedRun, second: SavedRun) -> bool:
    one, other = first.saved.inputs, second.saved.inputs
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def _rows(runs: Sequence[SavedRun]) -> tuple[tuple[tuple[str, ...], ...], list[str]]:
    """The table with a row for each quantity, and notes on missing rows."""
    rows = [
        ("status", *(run.saved.status for run in runs)),
        ("iterations", *(_number(run.number("iterations"), "d") for run in runs)),
        ("seconds", *(_number(run.number("seconds", "solve"), ".3g") for run in runs)),
        ("optimality", *(_number(run.saved.optimality, ".2e") for run in runs)),
        ("objective", *(_number(run.saved.objective, ".8g") for run in runs)),
    ]
    terms = dict.fromkeys(name for run in runs for name in run.summary.get("terms", {}))
    rows += [(f"  {name}", *(_number(run.number("terms", name), ".8g") for run in runs)) for name in terms]
    if not any(run.saved.truth is not None and run.saved.truth.shape == run.saved.x.shape for run in runs):
        return tuple(rows), []
    rows.append(("NRMSE", *(_number(_nrmse(run), ".4f") for run in runs)))
    if all(run.saved.x.ndim != 3 for run in runs):
        return tuple(rows), []
    rows.append(("PSNR (dB)", *(_number(_of_maps(run, psnr), ".2f") for run in runs)))
    if not has_ssim():
        return tuple(rows), ["SSIM needs scikit-image: pip install scikit-image."]
    rows.append(("SSIM", *(_number(_of_maps(run, ssim), ".4f") for run in runs)))
    return tuple(rows), []


def _nrmse(run: SavedRun) -> float:
    truth = run.saved.truth
    return nrmse(run.saved.x, truth) if truth is not None and truth.shape == run.saved.x.shape else math.nan


def _of_maps(run: SavedRun, metric: Any) -> float:
    truth, x = run.saved.truth, run.saved.x
    return metric(x, truth) if truth is not None and x.ndim == 3 and truth.shape == x.shape else math.nan


def _number(value: float, spec: str) -> str:
    if math.isnan(value):
        return "–"
    return f"{int(value)}" if spec == "d" else format(value, spec)
