"""Images and maps by the paths of their files: what in a file is the image, and whose map is what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fusionkit.data.names import element_in, image_rank, map_names, read_named
from fusionkit.data.readers import RawArray, Recording, describe, open_recording
from fusionkit.errors import UserError
from fusionkit.microscope.facts import order_assumed


def is_path(thing: object) -> bool:
    """Whether this names a file."""
    return isinstance(thing, str | os.PathLike)


def image_in(path: Path, where: str, element: str = "") -> RawArray:
    """The one image in a file: its HAADF image, or the map of ``element``.

    Raises
    ------
    UserError : the file cannot be read, or what is meant is not clear.
    """
    recording = _opened(path, where)
    called = _called(recording)
    if element:
        its_own = map_names(called, str(path)).get(element)
        fitting = [*called] if its_own is None else [its_own]
    else:
        others = [name for name, said in called.items() if said is None]
        fitting = [name for name in others if image_rank(name) == min(map(image_rank, others))]
    if len(fitting) != 1:
        said = f"'{path}' holds {len(fitting)} arrays that could be meant ({describe(recording)})"
        raise UserError(where, said, "load it and give the array")
    return recording.read(fitting[0])


def element_of_file(path: Path, where: str) -> str | None:
    """The element whose map the file holds, by what it says or calls it; None for no or several elements.

    Raises
    ------
    UserError : the file cannot be read.
    """
    named = map_names(_called(_opened(path, where)), str(path))
    return next(iter(named)) if len(named) == 1 else None


def maps_in(path: Path, where: str, elements: Sequence[str] | None) -> dict[str, RawArray]:
    """The maps in a file: of all elements that its images are called by, or of ``elements``.

    A stack that does not say whose maps it holds, or does so in no sure order, holds those of ``elements``.

    Raises
    ------
    UserError : the file cannot be read, or lacks maps that are meant.
    """
    recording = _opened(path, where)
    named = map_names(_called(recording), str(path))
    found = {element: recording.read(name) for element, name in named.items()} or _stack(recording, elements or ())
    if not found:
        said = f"'{path}' holds no images called by elements ({describe(recording)})"
        remedy = (
            "name those of a stack: elements=['Co', 'O']; for spectra: fusionkit inspect FILE --write-config my.yaml"
        )
        raise UserError(where, said, remedy)
    if elements is None:
        return found
    assumed = order_assumed([*found])
    if len(elements) == len(found) and all(assumed in raw.notes for raw in found.values()):
        return {element: replace(raw, notes=()) for element, raw in zip(elements, found.values(), strict=True)}
    lacking = [name for name in elements if name not in found]
    if lacking:
        raise UserError("elements", f"'{path}' has no map of {lacking[0]}", f"it has {', '.join(found)}")
    return {name: found[name] for name in elements}


def _stack(recording: Recording, elements: Sequence[str]) -> dict[str, RawArray]:
    """The images of the only stack of as many as there are elements; none where there is no such stack."""
    shapes = {name: recording.shape(name) or () for name in recording.names()}
    stacks = [name for name, shape in shapes.items() if len(shape) == 3 and shape[0] == len(elements)]
    if len(stacks) != 1:
        return {}
    return {element: read_named(recording, f"{stacks[0]}/{index}") for index, element in enumerate(elements)}


def _opened(path: Path, where: str) -> Recording:
    path = path.expanduser()
    if not path.exists():
        raise UserError(where, f"there is no file '{path}'", "name a recording")
    return open_recording(path, where=where)


def _called(recording: Recording) -> dict[str, str | None]:
    """The images, and the element whose map each of them is."""
    images = [name for name in recording.names() if len(recording.shape(name) or ()) == 2]
    return {name: element_in(recording, name) for name in images}
