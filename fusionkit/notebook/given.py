"""What `fusionkit.fuse` is given, as one `Dataset`, and the kind in which fused maps are given back.

Whose map each of a list is: by what signals and files say themselves, and by the elements that the caller names.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.data.checks import FloatArray, Origin, check_fellow, check_image, to_float
from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.field_of_view import fields
from fusionkit.data.readers import RawArray, first_sized
from fusionkit.data.recording import recording_facts
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.notebook.files import element_of_file, image_in, is_path, maps_in
from fusionkit.notebook.kinds import (
    ArrayKind,
    Kind,
    SignalKind,
    check_no_spectra,
    element_of,
    is_signal,
    parts_of,
    raw_of,
    title_of,
)


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
    check_unique(elements or (), "elements")
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
    said = dict.fromkeys([*notes, *(note for one in raw for note in one.notes)])
    return Dataset(
        arrays,
        elements,
        sized.pixel_size,
        sized.units,
        source="fusionkit.fuse",
        notes=(*said, *_fields(image, maps)),
        metadata=recording_facts(raw),
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
    several = [maps] if is_signal(maps) else _listed(maps)
    return _named(by_element(several, elements))


def _listed(maps: Any) -> list[Any]:
    """The maps of a list, or of a stack of any library whose arrays become numpy's, as those of dask do."""
    if hasattr(maps, "__array__") and getattr(maps, "ndim", 0) > 1:
        stack = _array(maps, "maps")
        maps = [stack] if stack.ndim == 2 else list(stack)
    if not isinstance(maps, list | tuple) or len(maps) == 0:
        raise UserError("maps", f"is of the type {type(maps).__name__}", "give {'Co': ..., 'O': ...}")
    return list(maps)


def _named(maps: Mapping[str, Any]) -> tuple[dict[str, RawArray], Kind, tuple[str, ...]]:
    if not maps:
        raise UserError("maps", "is empty", "give {'Co': ..., 'O': ...}")
    raw = {str(element): _raw(one, f"maps.{element}", str(element)) for element, one in maps.items()}
    signals = all(map(is_signal, maps.values()))
    return raw, SignalKind(maps) if signals else ArrayKind(), ()


def _raw(thing: Any, where: str, element: str = "") -> RawArray:
    if is_signal(thing):
        check_no_spectra(thing, where)
        return raw_of(thing)
    return image_in(Path(thing), where, element) if is_path(thing) else RawArray(_array(thing, where))


def _array(thing: Any, where: str) -> npt.NDArray[Any]:
    """What is given as an array, masked where it is; `UserError` where it is none."""
    try:
        # an array of dask keeps its mask only where it is computed
        return np.asanyarray(thing.compute() if hasattr(thing, "compute") else thing)
    except (ValueError, TypeError):  # lists of several lengths; arrays that are not in the memory of the processor
        raise UserError(where, "is no array", "give an array, a HyperSpy signal or the path of a file") from None


def _checked(raw: RawArray, where: str, name: str) -> FloatArray:
    origin = _origin(where, name)
    check_image(raw.values.shape, origin)
    return to_float(raw.values, origin)


def _origin(where: str, name: str) -> Origin:
    return Origin(where, name, "fusionkit.fuse")


_NAMES = "name one for each map: elements=['Co', 'O']"
_BY_NAME = "give the maps as {'Co': ..., 'O': ...}"


def by_element(maps: Sequence[Any], elements: Sequence[str] | None) -> dict[str, Any]:
    """The maps by element, in the order of ``elements`` where these are named, else in their own.

    Maps that say whose they are keep that, whatever the order of ``elements``; others are named by their place.

    Raises
    ------
    UserError : nothing says whose map one is, or ``elements`` says something else than it does.
    """
    said = [_said_by(one, f"maps[{index}]") for index, one in enumerate(maps)]
    if elements is None:
        if None in said:
            raise _nameless(maps[said.index(None)], f"maps[{said.index(None)}]")
        names = [name for name in said if name is not None]
        check_unique(names, "maps")
        return dict(zip(names, maps, strict=True))
    if len(elements) != len(maps):
        raise UserError("elements", f"names {len(elements)} elements for {len(maps)} maps", _NAMES)
    if set(said) == set(elements):
        found = dict(zip(said, maps, strict=True))
        return {name: found[name] for name in elements}
    for index, (name, own) in enumerate(zip(elements, said, strict=True)):
        if own not in (None, name):
            problem = f"names {name} for maps[{index}], which says that it is the map of {own}"
            raise UserError("elements", problem, f"correct the order, or {_BY_NAME}")
    return dict(zip(elements, maps, strict=True))


def check_unique(elements: Sequence[str], where: str) -> None:
    """`UserError` where an element comes twice."""
    double = [element for element in elements if list(elements).count(element) > 1]
    if double:
        raise UserError(where, f"there are two of {double[0]}", "give one map for each element")


def _said_by(thing: Any, where: str) -> str | None:
    if is_signal(thing):
        return element_of(thing)
    return element_of_file(Path(thing), where) if is_path(thing) else None


def _nameless(thing: Any, where: str) -> UserError:
    if not is_signal(thing) and not is_path(thing):
        return UserError("elements", "is missing: the maps have no names", _NAMES)
    what = f"the signal '{title_of(thing)}'" if is_signal(thing) else f"'{thing}'"
    remedy = f"name the elements: elements=['Co', 'O'], or {_BY_NAME}"
    return UserError(where, f"nothing says whose map {what} is", remedy)
