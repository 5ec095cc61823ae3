"""The sources of a proposed config: the image, the maps or spectra, and their files."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from fusionkit.config.yaml import dump_line
from fusionkit.data.field_of_view import Scan, fields
from fusionkit.data.names import image_doubt, image_rank, map_names
from fusionkit.data.options import SpectrumSource
from fusionkit.data.readers import Recording
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.more_formats import SEM
from fusionkit.microscope.propose.listing import Entry, entries
from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.signals import Signal
from fusionkit.microscope.spectra.fit import detected
from fusionkit.microscope.spectra.windows import channels, windows_of
from fusionkit.options import repeated

Mappings = dict[str, Any]
_Listed = tuple[Path, Recording, Entry]


@dataclass(frozen=True)
class Choice:
    """What a user chooses where files hold several signals."""

    elements: tuple[str, ...] = ()  # symbols; empty for those that the file names, or that its spectra show
    # image, spectra: names of the HAADF image and of the spectrum image; None for the likeliest
    image: str | None = None
    spectra: str | None = None
    # first and last row, then columns, of the pixels to use; None for all
    region: tuple[tuple[int, int], tuple[int, int]] | None = None


EVERYTHING = Choice()


def sources(
    recordings: Mapping[Path, Recording], folder: Path, reader: str | None, choice: Choice = EVERYTHING
) -> tuple[Mappings, dict[str, Scan], frozenset[str]]:
    """The config's ``data``, the scans of further stacks by name, and which of these share the technique of the maps.

    `UserError` if the files hold no image, or no maps and no spectrum image whose elements are known.

    Parameters
    ----------
    recordings : the opened files.
    folder : of the config; the files are named relative to it.
    reader : name of the reader; None if the suffixes select it.
    choice : of signals and elements.
    """
    listed = [(path, recording, entry) for path, recording in recordings.items() for entry in entries(recording)]
    files = {path: _relative(path, folder) for path in recordings}
    common: Mappings = {"path": files[next(iter(files))]} if len(files) == 1 else {}
    common |= {"reader": reader} if reader is not None and common else {}

    def source(path: Path, name: str) -> Mappings:
        own = {} if common else {"path": files[path]} | ({"reader": reader} if reader is not None else {})
        return {**own, "signal": name}

    spectra = _spectra([one for one in listed if isinstance(one[1], MicroscopeRecording)], choice)
    names = ", ".join(map(str, recordings))
    maps = {} if spectra else _maps(listed, names)
    if not maps and not spectra:
        raise _nothing_usable(listed, names)
    used = [*spectra.values(), *maps.values()]
    if all(entry.total == 0.0 for *_, entry in used):
        raise UserError(names, "the maps hold no counts", "record longer, or name other files")
    image = _image(listed, used[0][2], names, choice.image)
    _check_region(choice, used[0][2].pixels)
    if spectra:
        _warn_of_bulk(_signal(*used[0][1:]))
    _warn_of_unused(recordings, [image, *used])
    data: Mappings = {**common, "haadf": source(image[0], image[2].name)}
    if spectra:
        every = tuple(dict.fromkeys(element for *_, entry in spectra.values() for element in entry.elements))
        every = choice.elements or every
        data |= {
            "spectra": {
                key: _counted(recording, entry, source(path, entry.name), every, choice.elements)
                for key, (path, recording, entry) in spectra.items()
            }
        }
    else:
        data |= {"maps": {element: source(path, entry.name) for element, (path, _, entry) in maps.items()}}
    others = {name: entry for name, (*_, entry) in spectra.items() if name != "maps"}
    same_technique = frozenset(name for name, entry in others.items() if entry.kind == used[0][2].kind)
    steps = _cropped(image[2], used[0][2])
    if choice.region is not None:
        for source_of in data.get("spectra", {}).values():
            if source_of.get("method") == "spectral":
                source_of["regions"] = [[*choice.region[0], *choice.region[1]]]
        rows, columns = (list(ends) for ends in choice.region)
        steps = {"prepare": [*steps.get("prepare", ()), {"step": "crop", "rows": rows, "columns": columns}]}
    return data | steps, {name: entry.scan for name, entry in others.items()}, same_technique


def _relative(path: Path, folder: Path) -> str:
    """The file relative to a folder, by way of the links that the user named, unless these lead elsewhere from there.

    The system follows a link before the ``..`` behind it.
    """
    named = os.path.relpath(path, folder)
    if os.path.exists(folder / named) and os.path.samefile(folder / named, path):
        return named
    return os.path.relpath(path.absolute().parent.resolve() / path.name, folder.resolve())


def _image(listed: list[_Listed], maps: Entry, names: str, chosen: str | None) -> _Listed:
    """The HAADF image; of several candidates, the chosen one, or one of the same field, then of the same pixels."""
    if chosen is not None:
        named = [one for one in listed if one[2].name == chosen and len(one[2].shape) == 2]
        if not named:
            raise UserError("--image", f"{names} holds no image '{chosen}'", _known(listed, 2))
        if image_rank(chosen) == image_rank("BF"):
            warnings.warn(f"{image_doubt(chosen)}; the config takes it for a HAADF image", FusionkitWarning, 2)
        return named[0]
    images = [one for one in listed if len(one[2].shape) == 2 and one[2].kind == "image" and not _is_map(one[2])]
    if not images:
        raise UserError(names, "holds no HAADF image", f"name the file of the image too: {_with_image(listed)}")

    def likely(one: _Listed) -> tuple[int, bool, bool]:
        both = fields(one[2].scan, maps.scan)
        return image_rank(one[2].name), both is not None and not both.are_same, one[2].shape != maps.pixels

    best = min(images, key=likely)
    doubt = image_doubt(best[2].name)
    if doubt is not None:
        warnings.warn(f"{doubt}; the config takes it for one: choose with --image", FusionkitWarning, stacklevel=2)
    return best


def _with_image(listed: list[_Listed], options: str = "") -> str:
    """The command that takes the image from another file."""
    files = " ".join(dict.fromkeys(quote(str(path)) for path, *_ in listed))
    return f"fusionkit inspect IMAGE {files}{options} --write-config FILE.yaml"


def _check_region(choice: Choice, pixels: tuple[int, ...]) -> None:
    """`UserError` if the chosen pixels lie outside of the scan."""
    if choice.region is None or all(end <= size for (_, end), size in zip(choice.region, pixels, strict=False)):
        return
    text = ",".join(f"{first}:{last}" for first, last in choice.region)
    scan = "0:{},0:{}".format(*pixels)
    raise UserError("--region", f"{text} is no part of the scan", f"all of its rows and columns are {scan}")


def _warn_of_bulk(spectra: Signal) -> None:
    """Warn where the model of the image, which supposes a thin specimen, probably does not hold."""
    beam = spectra.facts.metadata.get("beam_energy_keV")
    if spectra.facts.signal_type == "EDS_SEM" or (beam is not None and float(beam) <= SEM):
        problem = f"'{spectra.name}' was recorded in a scanning microscope, as of bulk specimens"
        message = f"{problem}; the model of the image is that of HAADF images of thin ones: see the verdict of the run"
        warnings.warn(message, FusionkitWarning, stacklevel=2)


def _known(listed: list[_Listed], dimensions: int) -> str:
    """A remedy that names the signals of so many dimensions."""
    return f"name one of {', '.join(one[2].name for one in listed if len(one[2].shape) == dimensions) or 'none'}"


def _cropped(image: Entry, maps: Entry) -> Mappings:
    """A step that crops one scan to the other; a warning if their fields differ otherwise."""
    both = fields(image.scan, maps.scan)
    difference = None if both is None else both.difference()
    if both is None or difference is None:
        return {}
    part = both.part()
    if part is not None:
        name, rows, columns = part
        return {"prepare": [{"step": "crop", "of": name, "rows": list(rows), "columns": list(columns)}]}
    if not both.are_disjoint:  # loading warns about disjoint scans
        remedy = "crop one of them, or set rows and columns of scan"
        warnings.warn(f"{difference}; the config assumes the same field: {remedy}", FusionkitWarning, stacklevel=2)
    return {}


def _warn_of_unused(recordings: Mapping[Path, Recording], used: list[_Listed]) -> None:
    unused = [str(path) for path in recordings if path not in {one[0] for one in used}]
    if unused:
        warnings.warn(f"the config does not use {', '.join(unused)}", FusionkitWarning, stacklevel=2)


def _nothing_usable(recordings: list[_Listed], names: str) -> UserError:
    """The error for files without usable maps or spectra."""
    listed = [entry for *_, entry in recordings]
    spectra = next((entry for entry in listed if len(entry.shape) > 3 and "spectra" in entry.kind), None)
    if spectra is not None:
        problem = f"'{spectra.name}' holds frames of spectra, {' x '.join(map(str, spectra.shape))}"
        return UserError(names, problem, "save their sum, in HyperSpy s.sum(axis=-1) over the axis of the frames")
    frames = [entry.name for entry in listed if len(entry.shape) == 3 and len(entry.elements) == 1]
    if frames:
        problem = f"holds frames of {', '.join(frames)}"
        remedy = f"write the config by hand, with data.maps: {dump_line({frames[0]: frames[0]})} and data.prepare"
        return UserError(names, problem, f"{remedy}: [register_frames, sum_frames]")
    problem = "holds no image named after an element, and no spectrum image with named elements"
    if any(entry.kind in ("EDX spectrum image", "EELS spectrum image") for entry in listed):
        if any(len(entry.shape) == 2 for entry in listed):
            return UserError(names, problem, "name the elements, as in --elements Fe,O")
        problem = problem.replace("no image named after an element,", "no HAADF image")
        remedy = f"name both, for example {_with_image(recordings, ' --elements Fe,O')}"
        return UserError(names, problem, remedy)
    return UserError(names, problem, f"write the config by hand, with {_by_hand(listed)}")


def _by_hand(listed: list[Entry]) -> str:
    """The key that assigns elements: to spectra of an unknown kind, to a stack, or to images."""
    if any(len(entry.shape) == 3 and "spectrum" in entry.kind for entry in listed):
        return "data.spectra.maps.windows"
    stack = next((f"{entry.name}/0" for entry in listed if len(entry.shape) == 3), None)
    image = next((e.name for e in listed if len(e.shape) == 2 and image_rank(e.name) > 0), "NAME")
    return f"data.maps: {dump_line({'Ti': stack or image})}"


def _is_map(entry: Entry) -> bool:
    return len(entry.shape) == 2 and len(entry.elements) == 1 and entry.kind == "image"


def _maps(listed: list[_Listed], source: str) -> dict[str, _Listed]:
    """The map of each element; `UserError` if there are two candidates."""
    maps = [one for one in listed if _is_map(one[2])]
    names = [one[2].name for one in maps]
    double = repeated(names)
    if double is not None:
        files = " and ".join(str(path) for path, _, e in maps if e.name == double)
        raise UserError(files, f"each hold a map '{double}'", "name the files of one recording")
    element_by_name: dict[str, str | None] = {entry.name: entry.elements[0] for *_, entry in maps}
    return {element: maps[names.index(name)] for element, name in map_names(element_by_name, source).items()}


def _spectra(listed: list[_Listed], choice: Choice) -> dict[str, _Listed]:
    """EDX first; the first spectrum image is ``maps``, the second ``eels`` or ``edx``."""
    usable = [(one, _signal(one[1], one[2])) for one in listed]
    usable = [(one, s) for one, s in usable if len(s.shape) == 3 and s.technique and s.energy_axis is not None]
    if choice.spectra is not None:
        usable = [pair for pair in usable if pair[0][2].name == choice.spectra]
        if not usable:
            raise UserError("--spectra", f"there is no spectrum image '{choice.spectra}'", _known(listed, 3))
    # EDX spectra show their elements
    usable = [pair for pair in usable if choice.elements or pair[1].facts.elements or pair[1].technique == "EDX"]
    if any(pair[1].facts.elements for pair in usable) and not choice.elements:
        usable = [pair for pair in usable if pair[1].facts.elements]
    usable.sort(key=lambda pair: pair[1].technique)
    names = ["maps", *(signal.technique.lower() for _, signal in usable[1:2])]
    return {name: one for name, (one, _) in zip(names, usable, strict=False)}


def _signal(recording: Recording, entry: Entry) -> Signal:
    assert isinstance(recording, MicroscopeRecording)
    return recording.signals[entry.name]


def _counted(
    recording: Recording, entry: Entry, source: Mappings, every: tuple[str, ...], chosen: tuple[str, ...]
) -> Mappings:
    """The source with sets of channels for EDX, or windows after EELS edges.

    Parameters
    ----------
    recording, entry, source : where the spectra are.
    every : all elements of the specimen.
    chosen : those to map; without any, those of the file.
    """
    assert isinstance(recording, MicroscopeRecording)
    signal = recording.signals[entry.name]
    elements = chosen or signal.facts.elements
    if signal.technique == "EDX":
        return {
            **source,
            "elements": detected(recording.reading(signal), elements, str(signal.path)),
            "method": "spectral",
        }
    windows: dict[str, list[float]] = {}
    backgrounds: dict[str, list[float]] = {}
    for element in elements:
        options = SpectrumSource(elements=[element], background="power_law")
        try:
            window = windows_of(signal, options, str(signal.path), every)[element]
            ranges = [channels(signal, ends, str(signal.path)) for ends in (window.counts, *window.background)]
        except UserError as error:  # an element whose edges lie outside of these spectra
            warnings.warn(f"the config leaves out {element} of '{signal.name}': {error.problem}", FusionkitWarning, 2)
            continue
        if len(ranges) > 1:
            windows[element] = _ends(signal, ranges[0])
            backgrounds[element] = [end for one in ranges[1:] for end in _ends(signal, one)]
        else:
            message = f"the config leaves out {element} of '{signal.name}': no room for a background before its edge"
            warnings.warn(message, FusionkitWarning, 2)
    if not windows:
        remedy = "write the config by hand, with data.spectra.maps.windows"
        raise UserError(str(signal.path), f"'{signal.name}' has none of its elements' edges", remedy)
    return {**source, "background": "power_law", "windows": windows, "background_windows": backgrounds}


def _ends(signal: Signal, ends: tuple[int, int]) -> list[float]:
    """Energies that round to these channels."""
    offset, width, _ = signal.energies()
    return [float(f"{offset + width * end:.7g}") for end in ends]
