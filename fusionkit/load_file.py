"""Data from recordings: names to arrays, checked before and after they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.checks import FloatArray, Origin, check_fellow, check_finite, check_image, stacked, to_float
from fusionkit.data import Dataset
from fusionkit.data_options import DataOptions
from fusionkit.data_sources import Source
from fusionkit.elements import atomic_number
from fusionkit.errors import UserError
from fusionkit.load_spectra import Stack, load_spectra
from fusionkit.memory import require
from fusionkit.open_files import OpenFiles
from fusionkit.readers import RawArray, describe, first_size, missing
from fusionkit.stacks import read_named, shape_of

# of an array as it is read: the raw bytes and values, the float64 copy, the normalised one
_BYTES_PER_VALUE = 32
_SAME_RATIO = 0.03  # scans of one field whose axes have ratios that differ by less than this part


def load_file(options: DataOptions, folder: Path, where: str) -> Dataset:
    """The arrays that ``options`` name in their files, neither prepared nor normalised.

    Parameters
    ----------
    options : the config's ``data``.
    folder : where relative paths start.
    where : config key of ``options``.
    """
    files = OpenFiles(folder, options.path, options.reader, where)
    images, others = _sources(options, where)
    if not images and not others and not options.spectra:
        held = describe(files.open(None, None, where))
        raise UserError(where, "names no array", f"give haadf, maps, spectra or arrays; the file has {held}")
    for element in options.maps or {}:
        atomic_number(element, f"{where}.maps.{element}")
    _check_shapes(files, images, others, options, where)
    arrays, facts = dict[str, FloatArray](), dict[str, list[RawArray]]()

    def read(name: str, key: str, source: Source) -> npt.NDArray[Any]:
        found = read_named(files.of(source, key), source.signal)
        # an array as it was read lives until it is converted; of its values only the shape is kept
        facts.setdefault(name, []).append(replace(found, values=np.broadcast_to(0.0, found.values.shape)))
        return found.values

    def image(name: str, key: str) -> FloatArray:
        return _image(read(name, key, images[key]), files.origin(images[key], key), images[key])

    if options.haadf is not None:
        arrays["haadf"] = image("haadf", f"{where}.haadf")
    if options.maps is not None:
        maps = (image("maps", f"{where}.maps.{element}") for element in options.maps)
        arrays["maps"] = stacked(maps, len(options.maps))
    stacks = load_spectra(options.spectra, files, f"{where}.spectra")
    for name, stack in stacks.items():
        arrays |= stack.arrays(name)
    for name, (key, source) in zip(options.arrays, others.items(), strict=True):
        arrays[name] = to_float(read(name, key, source), files.origin(source, key))
    for name, stack in stacks.items():
        facts.setdefault(name, []).append(stack.facts)
    return _dataset(options, arrays, facts, stacks, files.source(), where)


def _dataset(
    options: DataOptions,
    arrays: dict[str, FloatArray],
    facts: Mapping[str, list[RawArray]],
    stacks: Mapping[str, Stack],
    source: str,
    where: str,
) -> Dataset:
    grid = _grid_of(options, facts)
    own, others = facts[grid], _fellows(facts, grid, options)
    pixel_size, units, notes = _calibration(grid, own, others, _keeps_field(options))
    metadata: dict[str, float | str] = {}
    for one in reversed([*own, *others]):
        metadata |= one.metadata
    # the stack of the maps first, wherever it is written: terms compare it with the first maps of the unknown
    ordered = sorted(stacks, key=lambda name: name != "maps")
    elements = dict.fromkeys([*(options.maps or ()), *(e for name in ordered for e in stacks[name].elements)])
    named = {"maps": tuple(options.maps)} if options.maps is not None else {}
    if options.grid is not None and options.grid not in arrays:
        raise UserError(f"{where}.grid", f"there is no data called '{options.grid}'", "remove the key")
    pixels = None if options.grid is None else arrays[options.grid].shape[-2:]
    if pixels is None and not options.prepare:
        _check_stacks(arrays, stacks, source, where)
    return Dataset(
        arrays,
        tuple(elements),
        pixel_size,
        units,
        source=source,
        notes=notes,
        metadata=metadata,
        stacks={**named, **{name: stack.elements for name, stack in stacks.items()}},
        pixels=None if pixels is None else (pixels[-2], pixels[-1]),
        grid=options.grid,
    )


def _check_stacks(arrays: Mapping[str, FloatArray], stacks: Mapping[str, Stack], source: str, where: str) -> None:
    """Without ``grid``, a stack of counts that stands for the maps has the shape of the image."""
    if "maps" not in stacks or "haadf" not in arrays:
        return
    shape, image = arrays["maps"].shape[1:], arrays["haadf"].shape
    if shape != image:
        remedy = "say whose pixels the unknown has (data.grid: haadf or maps), and use the forward model 'scan'"
        raise UserError(f"{where}.spectra.maps", f"has maps of {shape}, but the image of {source} has {image}", remedy)


def _sources(options: DataOptions, where: str) -> tuple[dict[str, Source], dict[str, Source]]:
    """The images (HAADF first, then the maps) and the further arrays that the config names, by config key."""
    images = {f"{where}.haadf": options.haadf} if options.haadf is not None else {}
    images |= {f"{where}.maps.{element}": source for element, source in (options.maps or {}).items()}
    return images, {f"{where}.arrays.{key}": Source(signal=name) for key, name in options.arrays.items()}


def _check_shapes(
    files: OpenFiles, images: Mapping[str, Source], others: Mapping[str, Source], options: DataOptions, where: str
) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    for key, source in {**images, **others}.items():
        recording = files.of(source, key)
        shape = shape_of(recording, source.signal)
        if shape is None:
            origin = files.origin(source, key)
            said = f"there is no array '{source.signal}' in {origin.source}"
            raise UserError(key, said, missing(source.signal, recording))
        shapes[key] = shape
    # with a grid, the image may have another shape than the maps; steps may give both one shape, and take frames
    apart, fellows = options.grid is not None or bool(options.prepare), dict[bool, str]()
    for key, source in images.items():
        origin = files.origin(source, key)
        is_stack = len(shapes[key]) == 3
        if is_stack and not options.prepare:
            remedy = f"name one of its images by its place, '{source.signal}/0'"
            raise origin.error(f"is not 2-D: its shape is {shapes[key]}", remedy)
        check_image(shapes[key][-2:] if is_stack else shapes[key], origin)
        fellow = fellows.setdefault(apart and key == f"{where}.haadf", key)
        check_fellow(shapes[key], origin, shapes[fellow], images[fellow].signal)
    require(_BYTES_PER_VALUE * sum(prod(shape) for shape in shapes.values()), f"{where}.path")


def _image(raw: npt.NDArray[Any], origin: Origin, source: Source) -> FloatArray:
    values = to_float(raw, origin)
    if source.offset or source.scale != 1:
        with np.errstate(over="ignore", invalid="ignore"):
            values -= source.offset
            values *= source.scale
        check_finite(values, origin)
    return values


def _grid_of(options: DataOptions, facts: Mapping[str, list[RawArray]]) -> str:
    """The array whose pixels the unknown has; steps of the preparation follow the pixel size of this one."""
    return next(
        (name for name in (options.grid, "haadf", "maps") if name in facts and name is not None), next(iter(facts))
    )


def _fellows(facts: Mapping[str, list[RawArray]], grid: str, options: DataOptions) -> list[RawArray]:
    """The other arrays; a further one on pixels of its own, as a kernel or a spectrum, says nothing about theirs."""
    shape = facts[grid][0].values.shape[-2:]
    return [
        replace(one, pixel_size=None) if name in options.arrays and one.values.shape[-2:] != shape else one
        for name, several in facts.items()
        if name != grid
        for one in several
    ]


def _keeps_field(options: DataOptions) -> bool:
    """Whether image and maps, as they are read, show the same field of view: none is cropped to that of the other."""
    return all(step.step != "crop" or step.options.get("of", "all") == "all" for step in options.prepare)


def _calibration(
    grid: str, own: list[RawArray], others: list[RawArray], same_field: bool
) -> tuple[float | None, str | None, tuple[str, ...]]:
    """Pixel size and unit of the array ``grid``, its own or of the others, and every note."""
    read = [*own, *others]
    notes = list(dict.fromkeys(note for one in read for note in one.notes))
    known = [one for one in read if one.pixel_size is not None]
    size, units = first_size(own)
    if size is not None:
        if len({(one.pixel_size, one.units) for one in known}) > 1:
            notes.append(f"The arrays have several pixel sizes; that of '{grid}' is used.")
        return size, units, tuple(notes)
    if not known or any(one.left_out for one in own):
        return None, None, tuple(notes)
    size, units, note = _size_of_others(grid, own[0].values.shape[-2:], known, same_field)
    return size, units, (*notes, *note)


def _size_of_others(
    grid: str, shape: tuple[int, ...], known: list[RawArray], same_field: bool
) -> tuple[float | None, str | None, tuple[str, ...]]:
    """Pixel size of the array ``grid``, which has none, from others on the same pixels or over the same field."""
    lacking = f"'{grid}' has no pixel size; the result has none either"
    if not same_field:
        return None, None, (f"{lacking}, since image and maps are cropped apart.",)
    same = [one for one in known if one.values.shape[-2:] == shape]
    if same:
        several = len({(one.pixel_size, one.units) for one in same}) > 1
        return *first_size(same), ("The arrays have several pixel sizes; that of the first is used.",) * several
    for one in known:
        ratio = _ratio(one.values.shape[-2:], shape)
        if ratio is not None and one.pixel_size is not None:
            size = one.pixel_size * ratio
            said = f"{size:.4g} {one.units or ''}".strip()
            fields = f"{one.values.shape[-2:]} pixels of {one.pixel_size:.4g} over the same field of view"
            return size, one.units, (f"'{grid}' has no pixel size; it is taken as {said}, from {fields}.",)
    return None, None, (f"{lacking}, since the other arrays have pixels of other proportions.",)


def _ratio(of: tuple[int, ...], to: tuple[int, ...]) -> float | None:
    """Edge of a pixel of a scan ``to`` in those of a scan ``of`` the same field; None where the axes do not agree."""
    if len(of) != 2 or len(to) != 2:
        return None
    rows, columns = of[0] / to[0], of[1] / to[1]
    return sqrt(rows * columns) if abs(rows / columns - 1) < _SAME_RATIO else None
