"""A look at a TIFF before tifffile walks through it: what makes it loop or take gigabytes.

It follows directories that lead back to one another for ever: it looks for such circles where it counts all pages, and
not where it reads one after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fusionkit.microscope.bounds import HARMLESS, MOST_SHRINKAGE

_ORDERS = {b"II": "<", b"MM": ">", b"EP": "<"}  # those that tifffile knows
_BIG = 43  # the version of files beyond 4 GB
_MOST_TAGS = 4096  # of a directory, beyond which tifffile goes no further
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # types of values
_WIDTH, _LENGTH, _SAMPLES, _DEPTH, _TILE_WIDTH, _TILE_LENGTH = 256, 257, 277, 32997, 322, 323


def check_tiff(path: Path) -> None:
    """Raise ``ValueError`` where a directory comes twice or claims too much; nothing for files that are no TIFF.

    Parameters
    ----------
    path : any file or folder.
    """
    if path.is_dir():
        return
    size, seen = path.stat().st_size, set[int]()
    with path.open("rb") as file:
        for offset, tags in _directories(file, size):
            if offset in seen:
                raise ValueError("its directories lead in a circle")
            seen.add(offset)
            if _values(tags) > MOST_SHRINKAGE * size + HARMLESS:
                raise ValueError(f"an image claims {_values(tags):.3g} values, far more than the file can hold")


def _directories(file: BinaryIO, size: int) -> Iterator[tuple[int, dict[int, int]]]:
    """Where the directories stand, each of which says where the next one does, and their tags that are one number."""
    head = file.read(4)
    order = _ORDERS.get(head[:2])
    if order is None or len(head) < 4:
        return
    big = struct.unpack(f"{order}H", head[2:])[0] == _BIG
    number, tag = (struct.Struct(order + form) for form in (("Q", "HHQ8s") if big else ("H", "HHI4s")))
    place = struct.Struct(f"{order}Q" if big else f"{order}I")
    file.seek(8 if big else 4)
    offset = _number(file, place)
    while 0 < offset < size:
        file.seek(offset)
        count = _number(file, number)
        if count > _MOST_TAGS:
            return
        content = file.read(count * tag.size)
        if len(content) < count * tag.size:
            return
        yield offset, _numbers(tag.iter_unpack(content), order)
        offset = _number(file, place)


def _numbers(entries: Iterator[tuple[int, int, int, bytes]], order: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for code, kind, count, value in entries:
        form = struct.Struct(order + _WHOLE_NUMBERS.get(kind, "B"))
        if kind in _WHOLE_NUMBERS and count == 1 and form.size <= len(value):
            found.setdefault(code, form.unpack_from(value)[0])  # of a tag that comes twice, tifffile takes the first
    return found


def _values(tags: dict[int, int]) -> int:
    """How many values an image, or one of its tiles, has."""
    pixels = max(tags.get(_WIDTH, 0) * tags.get(_LENGTH, 0), tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_LENGTH, 0))
    return pixels * max(1, tags.get(_SAMPLES, 1)) * max(1, tags.get(_DEPTH, 1))


def _number(file: BinaryIO, kind: struct.Struct) -> int:
    """The next number; 0, which no directory has, where the file ends."""
    content = file.read(kind.size)
    return kind.unpack(content)[0] if len(content) == kind.size else 0
