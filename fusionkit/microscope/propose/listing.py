"""The signals of a recording as a table."""

from dataclasses import dataclass

import numpy as np

from fusionkit.data.field_of_view import Scan
from fusionkit.data.names import element_in
from fusionkit.data.readers import Recording
from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.signals import ArrayValues, Signal

_HEADINGS = ("signal", "kind", "shape", "pixel", "energies", "elements", "total")


@dataclass(frozen=True)
class Entry:
    """One signal."""

    name: str  # as a config names it
    kind: str  # ``image``, ``EDX spectrum image``, ...
    shape: tuple[int, ...]  # of its values
    edges: tuple[float, float] | None  # of a pixel along y and x in ``units``; None if unknown
    units: str | None  # unit of ``edges`` and ``origin``
    elements: tuple[str, ...]  # from the file, or the element in its name
    total: float  # sum of its values; NaN if they are not numbers
    pixels: tuple[int, ...] = ()  # of the scan, (ny, nx): the shape without energies
    origin: tuple[float, float] | None = None  # (y, x) of the centre of the first pixel; None if unknown
    energies: str = ""  # of the first and the last channel, with their unit; empty if there are none

    @property
    def scan(self) -> Scan:
        """Its pixels."""
        return Scan(self.pixels, self.edges, self.units, self.origin)


def entries(recording: Recording) -> list[Entry]:
    """Every signal of a recording; reads all values. `UserError` if the values of one cannot be read."""
    if isinstance(recording, MicroscopeRecording):
        return [_of_signal(recording, signal) for signal in recording.signals.values()]
    return [_of_array(recording, name) for name in recording.names() if recording.shape(name)]


def _of_signal(recording: Recording, signal: Signal) -> Entry:
    edges, units = signal.pixel()
    has_size = edges is not None and bool(np.all(edges > 0))
    sizes = (float(edges[0]), float(edges[1])) if has_size and edges is not None else None
    pixels = tuple(n for axis, n in enumerate(signal.shape) if axis != signal.energy_axis)
    elements = signal.facts.elements if signal.energy_axis is not None else _named(recording, signal.name)
    unit = units if has_size else None
    scan = pixels, signal.origin()
    total = signal.data.total()
    return Entry(signal.name, signal.kind, signal.shape, sizes, unit, elements, total, *scan, signal.range_text)


def _of_array(recording: Recording, name: str) -> Entry:
    raw = recording.read(name)
    kind = "image" if raw.values.ndim == 2 else f"{raw.values.ndim}-D array"
    total = ArrayValues(raw.values).total()
    scan, shape = raw.scan, raw.values.shape
    edges = None if scan.pixel_size is None else (float(scan.edges[0]), float(scan.edges[1]))
    return Entry(name, kind, shape, edges, scan.units, _named(recording, name), total, shape, raw.origin)


def _named(recording: Recording, name: str) -> tuple[str, ...]:
    element = element_in(recording, name)
    return () if element is None else (element,)


def lines_of(signals: list[Entry]) -> list[str]:
    """The table, a line each, with headings."""
    rows = [_HEADINGS, *(_cells(entry) for entry in signals)]
    if not any(entry.energies for entry in signals):
        rows = [(*row[:4], *row[5:]) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(entry: Entry) -> tuple[str, ...]:
    size = "-" if entry.edges is None else f"{_edges(*entry.edges)} {entry.units or ''}".strip()
    total = "-" if np.isnan(entry.total) else f"{entry.total:.10g}"
    shape = " x ".join(map(str, entry.shape))
    return entry.name, entry.kind, shape, size, entry.energies or "-", " ".join(entry.elements) or "-", total


def _edges(y: float, x: float) -> str:
    """One number if the pixels are square to the digits shown, else two, along y and x."""
    shown = [f"{edge:.4g}" for edge in (y, x)]
    return shown[0] if shown[0] == shown[1] else " x ".join(shown)
