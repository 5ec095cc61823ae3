"""The maps of several runs that can be shown side by side: the largest group on the same pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
