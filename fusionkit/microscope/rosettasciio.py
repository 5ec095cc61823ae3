"""The signals of a microscope's file, by the RosettaSciIO readers for its suffix; `spectra` makes counts of them.

A reader returns metadata at HyperSpy's places, and a table of functions that convert original metadata, which HyperSpy
would apply: it has the elements of Velox and the microscope and beam energy of Velox, Gatan and TIFF. RosettaSciIO does
not interpret ImageJ's labels and OME's XML; they are parsed here.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from fusionkit.data.names import element_named
from fusionkit.data.readers import check_claim
from fusionkit.errors import IO, UserError, printable
from fusionkit.microscope import more_formats
from fusionkit.microscope.corrections import corrected
from fusionkit.microscope.damaged_files import (
    ALWAYS_ALLOWED,
    MOST_VALUES_PER_BYTE,
    bytes_of,
    check_hdf5,
    check_tiff,
    guarded,
    mend,
)
from fusionkit.microscope.facts import at, facts_of, order_assumed, texts
from fusionkit.microscope.signals import ArrayValues, Axis, Signal

# readers that ignore lazy, give wrong values with it, or leave the file open
_EAGER = ("rsciio.pantarhei", "rsciio.image", "rsciio.tiff")
_EVEN = 0.1  # of a step: a table of values that deviates more from even steps is no calibration
_PREFERRED = ("MRC", "JEOL", "EMD", "HSPY", "USID")  # tried first if several readers take a suffix
_IMAGEJ, _OME = "ImageJ=", "<OME"
_LIBRARY = "needs a library"
_ANY_HDF5 = (".h5", ".hdf5")  # suffixes without a format of their own
_ESCAPED_MICRO = "\\u00B5"  # as ImageJ writes it
_DEFAULT_OME_UNIT = "µm"  # of its schema


def read_signals(path: Path) -> tuple[Signal, ...]:
    """Every signal of the file.

    `UserError` if a library is missing, or the file is damaged, empty or of another format.
    """
    modules = readers_for(path)
    for check in (check_hdf5, check_tiff):
        guarded(path, lambda check=check: check(path))
    failed: list[UserError] = []
    for module in modules:
        # some readers, and some layouts, cannot leave the values in the file
        for lazy in (False,) if module in _EAGER else (True, False):
            try:
                guarded(path, lambda module=module: import_module(module))  # an ImportError here is not the file's
                mend(module)
                return guarded(path, lambda module=module, lazy=lazy: _read(path, module, lazy))
            except UserError as error:
                failed += [] if lazy else [error]
    if path.suffix.lower() in _ANY_HDF5:
        problem = "is in none of the HDF5 formats that RosettaSciIO reads (HyperSpy, USID, Delmic, Tofwerk, Arina)"
        raise UserError(str(path), problem, "leave out the reader 'microscope', or use 'hdf5', to read its arrays")
    # formats share suffixes: a library that another one of them needs says nothing about this file
    raise (
        failed[-1]
        if modules[-1] == more_formats.__name__
        else next((error for error in failed if _LIBRARY not in error.problem), failed[0])
    )


def readers_for(path: Path) -> list[str]:
    """The modules that take files of this suffix, those of RosettaSciIO first and of these the likeliest.

    `UserError` if RosettaSciIO is not installed, or none of its readers takes the suffix.
    """
    try:
        from rsciio import IO_PLUGINS
    except ImportError:
        raise UserError(str(path), "needs RosettaSciIO, which is not installed", IO) from None
    suffix = path.suffix.lower().removeprefix(".")
    fitting = [one for one in IO_PLUGINS if suffix in {known.lower() for known in one["file_extensions"]}]
    own = [more_formats.__name__] if path.suffix.lower() in more_formats.SUFFIXES else []
    if not fitting and not own:
        raise UserError(str(path), f"RosettaSciIO reads no '{path.suffix}' files", "save it as .hspy, .tif or .npz")
    return [*(one["api"] for one in sorted(fitting, key=lambda one: one["name"] not in _PREFERRED)), *own]


def _read(path: Path, module: str, lazy: bool) -> tuple[Signal, ...]:
    named: dict[str, Signal] = {}
    size = bytes_of(path)
    for one in import_module(module).file_reader(str(path), lazy=lazy):
        entry = corrected(module, one)
        facts = facts_of(metadata_of(entry))
        name = _unique(" ".join(facts.title.split()) or path.stem, named)
        data = entry["data"]
        if 0 in data.shape:  # a reader of text gives this for a text without numbers
            continue
        axes = tuple(map(_axis, entry["axes"], data.shape))  # in the order of the array
        if len(entry["axes"]) != data.ndim or tuple(axis.size for axis in axes) != tuple(data.shape):
            raise ValueError(f"the axes of '{name}' do not fit its values")
        data, axes = _ascending(data, axes)
        if data.nbytes > MOST_VALUES_PER_BYTE * size + ALWAYS_ALLOWED:
            raise ValueError(f"'{name}' claims {data.nbytes / 1e9:.3g} GB, far more than the file can hold")
        description = describe_tiff(entry.get("original_metadata") or {})
        whole = _as_row(Signal(name, path, ArrayValues(data), _sized(axes, description), facts), data)
        if whole.kind == "image":
            check_claim(path, f"'{printable(name)}'", data.shape, data.dtype, size, size)
        named[name] = whole
        named |= {one.name: one for one in layers(whole, data, description.labels) if one.name not in named}
    if not named:
        raise ValueError("it holds no values")
    return tuple(named.values())


def _as_row(signal: Signal, values: Any) -> Signal:
    """A line scan, or the image beside it, as a scan of one row with square pixels; other signals unchanged."""
    energy = signal.energy_axis
    if values.ndim != (1 if energy is None else 2):
        return signal
    along = next(axis for index, axis in enumerate(signal.axes) if index != energy)
    axes = (replace(along, name="y", size=1, offset=0.0), *signal.axes)
    return replace(signal, data=ArrayValues(values[None]), axes=axes)


def _unique(base: str, taken: Iterable[str]) -> str:
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base} {count}"
    return name


def _ascending(values: Any, axes: tuple[Axis, ...]) -> tuple[Any, tuple[Axis, ...]]:
    """The values with every axis that descends turned round, so that scans and spectra pair by their positions."""
    turned = tuple(slice(None, None, -1) if axis.scale < 0 else slice(None) for axis in axes)
    if all(axis.scale >= 0 or math.isnan(axis.scale) for axis in axes):
        return values, axes
    last = [axis.offset + axis.scale * (axis.size - 1) for axis in axes]
    ends = zip(axes, last, strict=True)
    return values[turned], tuple(replace(a, scale=-a.scale, offset=e) if a.scale < 0 else a for a, e in ends)


def _axis(entry: Mapping[str, Any], length: int) -> Axis:
    """One axis; its scale is NaN where it is not even."""
    if "axis" in entry and "scale" not in entry:  # a table of values
        table = np.asarray(entry["axis"], np.float64)
        size, steps = table.size, np.diff(table)
        scale, offset = (float(np.mean(steps)), float(table[0])) if size > 1 else (1.0, 0.0)
        if size > 1 and np.max(np.abs(table - offset - scale * np.arange(size))) > _EVEN * abs(scale):
            scale = math.nan
    else:
        size, offset = int(entry.get("size", length)), float(entry.get("offset", 0.0))
        scale = math.nan if "expression" in entry else float(entry.get("scale", 1.0))
    units, navigate = entry.get("units"), entry.get("navigate")
    unit = units if isinstance(units, str) else ""
    return Axis(str(entry.get("name") or ""), size, scale, offset, unit, None if navigate is None else not navigate)


def metadata_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a signal as in HyperSpy.

    Parameters
    ----------
    entry : of a reader: ``metadata``, ``original_metadata`` and ``mapping``, each of which may be absent.
    """
    tree = deepcopy(dict(entry.get("metadata") or {}))
    original: Mapping[str, Any] = entry.get("original_metadata") or {}
    table: Mapping[str, tuple[str, Callable[[Any], Any] | None]] = entry.get("mapping") or {}
    for place, (target, convert) in table.items():
        value = at(original, place)
        if value is not None and convert is not None:
            value = convert(_as_tree(value))
        if value is not None:
            _put(tree, target, value)
    return tree


class _Tree(dict[str, Any]):
    """A mapping whose keys are a list, as the converting functions expect from HyperSpy."""

    def keys(self) -> Any:
        """The keys in their order."""
        return list(super().keys())


def _as_tree(value: Any) -> Any:
    return _Tree({key: _as_tree(one) for key, one in value.items()}) if isinstance(value, Mapping) else value


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *nodes, leaf = path.split(".")
    for node in nodes:
        below = tree.get(node)
        tree[node] = tree = dict(below) if isinstance(below, Mapping) else {}
    tree[leaf] = value


@dataclass(frozen=True)
class TiffDescription:
    """Facts about images from the texts of a TIFF."""

    labels: tuple[str, ...] = ()  # of the images of a stack, in their order; empty if they have no names
    unit: str = ""  # of the pixels' edges; empty if unknown
    edges: tuple[float, float] | None = None  # of a pixel along y and x in ``unit``; None if the texts do not give them


def describe_tiff(original: Mapping[str, Any]) -> TiffDescription:
    """The description in RosettaSciIO's ``original_metadata`` of a TIFF; an empty one for other formats."""
    text = original.get("ImageDescription")
    if not isinstance(text, str):
        return TiffDescription()
    if text.startswith(_IMAGEJ):
        unit = next((line[5:].strip() for line in text.splitlines() if line.startswith("unit=")), "")
        return TiffDescription(texts(at(original, "IJMetadata.Labels")), unit.replace(_ESCAPED_MICRO, "µ"))
    return _describe_ome(text) if _OME in text[:1000] else TiffDescription()


def _describe_ome(text: str) -> TiffDescription:
    """The channels and pixels of the first image."""
    try:
        root = ElementTree.fromstring(text.encode())
    except ElementTree.ParseError:  # cut off; the values may be complete
        return TiffDescription()
    pixels = root.find("{*}Image/{*}Pixels")
    if pixels is None:
        return TiffDescription()
    labels = tuple(one.get("Name", "") for one in pixels.iterfind("{*}Channel"))
    units = {pixels.get(f"PhysicalSize{axis}Unit", _DEFAULT_OME_UNIT) for axis in "YX"}
    edges = [_finite(pixels.get(f"PhysicalSize{axis}", "")) for axis in "YX"]
    if len(units) > 1 or not all(edge > 0 for edge in edges):
        return TiffDescription(labels)
    return TiffDescription(labels, units.pop(), (edges[0], edges[1]))


def _finite(text: str) -> float:
    """A finite number, or NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _sized(axes: tuple[Axis, ...], description: TiffDescription) -> tuple[Axis, ...]:
    """The axes, with y and x in the unit of the description if they have no unit."""
    lateral = axes[-2:]
    if not description.unit or len(lateral) != 2 or any(axis.units for axis in lateral):
        return axes
    edges = description.edges or tuple(axis.scale for axis in lateral)
    return (*axes[:-2], *(replace(a, scale=e, units=description.unit) for a, e in zip(lateral, edges, strict=True)))


def layers(signal: Signal, values: Any, labels: Sequence[str]) -> list[Signal]:
    """A signal for each image of a stack (``EDS maps/Co``) if the file names its images; else an empty list.

    Parameters
    ----------
    signal : of the file.
    values : its NumPy or dask array.
    labels : of its images, as the file calls them; of any number.
    """
    if signal.kind != "stack of images" or [axis.is_signal for axis in signal.axes] != [False, True, True]:
        return []
    count, elements = signal.shape[0], signal.facts.elements
    if len(labels) == len(set(labels)) == count and all(label and "/" not in label for label in labels):
        return [_layer(signal, one, label, ()) for one, label in zip(values, labels, strict=True)]
    if len(elements) == count:
        notes = (order_assumed(elements),)
        return [_layer(signal, one, label, notes) for one, label in zip(values, elements, strict=True)]
    return []


def _layer(signal: Signal, values: Any, label: str, notes: tuple[str, ...]) -> Signal:
    element = element_named(label)
    facts = replace(signal.facts, title=label, elements=() if element is None else (element,), lines=())
    name = f"{signal.name}/{label}"
    return replace(signal, name=name, data=ArrayValues(values), axes=signal.axes[1:], facts=facts, notes=notes)
