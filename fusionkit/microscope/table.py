"""What a recording holds, as a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.signals import Signal
from fusionkit.readers import Recording
from fusionkit.recognise import element_named

_HEADINGS = ("signal", "kind", "shape", "pixel", "elements", "total")


@dataclass(frozen=True)
class Entry:
    """One signal.

    Parameters
    ----------
    name : as a config names it.
    kind : ``image``, ``EDX spectrum image``, ...
    shape : of its values.
    pixel_size : edge of a pixel in ``units``; None where unknown.
    units : unit of ``pixel_size``.
    elements : what the file says of them, or the element that its name is.
    total : sum of its values; NaN where they are no numbers.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    pixel_size: float | None
    units: str | None
    elements: tuple[str, ...]
    total: float


def entries(recording: Recording) -> list[Entry]:
    """Every signal of a recording, read to the last value.

    Raises
    ------
    UserError : the values of one cannot be read.
    """
    if isinstance(recording, MicroscopeRecording):
        return [_of_signal(signal) for signal in recording.signals.values()]
    return [_of_array(recording, name) for name in recording.names() if recording.shape(name)]


def _of_signal(signal: Signal) -> Entry:
    edges, units = signal.pixel()
    known = edges is not None and bool(np.all(edges > 0))
    size = float(edges[0]) if known and edges is not None else None
    elements = signal.facts.elements if signal.energy_axis is not None else _named(signal.name)
    return Entry(signal.name, signal.kind, signal.shape, size, units if known else None, elements, signal.total())


def _of_array(recording: Recording, name: str) -> Entry:
    raw = recording.read(name)
    kind = "image" if raw.values.ndim == 2 else f"{raw.values.ndim}-D array"
    total = float(np.sum(raw.values, dtype=np.float64)) if raw.values.dtype.kind in "biuf" else float("nan")
    return Entry(name, kind, raw.values.shape, raw.pixel_size, raw.units, _named(name), total)


def _named(name: str) -> tuple[str, ...]:
    element = element_named(name)
    return () if element is None else (element,)


def lines_of(found: list[Entry]) -> list[str]:
    """The table, a line each, with headings."""
    rows = [_HEADINGS, *(_cells(entry) for entry in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(entry: Entry) -> tuple[str, ...]:
    size = "-" if entry.pixel_size is None else f"{entry.pixel_size:.4g} {entry.units or ''}".strip()
    total = "-" if np.isnan(entry.total) else f"{entry.total:.10g}"
    shape = " x ".join(map(str, entry.shape))
    return entry.name, entry.kind, shape, size, " ".join(entry.elements) or "-", total
