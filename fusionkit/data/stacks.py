"""The images of a stack by their place: ``maps/0`` is the first image of the array ``maps``, in any recording."""

from __future__ import annotations

from dataclasses import replace

from fusionkit.data.readers import RawArray, Recording


def shape_of(recording: Recording, name: str) -> tuple[int, ...] | None:
    """Shape of the array ``name`` or of the image of a stack; None where there is neither."""
    own = recording.shape(name)
    if own is not None:
        return own
    place = _place(recording, name)
    shape = None if place is None else recording.shape(place[0])
    return None if shape is None else shape[1:]


def read_named(recording: Recording, name: str) -> RawArray:
    """The array ``name``, or the image of a stack: one of those that have a `shape_of`."""
    place = _place(recording, name) if recording.shape(name) is None else None
    if place is None:
        return recording.read(name)
    stack, index = place
    raw = recording.read(stack)
    return replace(raw, values=raw.values[index])


def _place(recording: Recording, name: str) -> tuple[str, int] | None:
    """The stack and the index that ``name`` means."""
    stack, _, number = name.rpartition("/")
    shape = recording.shape(stack) if stack else None
    if shape is None or len(shape) != 3 or not (number.isascii() and number.isdigit()):
        return None
    return (stack, int(number)) if int(number) < shape[0] else None
