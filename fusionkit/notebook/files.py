"""Images and maps from files: which array of a file is the image, and which element each map belongs to."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fusionkit.data.names import element_in, image_doubt, image_rank, map_names, read_named
from fusionkit.data.readers import RawArray, Recording, describe, open_recording
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.facts import order_assumed


def is_path(thing: object) -> bool:
    """Whether this is a path."""
    return isinstance(thing, str | os.PathLike)


def image_in(path: Path, where: str, element: str = "") -> RawArray:
    """The one image in a file: its HAADF image, or the map of ``element``.

    `UserError` if the file cannot be read, or several arrays are possible.
    """
    recording = _open(path, where)
    names = _elements_by_name(recording)
    if element:
        own = map_names(names, str(path)).get(element)
        candidates = [*names] if own is None else [own]
    else:
        others = [name for name, of in names.items() if of is None]
        candidates = [name for name in others if image_rank(name) == min(map(image_rank, others))]
    if len(candidates) != 1:
        problem = f"'{path}' holds {len(candidates)} arrays that could be meant ({describe(recording)})"
        raise UserError(where, problem, "load it and give the array")
    doubt = None if element else image_doubt(candidates[0])
    if doubt is not None:
        warnings.warn(f"{doubt}; it is taken for one", FusionkitWarning, stacklevel=2)
    return recording.read(candidates[0])


def element_of_file(path: Path, where: str) -> str | None:
    """The element of the map in a file, by its metadata or name; None for no or several elements.

    `UserError` if the file cannot be read.
    """
    named = map_names(_elements_by_name(_open(path, where)), str(path))
    return next(iter(named)) if len(named) == 1 else None


def maps_in(path: Path, where: str, elements: Sequence[str] | None) -> dict[str, RawArray]:
    """The maps in a file: of all elements named by its images, or of ``elements``.

    A stack that does not name its elements, or not in a known order, holds the maps of ``elements``. `UserError` if the
    file cannot be read, or lacks a map.
    """
    recording = _open(path, where)
    named = map_names(_elements_by_name(recording), str(path))
    maps = {element: recording.read(name) for element, name in named.items()} or _stack(recording, elements or ())
    if not maps:
        problem = f"'{path}' holds no images named by element ({describe(recording)})"
        remedy = (
            "name those of a stack: elements=['Co', 'O']; for spectra: fusionkit inspect FILE --write-config my.yaml"
        )
        raise UserError(where, problem, remedy)
    if elements is None:
        return maps
    assumed = order_assumed([*maps])
    if len(elements) == len(maps) and all(assumed in raw.notes for raw in maps.values()):
        return {element: replace(raw, notes=()) for element, raw in zip(elements, maps.values(), strict=True)}
    missing = [name for name in elements if name not in maps]
    if missing:
        raise UserError("elements", f"'{path}' has no map of {missing[0]}", f"it has {', '.join(maps)}")
    return {name: maps[name] for name in elements}


def _stack(recording: Recording, elements: Sequence[str]) -> dict[str, RawArray]:
    """The images of the only stack with one image for each element; empty without such a stack."""
    shapes = {name: recording.shape(name) or () for name in recording.names()}
    stacks = [name for name, shape in shapes.items() if len(shape) == 3 and shape[0] == len(elements)]
    if len(stacks) != 1:
        return {}
    return {element: read_named(recording, f"{stacks[0]}/{index}") for index, element in enumerate(elements)}


def _open(path: Path, where: str) -> Recording:
    path = path.expanduser()
    if not path.exists():
        raise UserError(where, f"there is no file '{path}'", "name a recording")
    return open_recording(path, where=where)


def _elements_by_name(recording: Recording) -> dict[str, str | None]:
    """The element of each image by the name of the image; None if it is not a map."""
    images = [name for name in recording.names() if len(recording.shape(name) or ()) == 2]
    return {name: element_in(recording, name) for name in images}
