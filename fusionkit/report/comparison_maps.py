"""The maps of several runs to show side by side: the largest group on the same pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fusionkit.results.saved import SavedRun


@dataclass(frozen=True)
class Shown:
    """Maps to show side by side.

    Parameters
    ----------
    runs : the runs, the first as the reference; empty where no two match.
    elements : labels of the maps that all of them have.
    notes : what is not shown and why, a line each.
    one_scale : whether all pixels have the same size in the same unit.
    """

    runs: tuple[SavedRun, ...] = ()
    elements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    one_scale: bool = True


def side_by_side(runs: Sequence[SavedRun]) -> Shown:
    """The largest group of runs with the same shape and pixel size, the first of equally large ones.

    If no two share a pixel size, the same shape suffices, without a scale bar.

    Parameters
    ----------
    runs : at least two.
    """
    for name in (_grid, _shape):
        group = _largest_group(runs, name)
        if len(group) > 1:
            return _of_group(runs, group, name)
    if all(_shape(run) is None for run in runs):
        return Shown()
    other = next(run for run in runs if _shape(run) != _shape(runs[0]))
    pair = f"{runs[0].name} ({_size(runs[0])}) and {other.name} ({_size(other)})"
    return Shown(notes=(f"The maps are not shown side by side: {pair} are of different sizes.",))


def _largest_group(runs: Sequence[SavedRun], name: Callable[[SavedRun], str | None]) -> tuple[SavedRun, ...]:
    """The largest group of runs with the same name; None is no name."""
    groups: dict[str, list[SavedRun]] = {}
    for run in runs:
        named = name(run)
        if named is not None:
            groups.setdefault(named, []).append(run)
    return tuple(max(groups.values(), key=len, default=[]))


def _of_group(runs: Sequence[SavedRun], group: tuple[SavedRun, ...], name: Callable[[SavedRun], str | None]) -> Shown:
    common = tuple(label for label in group[0].saved.labels if all(label in run.saved.labels for run in group))
    if not common:
        return Shown(notes=("The maps are not shown side by side: the runs have no element in common.",))
    notes = []
    names = [run.name for run in group]
    others = ", ".join(f"{run.name} ({name(run) or 'no maps'})" for run in runs if run.name not in names)
    if others:
        those = f"{', '.join(names)} ({name(group[0])})"
        notes.append(f"Only the maps of {those} are shown side by side, not those on other pixels: {others}.")
    every = dict.fromkeys(label for run in group for label in run.saved.labels)
    left_out = ", ".join(label for label in every if label not in common)
    if left_out:
        notes.append(f"Only the maps of {', '.join(common)} are shown side by side: not every run has {left_out}.")
    pixels = _pixel_notes(group)
    return Shown(group, common, (*notes, *pixels), not pixels)


def _pixel_notes(runs: Sequence[SavedRun]) -> list[str]:
    """Why the maps have no common scale bar; empty where they have one."""
    first, *others = runs
    for run in others:
        if _pixel(run) != _pixel(first):
            pair = f"{first.name} ({_pixel(first)}) and {run.name} ({_pixel(run)})"
            return [f"Lengths are in pixels, without a scale bar: the pixels of {pair} differ in size."]
    return []


def _shape(run: SavedRun) -> str | None:
    """The size of the maps in words; None without maps."""
    x = run.saved.x
    return f"{x.shape[1]} × {x.shape[2]} pixels" if x.ndim == 3 else None


def _grid(run: SavedRun) -> str | None:
    """The size of the maps and of a pixel in words."""
    shape = _shape(run)
    return None if shape is None else f"{shape} of {_pixel(run)}{' size' if run.saved.pixel_size is None else ''}"


def _pixel(run: SavedRun) -> str:
    size = run.saved.pixel_size
    return "unknown" if size is None else f"{size:.6g} {run.saved.units or ''}".rstrip()


def _size(run: SavedRun) -> str:
    return " × ".join(map(str, run.saved.x.shape))
