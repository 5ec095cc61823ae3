"""Images and maps by the paths of their files: what in a file is the image, and whose map is what."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fusionkit.elements import is_element
from fusionkit.errors import UserError
from fusionkit.readers import RawArray, Recording, describe, open_recording

_IMAGE = re.compile(r"haadf|dark|adf|stem|image", re.IGNORECASE)


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
        fitting = [name for name in names if _last(name) == element] or names
    else:
        others = [name for name in names if not is_element(_last(name))]
        fitting = [name for name in others if _IMAGE.search(name)] or others
    if len(fitting) != 1:
        said = f"'{path}' holds {len(fitting)} arrays that could be meant ({describe(recording)})"
        raise UserError(where, said, "load it and give the array")
    return recording.read(fitting[0])


def maps_in(path: Path, where: str) -> dict[str, RawArray]:
    """The images in a file that are called by elements, by element; `UserError` where there are none."""
    recording = _opened(path, where)
    found = {_last(name): name for name in _images(recording) if is_element(_last(name))}
    if not found:
        said = f"'{path}' holds no images called by elements ({describe(recording)})"
        raise UserError(where, said, "for spectrum images: fusionkit inspect FILE --write-config my.yaml")
    return {element: recording.read(name) for element, name in found.items()}


def _opened(path: Path, where: str) -> Recording:
    path = path.expanduser()
    if not path.exists():
        raise UserError(where, f"there is no file '{path}'", "name a recording")
    return open_recording(path, where=where)


def _images(recording: Recording) -> list[str]:
    return [name for name in recording.names() if len(recording.shape(name) or ()) == 2]


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
