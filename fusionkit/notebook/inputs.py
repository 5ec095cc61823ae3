"""Inputs of `fusionkit.fuse`: image and maps of any kind, by element, read by the loader of configs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.data.checks import Origin, check_image
from fusionkit.data.dataset import Dataset
from fusionkit.data.field_of_view import fields
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import DataOptions, Mask, Source, SpectrumSource
from fusionkit.data.readers import RawArray, Recording
from fusionkit.data.recording import load_file
from fusionkit.data.spectra import ElementMaps
from fusionkit.errors import UserError
from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.signals import Signal
from fusionkit.microscope.spectra.fit import detected
from fusionkit.notebook.files import element_of_file, image_in, is_path, maps_in
from fusionkit.notebook.kinds import (
    Kind,
    check_no_spectra,
    element_of,
    image_like,
    is_signal,
    is_spectrum_image,
    parts_of,
    raw_of,
    spectra_of,
    title_of,
)
from fusionkit.options import parse, repeated

SOURCE = "fusionkit.fuse"  # origin of the data, in messages
_NAMES = "name one for each map: elements=['Co', 'O']"
_BY_NAME = "give the maps as {'Co': ..., 'O': ...}"
# keys and words of a config in messages, and what takes their place in Python
_IN_PYTHON = {
    r"use method: windows and background: windows": "give maps, for EDX from get_lines_intensity()",
    r"write the config by hand, with data\.maps\b": _BY_NAME,
    r"data\.mask: nan": "mask='nan'",
    r"data\.maps_are is not given: t": "T",
    r"data\.maps_are(: \w+)?": "weight='auto'",
    r"data\.prepare\b": "data.prepare of a config",
    r"\b(precision|normalize|engine): (\w+)": r"\1='\2'",
}
_KEYS = r"^data\.(spectra\.)?(?=(haadf|maps|mask|normalize)\b)"


@dataclass(frozen=True)
class Inputs:
    """Image and maps."""

    dataset: Dataset  # ``haadf`` and ``maps`` in the units of the inputs, float64
    options: DataOptions  # the config's ``data`` for them
    kind: Kind  # how fused maps are returned


class ArraysInMemory(OpenFiles):
    """Arrays in memory in place of the files of a config.

    Parameters
    ----------
    arrays : by name.
    """

    first = "maps"  # the fused maps have their axes

    def __init__(self, arrays: Mapping[str, RawArray]) -> None:
        super().__init__(Path(), SOURCE, None, "data")
        self._arrays = arrays

    def open(self, path: str | None, reader: str | None, key: str) -> Recording:
        """The arrays."""
        return self

    def names(self) -> Sequence[str]:
        """The names of the arrays."""
        return [*self._arrays]

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of the array ``name``; None where there is no such array."""
        return self._arrays[name].values.shape if name in self._arrays else None

    def read(self, name: str) -> RawArray:
        """The array ``name``."""
        return self._arrays[name]

    def source(self) -> str:
        """The name of the function."""
        return SOURCE


class SpectraInMemory(ArraysInMemory):
    """An image and a spectrum image in memory.

    Parameters
    ----------
    arrays : the HAADF image and masks, by name.
    signal : the spectra.
    """

    def __init__(self, arrays: Mapping[str, RawArray], signal: Signal) -> None:
        super().__init__(arrays)
        self._recording = MicroscopeRecording(signal.path, {signal.name: signal})
        self.reading = self._recording.reading

    def counts(self, source: SpectrumSource, where: str, masked: bool = False) -> ElementMaps:
        """As `fusionkit.data.spectra.SpectralRecording`."""
        return self._recording.counts(source, where, masked)


def in_python(text: str) -> str:
    """A message about a config, with arguments of `fusionkit.fuse` in place of its keys."""
    for pattern, words in _IN_PYTHON.items():
        text = re.sub(pattern, words, text)
    return text


@contextmanager
def argument_names() -> Iterator[None]:
    """Let error messages name arguments of `fusionkit.fuse` instead of keys of the config's ``data``."""
    try:
        yield
    except UserError as error:
        where = "maps" if error.where in ("data", "data.path") else re.sub(_KEYS, "", error.where)
        raise type(error)(where, in_python(error.problem), in_python(error.remedy)) from None


@argument_names()
def gather(haadf: Any, maps: Any, elements: Sequence[str] | None, mask: Any = None) -> Inputs:
    """Image and maps of any kind, checked.

    `UserError` if an element is unknown, or an array is no image, not finite or of another shape.

    Parameters
    ----------
    haadf : the image (ny, nx): an array, a HyperSpy signal or the path of a file.
    maps : by element in a mapping; or a list, a stack, an EDX spectrum image or the path of a file.
    elements : of the maps, if the maps do not name them, or to map; else None.
    mask : as in `fusionkit.fuse`.
    """
    if isinstance(elements, str):
        raise UserError("elements", f"is the text '{elements}'", "write a list: elements=['Co', 'O']")
    check_unique(elements or (), "elements")
    image, (mask, extra) = _raw(haadf, "haadf", "haadf"), _masks(mask)
    if is_spectrum_image(maps):
        return _of_spectra({"haadf": image, **extra}, maps, elements, mask)
    raw, kind, notes = _maps(maps, elements)
    sources = {name: Source(signal=name) for name in raw}
    options = DataOptions(path=SOURCE, haadf=Source(signal="haadf"), maps=sources, mask=mask)
    dataset = load_file(options, Path(), "data", ArraysInMemory({"haadf": image, **raw, **extra}))
    notes = tuple(dict.fromkeys([*notes, *dataset.notes, *_difference_of_fields(image, raw.values())]))
    return Inputs(replace(dataset, notes=notes), options, kind)


def _masks(mask: Any) -> tuple[dict[str, Mask], dict[str, RawArray]]:
    """The masks by array, and those that are arrays, by name."""
    is_one = not isinstance(mask, Mapping) or bool(set(mask) & set(Mask.model_fields))
    each = {} if mask is None else {"all": mask} if is_one else dict(mask)
    masks, arrays = dict[str, Any](), dict[str, RawArray]()
    for name, one in each.items():
        key = "mask" if name == "all" else f"mask.{name}"
        if not isinstance(one, str | list | Mapping):
            arrays[key] = RawArray(_array(one, key))
            one = key
        masks[name] = parse(
            Mask, one if isinstance(one, Mapping) else {"pixels" if isinstance(one, list) else "signal": one}, key
        )
    return masks, arrays


def _of_spectra(
    arrays: Mapping[str, RawArray], signal: Any, elements: Sequence[str] | None, mask: dict[str, Mask]
) -> Inputs:
    """Image and counts of a spectrum image, in a set of channels for each element."""
    spectra = spectra_of(signal)
    memory = SpectraInMemory(arrays, spectra)
    named = spectra.facts.elements
    names = list(elements) if elements is not None else detected(memory.reading(spectra), named, "maps")
    source = SpectrumSource(elements=names, method="spectral")
    options = DataOptions(path=SOURCE, haadf=Source(signal="haadf"), spectra={"maps": source}, mask=mask)
    dataset = load_file(options, Path(), "data", memory)
    return Inputs(dataset, options, Kind(dict.fromkeys(names, image_like(signal))))


def _difference_of_fields(image: RawArray, maps: Iterable[RawArray]) -> tuple[str, ...]:
    """A note if the image and a map are known to show different fields of view."""
    pairs = [both for one in maps if (both := fields(image.scan, one.scan)) is not None]
    difference = next((both.difference() for both in pairs if not both.are_same), None)
    return (
        () if difference is None else (f"{difference[0].upper()}{difference[1:]}; they are treated as the same field.",)
    )


def _maps(maps: Any, elements: Sequence[str] | None) -> tuple[dict[str, RawArray], Kind, tuple[str, ...]]:
    if isinstance(maps, Mapping):
        if elements is not None:
            raise UserError("elements", "is given beside maps that have names", "leave it out")
        return _named(maps)
    if is_path(maps):
        return maps_in(Path(maps), "maps", elements), Kind(), ()
    if is_signal(maps) and np.ndim(maps.data) != 2:
        singles, notes = parts_of(maps, elements)
        return {name: raw_of(one) for name, one in singles.items()}, Kind(singles, maps), notes
    several = [maps] if is_signal(maps) else _listed(maps)
    return _named(by_element(several, elements))


def _listed(maps: Any) -> list[Any]:
    """The maps of a list, or of a stack of any library whose arrays convert to NumPy's, such as dask."""
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
    return raw, Kind(maps) if signals else Kind(), ()


def _raw(thing: Any, where: str, name: str) -> RawArray:
    if is_signal(thing):
        check_no_spectra(thing, where)
        raw = raw_of(thing)
    elif is_path(thing):
        raw = image_in(Path(thing), where, "" if where == "haadf" else name)
    else:
        raw = RawArray(_array(thing, where))
    check_image(raw.values.shape, Origin(where, name, SOURCE))
    return raw


def _array(thing: Any, where: str) -> npt.NDArray[Any]:
    """The input as an array, with its mask; `UserError` if it cannot be one."""
    try:
        # a dask array keeps its mask only if it is computed first
        return np.asanyarray(thing.compute() if hasattr(thing, "compute") else thing)
    except (ValueError, TypeError):  # ragged lists; arrays on a GPU
        raise UserError(where, "is no array", "give an array, a HyperSpy signal or the path of a file") from None


def by_element(maps: Sequence[Any], elements: Sequence[str] | None) -> dict[str, Any]:
    """The maps by element, in the order of ``elements`` if given, else in their own.

    A map that names its element belongs to it, whatever the order of ``elements``; others are matched by position.
    `UserError` if the element of a map is unknown, or a map names another one than ``elements``.
    """
    own_names = [_own_name(one, f"maps[{index}]") for index, one in enumerate(maps)]
    if elements is None:
        if None in own_names:
            place = own_names.index(None)
            raise _nameless(maps[place], f"maps[{place}]")
        names = [name for name in own_names if name is not None]
        check_unique(names, "maps")
        return dict(zip(names, maps, strict=True))
    if len(elements) != len(maps):
        raise UserError("elements", f"names {len(elements)} elements for {len(maps)} maps", _NAMES)
    if set(own_names) == set(elements):
        named = dict(zip(own_names, maps, strict=True))
        return {name: named[name] for name in elements}
    for index, (name, own) in enumerate(zip(elements, own_names, strict=True)):
        if own not in (None, name):
            problem = f"names {name} for maps[{index}], which says that it is the map of {own}"
            raise UserError("elements", problem, f"correct the order, or {_BY_NAME}")
    return dict(zip(elements, maps, strict=True))


def check_unique(elements: Sequence[str], where: str) -> None:
    """`UserError` if an element is listed twice."""
    double = repeated(elements)
    if double is not None:
        raise UserError(where, f"there are two of {double}", "give one map for each element")


def _own_name(thing: Any, where: str) -> str | None:
    if is_signal(thing):
        return element_of(thing)
    return element_of_file(Path(thing), where) if is_path(thing) else None


def _nameless(thing: Any, where: str) -> UserError:
    if not is_signal(thing) and not is_path(thing):
        return UserError("elements", "is missing: the maps have no names", _NAMES)
    what = f"the signal '{title_of(thing)}'" if is_signal(thing) else f"'{thing}'"
    remedy = f"name the elements: elements=['Co', 'O'], or {_BY_NAME}"
    return UserError(where, f"{what} does not name its element", remedy)
