"""Images and maps by the paths of their files: what in a file is the image, and whose map is what."""

from __future__ import annotations

import os
from pathlib import Path

from fusionkit.errors import UserError
from fusionkit.readers import RawArray, Recording, describe, open_recording
from fusionkit.recognise import element_named, image_rank, map_names


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
    names = _images(recording)
    if element:
        its_own = map_names(names, str(path)).get(element)
        fitting = names if its_own is None else [its_own]
    else:
        others = [name for name in names if element_named(name) is None]
        fitting = [name for name in others if image_rank(name) == min(map(image_rank, others))]
    if len(fitting) != 1:
        said = f"'{path}' holds {len(fitting)} arrays that could be meant ({describe(recording)})"
        raise UserError(where, said, "load it and give the array")
    return recording.read(fitting[0])


def maps_in(path: Path, where: str) -> dict[str, RawArray]:
    """The images in a file that are called by elements, by element; `UserError` where there are none."""
    recording = _opened(path, where)
    found = map_names(_images(recording), str(path))
    if not found:
        said = f"'{path}' holds no images called by elements ({describe(recording)})"
        remedy = (
            "give a stack of maps as a signal or an array; for spectra: fusionkit inspect FILE --write-config my.yaml"
        )
        raise UserError(where, said, remedy)
    return {element: recording.read(name) for element, name in found.items()}


def _opened(path: Path, where: str) -> Recording:
    path = path.expanduser()
    if not path.exists():
        raise UserError(where, f"there is no file '{path}'", "name a recording")
    return open_recording(path, where=where)


def _images(recording: Recording) -> list[str]:
    return [name for name in recording.names() if len(recording.shape(name) or ()) == 2]
