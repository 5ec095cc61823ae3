"""A config for recordings that runs as it is: what is image, what is counts, and weights from the data.

The image is put into the units of the model: (image - offset) * scale fits sum_i (Z_i x_i)^gamma of the smoothed maps
by least squares, and its weight is 1 over the variance of what is left, so that it counts as much as it is believed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.acceleration import SMALL
from fusionkit.counting.kind import guess
from fusionkit.data import Dataset
from fusionkit.data_options import DataOptions
from fusionkit.data_sources import SpectrumSource
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.loading import load
from fusionkit.microscope.balance import Balance, balance
from fusionkit.microscope.counts import channels, windows_of
from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.signals import Signal
from fusionkit.microscope.table import Entry, entries
from fusionkit.options import parse
from fusionkit.readers import Recording
from fusionkit.recognise import are_counts, image_rank, map_names
from fusionkit.terms import Array
from fusionkit.yamlio import dump_line

Mappings = dict[str, Any]
_SAME_FIELD = 0.05  # how far sizes may differ: scans are seldom whole multiples of each other
_Listed = tuple[Path, Recording, Entry]


def propose(recordings: Mapping[Path, Recording], folder: Path, reader: str | None = None) -> str:
    """The config, YAML text.

    Parameters
    ----------
    recordings : the opened files.
    folder : of the config; the files are named relative to it.
    reader : what opened them, where that was said.

    Raises
    ------
    UserError : the files hold no image, or no maps and no spectrum image whose elements are known.
    """
    data = _data(recordings, folder, reader)
    dataset = load(parse(DataOptions, {**data, "grid": "haadf"}, "data"), folder)  # whatever the shapes are
    _check_backgrounds(dataset, recordings)
    if "spectra" in data and guess(dataset.arrays["maps"]) == "rates":
        data["maps_are"] = "rates"
        dataset = load(parse(DataOptions, {**data, "grid": "haadf"}, "data"), folder)
    found = balance(dataset, "normalize" in data)
    if "normalize" not in data:
        data["haadf"] = {**data["haadf"], "offset": found.offset, "scale": found.scale}
    if found.grid is not None:
        data["grid"] = found.grid
    return "\n".join(_lines(data, found, recordings)) + "\n"


def _check_backgrounds(dataset: Dataset, recordings: Mapping[Path, Recording]) -> None:
    """`UserError` where there is less than nothing beneath the counts, which no model of counts can hold."""
    for name, array in dataset.arrays.items():
        if name.endswith("_background") and float(array.min()) < 0.0:
            said = "the spectra hold negative values: something was taken off them"
            remedy = "name the spectra as they were counted, or write the config by hand, with background: none"
            raise UserError(", ".join(map(str, recordings)), said, remedy)


def _data(recordings: Mapping[Path, Recording], folder: Path, reader: str | None) -> Mappings:
    """The config's ``data``, the image in its own units."""
    listed = [(path, recording, entry) for path, recording in recordings.items() for entry in entries(recording)]
    files = {path: os.path.relpath(path.absolute(), folder) for path in recordings}
    common: Mappings = {"path": files[next(iter(files))]} if len(files) == 1 else {}
    common |= {"reader": reader} if reader is not None and common else {}

    def source(path: Path, name: str) -> Mappings:
        own = {} if common else {"path": files[path]} | ({"reader": reader} if reader is not None else {})
        return {**own, "signal": name}

    spectra = _spectra([(source(path, e.name), r, e) for path, r, e in listed if isinstance(r, MicroscopeRecording)])
    names = ", ".join(map(str, recordings))
    maps = {} if spectra else _maps(listed, names)
    images = [(path, e) for path, _, e in listed if len(e.shape) == 2 and e.kind == "image" and not _is_map(e)]
    if not maps and not spectra:
        said = "holds no image called by an element, and no spectrum image whose elements it names"
        raise UserError(names, said, f"write the config by hand, with {_by_hand([e for *_, e in listed])}")
    if not images:
        raise UserError(names, "holds no HAADF image", "name the file of the image too")
    of_maps = next(iter(spectra.values()))["signal"] if spectra else next(iter(maps.values()))[2].name
    seen = next(_field(recording, entry) for _, recording, entry in listed if entry.name == of_maps)
    # of several images that may be meant, one that was scanned with the maps
    images.sort(key=lambda one: (image_rank(one[1].name), one[1].shape != seen.shape))
    data: Mappings = {**common, "haadf": source(images[0][0], images[0][1].name)}
    _compare_fields(images[0][1], seen)
    if spectra:
        return data | {"spectra": spectra}
    named = {element: source(path, e.name) for element, (path, _, e) in maps.items()}
    read = [recording.read(entry.name) for _, recording, entry in maps.values()]
    for note in dict.fromkeys(note for raw in read for note in raw.notes):
        warnings.warn(note, FusionkitWarning, stacklevel=2)
    return data | {"maps": named} | _counting([raw.values for raw in read])


def _by_hand(listed: list[Entry]) -> str:
    """The key that says whose maps are what: of spectra, of a stack, or of images."""
    if any(len(entry.shape) == 3 and "spectrum" in entry.kind for entry in listed):
        return "data.spectra.maps.elements"
    stack = next((f"{entry.name}/0" for entry in listed if len(entry.shape) == 3), None)
    image = next((e.name for e in listed if len(e.shape) == 2 and image_rank(e.name) > 0), "NAME")
    return f"data.maps: {dump_line({'Ti': stack or image})}"


def _field(recording: Recording, entry: Entry) -> Entry:
    """The entry with the pixels of its scan for a shape."""
    if not isinstance(recording, MicroscopeRecording):
        return entry
    energy = recording.signals[entry.name].energy_axis
    return replace(entry, shape=tuple(n for axis, n in enumerate(entry.shape) if axis != energy))


def _compare_fields(image: Entry, maps: Entry) -> None:
    """Warn where image and maps do not show the same field, as far as their pixel sizes tell."""
    if image.pixel_size is None or maps.pixel_size is None or image.units != maps.units:
        return
    pairs = [(entry.pixel_size or 1.0) * np.array(entry.shape) for entry in (image, maps)]
    if np.allclose(*pairs, rtol=_SAME_FIELD):
        return
    sizes = [f"{field[0]:.3g} x {field[1]:.3g} {image.units or ''}".strip() for field in pairs]
    said = f"the image shows {sizes[0]} and the maps {sizes[1]}; the config takes both for the same field"
    warnings.warn(f"{said}: crop one of them, or give rows and columns of scan", FusionkitWarning, stacklevel=2)


def _counting(maps: list[Array]) -> Mappings:
    """What makes the maps counts, where anything does; else they are normalised."""
    if are_counts(np.concatenate([np.ravel(one) for one in maps])):  # one of them may be empty
        return {}
    same = len({one.shape for one in maps}) == 1
    return {"maps_are": "rates"} if same and guess(np.stack(maps)) == "rates" else {"normalize": "minmax"}


def _is_map(entry: Entry) -> bool:
    return len(entry.shape) == 2 and len(entry.elements) == 1 and entry.kind == "image"


def _maps(listed: list[_Listed], source: str) -> dict[str, _Listed]:
    """The map of each element; `UserError` where two could be meant."""
    maps = [one for one in listed if _is_map(one[2])]
    names = [one[2].name for one in maps]
    double = [name for name in names if names.count(name) > 1]
    if double:
        files = " and ".join(str(path) for path, _, e in maps if e.name == double[0])
        raise UserError(files, f"each hold a map '{double[0]}'", "name the files of one recording")
    return {element: maps[names.index(name)] for element, name in map_names(names, source).items()}


def _spectra(found: list[tuple[Mappings, MicroscopeRecording, Entry]]) -> dict[str, Mappings]:
    """EDX first; the first spectrum image is ``maps``, the second ``eels`` or ``edx``."""
    signals = [(source, recording.signals[entry.name]) for source, recording, entry in found]
    usable = [(source, one) for source, one in signals if len(one.shape) == 3 and one.technique and one.facts.elements]
    usable.sort(key=lambda pair: pair[1].technique)
    names = ["maps", *(one.technique.lower() for _, one in usable[1:2])]
    return {name: _windowed(source, one) for name, (source, one) in zip(names, usable, strict=False)}


def _windowed(source: Mappings, signal: Signal) -> Mappings:
    """The source with every window written out, so that a run needs no table of lines."""
    background = "windows" if signal.technique == "EDX" else "power_law"
    windows: dict[str, list[float]] = {}
    beside: dict[str, list[float]] = {}
    for element in signal.facts.elements:
        wanted = SpectrumSource(elements=[element], background=background)
        try:
            window = windows_of(signal, wanted, str(signal.path))[element]
            ranges = [channels(signal, ends, str(signal.path)) for ends in (window.counts, *window.background)]
        except UserError as error:  # the file names an element that these spectra do not reach
            warnings.warn(f"the config leaves out {element} of '{signal.name}': {error.problem}", FusionkitWarning, 2)
            continue
        if len(ranges) > 1:
            windows[element] = _energies(signal, ranges[0])
            beside[element] = [end for one in ranges[1:] for end in _energies(signal, one)]
        else:
            said = f"the config leaves out {element} of '{signal.name}': no room for a background beside its line"
            warnings.warn(said, FusionkitWarning, 2)
    if not windows:
        remedy = "write the config by hand, with data.spectra.maps.windows"
        raise UserError(str(signal.path), f"'{signal.name}' has none of its elements' lines", remedy)
    return {**source, "background": background, "windows": windows, "background_windows": beside}


def _energies(signal: Signal, ends: tuple[int, int]) -> list[float]:
    """Energies that round to these channels."""
    offset, width, _ = signal.energies()
    return [float(f"{offset + width * end:.7g}") for end in ends]


def _lines(data: Mappings, found: Balance, recordings: Mapping[Path, Recording]) -> list[str]:
    files = ", ".join(path.name for path in recordings)
    lines = [
        f"# Fusion of {files}, written by fusionkit inspect. Weights are first guesses from the data.",
        "version: 1",
    ]
    lines.append("data:")
    for key, value in data.items():
        if key == "spectra":
            lines += ["  spectra:  # the maps are the counts in these windows, in the unit of the file's energies"]
            for name, source in value.items():
                lines += [f"    {name}:", *(f"      {k}: {dump_line(v)}" for k, v in source.items())]
        elif key == "maps":
            lines += ["  maps:", *(f"    {k}: {_short(v)}" for k, v in value.items())]
        else:
            remark = "" if key == "haadf" and "offset" not in value else _REMARKS.get(key, "")
            lines.append(f"  {key}: {_short(value)}{remark}")
    lines += ["terms:", *(f"  - {dump_line(term)}{remark}" for term, remark in found.terms)]
    lines.append(f"solver: {dump_line({'type': found.solver, 'max_iterations': 2000, 'tolerance': 5e-4})}")
    if found.size < SMALL:
        lines.append("engine: numpy  # so few values are solved before the kernels are compiled")
    return lines


_REMARKS = {
    "haadf": "  # used is (value - offset) * scale",
    "grid": "  # whose pixels the fused maps have",
    "normalize": "  # the maps are no counts",
    "maps_are": "  # counts times a factor, which is found: the fused maps are in counts",
}


def _short(value: Any) -> str:
    return dump_line(value["signal"] if isinstance(value, dict) and set(value) == {"signal"} else value)
