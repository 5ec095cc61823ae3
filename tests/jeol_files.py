"""A small map in the format of JEOL's Analysis Station, which RosettaSciIO reads but does not write."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

KEV = 0.01  # a channel
_GRID = 4096  # places of the beam along an edge, whatever the pixels are


def events(shape: tuple[int, int], seed: int = 4) -> np.ndarray:
    """Counts (ny, nx, channels below 1000): a few of O, Ti and Co."""
    result = np.zeros((*shape, 1000), np.uint16)
    for channel in (52, 451, 693):
        result[..., channel] = np.random.default_rng(seed + channel).poisson(2.0, shape)
    return result


def write_pts(path: Path, shape: tuple[int, int] = (4, 8), image: bool = True) -> None:
    """One sweep over ``shape`` (ny, nx), powers of 2, with or without the brightness of each pixel."""
    ny, nx = shape
    stream: list[int] = []
    for j, row in enumerate(events(shape)):
        stream.append(0x9000 | j * (_GRID // ny))
        for i, spectrum in enumerate(row):
            stream.append(0x8000 | i * (_GRID // nx))
            stream += [0xA000 | (100 + i)] * image
            stream += [0xB000 | channel for channel in np.repeat(np.arange(spectrum.size), spectrum)]
    measured = {
        "Meas Cond": {"Pixels": f"{nx}x{ny}", "Tpl": "T4"},
        "MeasCond": {"Mag": 1e6, "AccKV": 200.0},
        "Doc": {"CoefA": KEV, "CoefB": 0.0, "DwellTime(msec)": 0.1, "Sweep": 1, "RealTime": 1.0},
    }
    microscope = {"ScanSize": 100.0, "DirAng": 0.0, "DetT": "SDD", "ElevAng": 20.0, "MnKaRES": 130.0}
    pages = _page("PARAMPAGE0", "SEM", microscope) + _page("PARAMPAGE1", "EDXRF", {"Tpl": {"T4": {"DigZ": 0}}})
    tree = _entry("PTTD Data", {"AnalyzableMap MeasData": measured})
    tree += _named("PTTD Param", 0, b"") + _named("Params", 0, b"") + pages + b"\xff" * 2
    names = b"JEOL\0\0\0\0", bytes(128), bytes(132)
    start = 4 + 8 + 24 + 128 + 132 + 8
    place = start + 12 + len(tree) + 1
    numbers = struct.pack("<6I", 0, 0, start, len(tree), place, 2 * len(stream))
    head = struct.pack("<I", 304) + names[0] + numbers + names[1] + names[2] + struct.pack("<d", 46000.5)
    path.write_bytes(head + bytes(12) + tree + b"\xff" + np.array(stream, "<u2").tobytes())


def _named(name: str, kind: int, body: bytes) -> bytes:
    """The head of an entry; its content follows, and a byte -1 ends it."""
    text = name.encode() + b"\0"
    return b"\x01" + struct.pack("<i", len(text)) + text + struct.pack("<2i", kind, len(body)) + body


def _page(name: str, title: str, content: dict[str, Any]) -> bytes:
    return _named(name, 12, title.encode() + b"\0") + b"".join(map(_entry, content, content.values())) + b"\xff"


def _entry(name: str, value: Any) -> bytes:
    if isinstance(value, dict):
        return _named(name, 0, b"") + b"".join(map(_entry, value, value.values())) + b"\xff"
    if isinstance(value, str):
        return _named(name, 12, value.encode() + b"\0") + b"\xff"
    kind, layout = (5, "<d") if isinstance(value, float) else (3, "<i")
    return _named(name, kind, struct.pack(layout, value)) + b"\xff"
