"""The arrays that a config names, read from recordings and checked before and after reading."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.data.checks import (
    FloatArray,
    Origin,
    check_counts,
    check_finite,
    check_image,
    check_same_shape,
    stacked,
    to_float,
)
from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.field_of_view import edges_of, fields, without_edges
from fusionkit.data.mask import with_masks
from fusionkit.data.names import element_named, is_image, read_named, shape_of
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import NAN, DataOptions, Source
from fusionkit.data.pixels import pixel_grid
from fusionkit.data.readers import RawArray, describe, missing
from fusionkit.data.spectra import ElementMaps, load_spectra
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.machine import require

# while an array is read: raw bytes and values, float64 copy, normalised copy
_BYTES_PER_VALUE = 32


def load_file(options: DataOptions, folder: Path, where: str, files: OpenFiles | None = None) -> Dataset:
    """The dataset that ``options`` name, neither prepared nor normalised; ``files`` are open or arrays in memory."""
    files = files or OpenFiles(folder, options.path, options.reader, where)
    images, others = _sources(options, where)
    if not images and not others and not options.spectra:
        content = describe(files.open(None, None, where))
        raise UserError(where, "names no array", f"give haadf, maps, spectra or arrays; the file has {content}")
    for element in options.maps or {}:
        atomic_number(element, f"{where}.maps.{element}")
    _check_shapes(files, images, others, options, where)
    arrays, facts = dict[str, FloatArray](), dict[str, list[RawArray]]()

    def read(name: str, key: str, source: Source) -> npt.NDArray[Any]:
        loaded = read_named(files.of(source, key), source.signal)
        # keep only the shape of the values, so that the raw array is freed after conversion
        facts.setdefault(name, []).append(replace(loaded, values=np.broadcast_to(0.0, loaded.values.shape)))
        return loaded.values

    masked = {name: None for name, one in options.mask.items() if one.signal == NAN}

    def image(name: str, key: str) -> FloatArray:
        raw = read(name, key, images[key])
        if np.any(getattr(raw, "mask", False)):  # a NumPy masked array
            masked[name] = None
        return _image(raw, files.origin(images[key], key), images[key], name in masked or "all" in masked)

    if options.haadf is not None:
        arrays["haadf"] = image("haadf", f"{where}.haadf")
    if options.maps is not None:
        maps = (image("maps", f"{where}.maps.{element}") for element in options.maps)
        arrays["maps"] = stacked(maps, len(options.maps))
    stacks = load_spectra(options.spectra, files, f"{where}.spectra", masked)
    for name, stack in stacks.items():
        arrays |= stack.arrays(name)
    for name, (key, source) in zip(options.arrays, others.items(), strict=True):
        arrays[name] = to_float(read(name, key, source), files.origin(source, key))
    for name, stack in stacks.items():
        facts.setdefault(name, []).append(stack.facts)
    dataset = _dataset(options, arrays, facts, stacks, files, where)
    dataset = replace(dataset, masked=tuple(name for name in masked if np.isnan(arrays.get(name, 0.0)).any()))
    return with_masks(dataset, options.mask, files, f"{where}.mask")


def _dataset(
    options: DataOptions,
    arrays: dict[str, FloatArray],
    facts: Mapping[str, list[RawArray]],
    stacks: Mapping[str, ElementMaps],
    files: OpenFiles,
    where: str,
) -> Dataset:
    source = files.source()
    grid = next((name for name in (options.grid or files.first, "haadf", "maps") if name in facts), next(iter(facts)))
    pixels, notes = pixel_grid(grid, facts, options.arrays, _keeps_field(options))
    read = [*facts[grid], *(one for name in facts if name != grid for one in facts[name])]
    metadata = recording_facts(read)
    if edges_of(facts[grid][0].metadata) is None:  # the edges belong to other pixels
        metadata = without_edges(metadata)
    # the stack ``maps`` first: terms compare it with the first maps of the unknown
    ordered = sorted(stacks, key=lambda name: name != "maps")
    elements = dict.fromkeys([*(options.maps or ()), *(e for name in ordered for e in stacks[name].elements)])
    named = {"maps": tuple(options.maps)} if options.maps is not None else {}
    if options.grid is not None and options.grid not in arrays:
        raise UserError(f"{where}.grid", f"there is no data called '{options.grid}'", "remove the key")
    shape = None if options.grid is None else arrays[options.grid].shape[-2:]
    if shape is None and not options.prepare:
        _check_stacks(arrays, stacks, source, where)
    check_counts(arrays.get("maps"), where, f"{source} holds", "record longer, or name other data")
    _warn_of_fields(facts, options)
    return Dataset(
        arrays,
        tuple(elements),
        pixels.size,
        pixels.units,
        source=source,
        notes=notes,
        metadata=metadata,
        stacks={**named, **{name: stack.elements for name, stack in stacks.items()}},
        pixels=None if shape is None else (shape[-2], shape[-1]),
        grid=options.grid,
        counts_per_unit=1.0 if "maps" in stacks and options.spectra["maps"].method != "windows" else None,
        origin=pixels.origin,
    )


def _keeps_field(options: DataOptions) -> bool:
    """Whether image and maps show the same field of view before preparation: neither is cropped on its own."""
    return all(step.step != "crop" or step.options.get("of", "all") == "all" for step in options.prepare)


def _warn_of_fields(facts: Mapping[str, list[RawArray]], options: DataOptions) -> None:
    """Warn if image and maps are compared pixel by pixel but show different fields."""
    if "haadf" not in facts or "maps" not in facts:
        return
    both = fields(facts["haadf"][0].scan, facts["maps"][0].scan)
    if both is None:
        return
    difference = both.difference()
    # a scan, crop or bin defines which pixels belong together
    is_meant = options.grid is not None or not _keeps_field(options) or both.image.shape != both.maps.shape
    if difference is not None and (both.are_disjoint or not is_meant):
        warnings.warn(f"{difference}; they are treated as the same field", FusionkitWarning, stacklevel=2)


def _check_stacks(arrays: Mapping[str, FloatArray], stacks: Mapping[str, ElementMaps], source: str, where: str) -> None:
    """Without ``grid``, counts that serve as the maps must have the shape of the image."""
    if "maps" not in stacks or "haadf" not in arrays:
        return
    shape, image = arrays["maps"].shape[1:], arrays["haadf"].shape
    if shape != image:
        remedy = "choose the pixels of the unknown (data.grid: haadf or maps), and use the forward model 'scan'"
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
            problem = f"there is no array '{source.signal}' in {origin.source}"
            raise UserError(key, problem, missing(source.signal, recording))
        shapes[key] = shape
    # with a grid, image and maps may differ in shape; preparation may give both one shape, and take frames
    separate, firsts = options.grid is not None or bool(options.prepare), dict[bool, str]()
    for key, source in images.items():
        origin = files.origin(source, key)
        is_stack = len(shapes[key]) == 3
        if is_stack and not options.prepare:
            remedy = f"name one of its images by its place, '{source.signal}/0'"
            raise origin.error(f"is not 2-D: its shape is {shapes[key]}", remedy)
        check_image(shapes[key][-2:] if is_stack else shapes[key], origin)
        first = firsts.setdefault(separate and key == f"{where}.haadf", key)
        check_same_shape(shapes[key], origin, shapes[first], images[first].signal)
    require(_BYTES_PER_VALUE * sum(prod(shape) for shape in shapes.values()), f"{where}.path")


def _image(raw: npt.NDArray[Any], origin: Origin, source: Source, masked: bool) -> FloatArray:
    values = to_float(raw, origin, masked)
    if source.offset or source.scale != 1:
        with np.errstate(over="ignore", invalid="ignore"):
            values -= source.offset
            values *= source.scale
        check_finite(values, origin, masked)
    return values


def recording_facts(images: Sequence[RawArray]) -> dict[str, float | str]:
    """Facts of the recording from those of its images; earlier images win, and titles of single maps are left out."""
    facts: dict[str, float | str] = {}
    for one in reversed(images):
        facts |= one.metadata
    titles = {str(one.metadata["title"]) for one in images if "title" in one.metadata}
    common = [title for title in titles if not _is_of_one_image(title)]
    facts.pop("title", None)
    return facts | ({"title": common[0]} if len(common) == 1 else {})


def _is_of_one_image(title: str) -> bool:
    """Whether a title belongs to one image (``Co``, ``Co Ka1``, ``HAADF``), not to the recording."""
    return element_named(title) is not None or (is_image(title) and len(title.split()) == 1)
