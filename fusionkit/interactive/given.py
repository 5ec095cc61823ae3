"""What `fusionkit.fuse` is given, as one `Dataset`, and the kind in which fused maps are given back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.checks import FloatArray, Origin, check_fellow, check_image, to_float
from fusionkit.data import Dataset
from fusionkit.elements import atomic_number
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.fields import fields
from fusionkit.interactive.files import image_in, is_path, maps_in
from fusionkit.interactive.kinds import ArrayKind, Kind, SignalKind
from fusionkit.interactive.signals import element_of, is_signal, parts_of, raw_of
from fusionkit.readers import RawArray, first_sized

_NAMES = "name one for each map: elements=['Co', 'O']"


@dataclass(frozen=True)
class Given:
    """Image and maps.

    Parameters
    ----------
    dataset : ``haadf`` and ``maps`` as they came, in float64.
    kind : what the maps came as.
    """

    dataset: Dataset
    kind: Kind


def given(haadf: Any, maps: Any, elements: Sequence[str] | None) -> Given:
    """Image and maps of any kind, checked.

    Parameters
    ----------
    haadf : the image (ny, nx): an array, a HyperSpy signal or the path of a file.
    maps : by element in a mapping; or a list, a stack or the path of a file.
    elements : of the maps, where these do not say; None where they do.

    Raises
    ------
    UserError : an element is not known, or an array is no image, not finite or of another shape.
    """
    if isinstance(elements, str):
        raise UserError("elements", f"is the text '{elements}'", "write a list: elements=['Co', 'O']")
    _check_unique(elements or (), "elements")
    image = _raw(haadf, "haadf")
    raw, kind, notes = _maps(maps, elements)
    for element in raw:
        atomic_number(element, f"maps.{element}")
    arrays = {"haadf": _checked(image, "haadf", "haadf")}
    stack = [_checked(one, f"maps.{element}", element) for element, one in raw.items()]
    for element, one in zip(raw, stack, strict=True):
        check_fellow(one.shape, _origin(f"maps.{element}", element), arrays["haadf"].shape, "haadf")
    arrays["maps"] = np.stack(stack)
    return Given(_dataset(arrays, tuple(raw), [*raw.values()], image, notes), kind)


def _dataset(
    arrays: Mapping[str, FloatArray],
    elements: tuple[str, ...],
    maps: list[RawArray],
    image: RawArray,
    notes: tuple[str, ...],
) -> Dataset:
    """The maps' own pixel size and facts come before the image's; a size of theirs that is left out stays so."""
    raw = [*maps, image]
    sized = first_sized(maps if any(one.left_out for one in maps) else raw) or RawArray(np.empty(0))
    metadata: dict[str, float | str] = {}
    for one in reversed(raw):
        metadata |= one.metadata
    said = dict.fromkeys([*notes, *(note for one in raw for note in one.notes)])
    return Dataset(
        arrays,
        elements,
        sized.pixel_size,
        sized.units,
        source="fusionkit.fuse",
        notes=(*said, *_fields(image, maps)),
        metadata=metadata,
        stacks={"maps": elements},
        origin=sized.origin,
    )


def _fields(image: RawArray, maps: list[RawArray]) -> tuple[str, ...]:
    """A warning and a note where the image and a map do not show the same field, as far as is known."""
    found = [both for one in maps if (both := fields(image.scan, one.scan)) is not None]
    said = next((both.difference() for both in found if not both.alike), None)
    if said is None:
        return ()
    warnings.warn(f"{said}; they are taken for the same field", FusionkitWarning, stacklevel=2)
    return (f"{said[0].upper()}{said[1:]}; they are taken for the same field.",)


def _maps(maps: Any, elements: Sequence[str] | None) -> tuple[dict[str, RawArray], Kind, tuple[str, ...]]:
    if isinstance(maps, Mapping):
        if elements is not None:
            raise UserError("elements", "is given beside maps that have names", "leave it out")
        return _named(maps)
    if is_path(maps):
        return maps_in(Path(maps), "maps", elements), ArrayKind(), ()
    if is_signal(maps) and np.ndim(maps.data) != 2:
        singles, notes = parts_of(maps, elements)
        return {name: raw_of(one) for name, one in singles.items()}, SignalKind(singles, maps), notes
    several = [maps] if is_signal(maps) or _is_image(maps) else maps
    if not isinstance(several, list | tuple | np.ndarray) or len(several) == 0:
        raise UserError("maps", f"is of the type {type(maps).__name__}", "give {'Co': ..., 'O': ...}")
    return _named(_by_name(list(several), elements))


def _is_image(maps: Any) -> bool:
    return isinstance(maps, np.ndarray) and maps.ndim == 2


def _by_name(maps: list[Any], elements: Sequence[str] | None) -> dict[str, Any]:
    if elements is None:
        if not all(map(is_signal, maps)):
            raise UserError("elements", "is missing: the maps have no names", _NAMES)
        elements = [element_of(one, f"maps[{index}]") for index, one in enumerate(maps)]
    if len(elements) != len(maps):
        raise UserError("elements", f"names {len(elements)} elements for {len(maps)} maps", _NAMES)
    _check_unique(elements, "maps")
    return dict(zip(elements, maps, strict=True))


def _check_unique(elements: Sequence[str], where: str) -> None:
    double = [element for element in elements if list(elements).count(element) > 1]
    if double:
        raise UserError(where, f"there are two of {double[0]}", "give one map for each element")


def _named(maps: Mapping[str, Any]) -> tuple[dict[str, RawArray], Kind, tuple[str, ...]]:
    if not maps:
        raise UserError("maps", "is empty", "give {'Co': ..., 'O': ...}")
    signals = {element: one for element, one in maps.items() if is_signal(one)}
    if signals and len(signals) < len(maps):
        raise UserError("maps", "holds signals and other things", "give all as signals, or all as arrays")
    raw = {str(element): _raw(one, f"maps.{element}", str(element)) for element, one in maps.items()}
    return raw, SignalKind(signals) if signals else ArrayKind(), ()


def _raw(thing: Any, where: str, element: str = "") -> RawArray:
    if is_signal(thing):
        return raw_of(thing)
    if is_path(thing):
        return image_in(Path(thing), where, element)
    try:
        return RawArray(np.asarray(thing))
    except ValueError:  # lists of several lengths
        raise UserError(where, "is no array", "give an array, a HyperSpy signal or the path of a file") from None


def _checked(raw: RawArray, where: str, name: str) -> FloatArray:
    origin = _origin(where, name)
    check_image(raw.values.shape, origin)
    return to_float(raw.values, origin)


def _origin(where: str, name: str) -> Origin:
    return Origin(where, name, "fusionkit.fuse")
