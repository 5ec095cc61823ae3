"""Pixel size and origin of the unknown, from those of the arrays of a recording."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from fusionkit.data.readers import RawArray, first_sized

_SAME_RATIO = 0.03  # relative difference between the ratios of the two axes of scans of one field


@dataclass(frozen=True)
class PixelGrid:
    """Size and place of pixels."""

    size: float | None = None  # edge of a pixel in ``units``; None if unknown
    units: str | None = None  # unit of ``size`` and ``origin``; None if unknown
    origin: tuple[float, float] | None = None  # (y, x) of the centre of the first pixel; None if unknown


def pixel_grid(
    grid: str, facts: Mapping[str, Sequence[RawArray]], further: Collection[str], same_field: bool
) -> tuple[PixelGrid, tuple[str, ...]]:
    """Pixels of the array ``grid``, its own or derived from the other arrays, and the notes of all arrays.

    Parameters
    ----------
    grid : the array whose pixels the unknown has.
    facts : what is known about each array, by name; of their values only the shape is used.
    further : names of arrays that may have other pixels, such as a kernel or a spectrum.
    same_field : whether image and maps show the same field of view before preparation.
    """
    own = facts[grid]
    others = [one for name in facts if name != grid for one in _comparable(facts[name], name in further, own[0])]
    notes = list(dict.fromkeys(note for one in [*own, *others] for note in one.notes))
    known = [one for one in [*own, *others] if one.pixel_size is not None]
    sized = first_sized(own)
    if sized is not None:
        if len({(one.pixel_size, one.units) for one in known}) > 1:
            notes.append(f"The arrays have several pixel sizes; that of '{grid}' is used.")
        return PixelGrid(sized.pixel_size, sized.units, sized.origin), tuple(notes)
    if not known or any(one.left_out for one in own):
        return PixelGrid(origin=own[0].origin), tuple(notes)
    derived, note = _from_others(grid, own[0].values.shape[-2:], known, same_field)
    return derived, (*notes, *note)


def _comparable(arrays: Sequence[RawArray], may_differ: bool, own: RawArray) -> list[RawArray]:
    """The arrays, without the pixel size of those that may differ in shape and do."""
    shape = own.values.shape[-2:]
    return [replace(one, pixel_size=None) if may_differ and one.values.shape[-2:] != shape else one for one in arrays]


def _from_others(
    grid: str, shape: tuple[int, ...], known: list[RawArray], same_field: bool
) -> tuple[PixelGrid, tuple[str, ...]]:
    """Pixels of the array ``grid``, which has no pixel size, from others on the same pixels or over the same field."""
    message = f"'{grid}' has no pixel size; the result has none either"
    if not same_field:
        return PixelGrid(), (f"{message}, since image and maps are cropped apart.",)
    same = [one for one in known if one.values.shape[-2:] == shape]
    if same:
        several = len({(one.pixel_size, one.units) for one in same}) > 1
        notes = ("The arrays have several pixel sizes; that of the first is used.",) * several
        return PixelGrid(same[0].pixel_size, same[0].units, same[0].origin), notes
    for one in known:
        ratio = _ratio(one.values.shape[-2:], shape)
        if ratio is not None and one.pixel_size is not None:
            return _scaled(grid, one, one.pixel_size, ratio)
    return PixelGrid(), (f"{message}, since the other arrays have pixels of other proportions.",)


def _scaled(grid: str, one: RawArray, edge: float, ratio: float) -> tuple[PixelGrid, tuple[str, ...]]:
    """Pixels ``ratio`` times as long as those of another scan of the same field, whose edge is ``edge``."""
    size = edge * ratio
    moved = None if one.origin is None else (one.origin[0] + (size - edge) / 2, one.origin[1] + (size - edge) / 2)
    shown = f"{size:.4g} {one.units or ''}".strip()
    reference = f"{one.values.shape[-2:]} pixels of {edge:.4g} over the same field of view"
    return PixelGrid(size, one.units, moved), (
        f"'{grid}' has no pixel size; it is taken as {shown}, from {reference}.",
    )


def _ratio(of: tuple[int, ...], to: tuple[int, ...]) -> float | None:
    """Edge of a pixel of the scan ``to`` in pixels of the scan ``of`` the same field; None if the axes disagree."""
    if len(of) != 2 or len(to) != 2:
        return None
    rows, columns = of[0] / to[0], of[1] / to[1]
    return sqrt(rows * columns) if abs(rows / columns - 1) < _SAME_RATIO else None
