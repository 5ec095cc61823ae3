"""A small spectrum image with an image in Bruker's container, which RosettaSciIO reads but does not write.

The layout is the one that `rsciio.bruker` documents: chunks of a fixed size, a tree of entries, and the chunks of each.
"""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import numpy as np

_CHUNK, _HEAD, _ORIGIN = 4096, 32, 0x118  # bytes: of a chunk, of its head, before the first
_MAP_HEAD = 0x1A0
CHANNELS, WIDTH = 64, 0.1  # keV
SHAPE = (4, 5)
LINES = {"O": 0.5249, "Ti": 4.5109}


def counts() -> np.ndarray:
    """(ny, nx, channels)."""
    result = np.zeros((*SHAPE, CHANNELS), np.uint16)
    for energy in LINES.values():
        result[..., round(energy / WIDTH)] = np.random.default_rng(int(energy * 10)).poisson(3.0, SHAPE)
    return result


def write_bcf(path: Path, compressed: bool = True) -> None:
    """With each of the three ways in which a pixel's spectrum may be packed."""
    files = {"HeaderData": _header(), "SpectrumData0": _spectra()}
    chunks, entries = [b""], [_entry("EDSDatabase", 0, 0, -1, True)]
    for name, content in files.items():
        stored = _blocks(content) if compressed else content
        parts = [stored[at : at + _CHUNK - _HEAD] for at in range(0, len(stored), _CHUNK - _HEAD)]
        chunks.append(struct.pack(f"<{len(parts)}I", *range(len(chunks) + 1, len(chunks) + 1 + len(parts))))
        entries.append(_entry(name, len(chunks) - 1, len(stored), 0, False))
        chunks += parts
    chunks.append(b"".join(entries))
    start = bytearray(_ORIGIN + _HEAD)
    start[:8] = b"AAMVHFSS"
    struct.pack_into("<fI", start, 0x124, 2.4, _CHUNK)
    body = b"".join(bytes(_HEAD) + one.ljust(_CHUNK - _HEAD, b"\0") for one in chunks)
    content = bytearray(bytes(start[:_ORIGIN]) + body)
    content[: len(start)] = start
    struct.pack_into("<III", content, 0x140, len(chunks) - 1, len(entries), len(chunks))
    path.write_bytes(content)


def _entry(name: str, table: int, size: int, parent: int, folder: bool) -> bytes:
    form = "<iQQQQIi176s?3s256s32s"
    return struct.pack(form, table, size, 0, 0, 0, 0, parent, b"", folder, b"", name.encode(), b"")


def _blocks(content: bytes) -> bytes:
    packed = zlib.compress(content)
    return (
        struct.pack("<4sIII", b"AACS", len(content), 0, 1).ljust(0x80, b"\0")
        + struct.pack("<I12x", len(packed))
        + packed
    )


def _spectra() -> bytes:
    ny, nx = SHAPE
    out = [struct.pack("<ii", ny, nx).ljust(_MAP_HEAD, b"\0")]
    for y, row in enumerate(counts()):
        out.append(struct.pack("<i", nx))
        for x, spectrum in enumerate(row):
            events = np.repeat(np.arange(CHANNELS, dtype="<u2"), spectrum)
            flag, more = min(y, 2), b""
            if flag == 0:
                data = events.tobytes()
            elif flag == 1:
                data = _twelve_bits(events)
            else:  # instructions: all channels in 8 bits above a gain of 0; then the number of further events
                data, more = struct.pack(f"<BBH{CHANNELS}B", 2, CHANNELS, 0, *spectrum), bytes(4)
                events = events[:0]
            size = len(data) + len(more)
            out.append(struct.pack("<IHHIHHHI", x, CHANNELS + 1, CHANNELS, 0, flag, 0, events.size, size) + data + more)
    return b"".join([*out, bytes(64)])  # the reader looks beyond the last pixel


def _twelve_bits(events: np.ndarray) -> bytes:
    padded = [*map(int, events), *[0] * (-len(events) % 4)]
    pairs = [padded[i] << 12 | padded[i + 1] for i in range(0, len(padded), 2)]
    return np.frombuffer(b"".join(one.to_bytes(3, "big") for one in pairs), "<u2").byteswap().tobytes()


def _header() -> bytes:
    ny, nx = SHAPE
    values = np.random.default_rng(3).integers(100, 4000, SHAPE).astype("<u2").tobytes()
    layers = base64.b64encode(zlib.compress(b"<DetLayers><Layer0 Atom='5' Thickness='0.1'/></DetLayers>")).decode()
    regions = "".join(
        f'<ClassInstance Type="TRTSpectrumRegion" Name="{name}"><Line>K</Line><Energy>{energy}</Energy></ClassInstance>'
        for name, energy in LINES.items()
    )
    spectrum = ",".join(map(str, counts().sum((0, 1))))
    when = "<Date>1.2.2026</Date><Time>10:11:12</Time>"
    return f"""<?xml version="1.0"?><TRTSpectrumDatabase><ClassInstance Type="TRTSpectrumDatabase" Name="map">
<Header>{when}<FileVersion>1</FileVersion></Header>
<ClassInstance Type="TRTSEMData"><HV>200</HV><Mag>1000</Mag><DX>4E-4</DX><DY>4E-4</DY></ClassInstance>
<ClassInstance Type="TRTSEMStageData"><State>0</State></ClassInstance>
<ClassInstance Type="TRTDSPConfiguration"><PixelAverage>1</PixelAverage><LineAverage>1</LineAverage>
<PixelTime>1</PixelTime></ClassInstance>
<ClassInstance Type="TRTImageData"><ItemSize>2</ItemSize><Width>{nx}</Width><Height>{ny}</Height>
<PlaneCount>1</PlaneCount><Plane0><Description>HAADF</Description><Data>{base64.b64encode(values).decode()}</Data></Plane0>
</ClassInstance>
<ClassInstance Type="TRTContainerClass"><ChildClassInstances><ClassInstance Type="TRTElementInformationList">
<ClassInstance Type="TRTSpectrumRegionList"><ChildClassInstances>{regions}</ChildClassInstances></ClassInstance>
</ClassInstance></ChildClassInstances></ClassInstance>
<LineCounter>{",".join(["1"] * ny)}</LineCounter><ChCount>{CHANNELS}</ChCount><DetectorCount>1</DetectorCount>
<SpectrumData0><ClassInstance Type="TRTSpectrum"><TRTHeaderedClass>
<ClassInstance Type="TRTSpectrumHardwareHeader"><Amplification>20000</Amplification><RealTime>1000</RealTime>
<LifeTime>900</LifeTime></ClassInstance>
<ClassInstance Type="TRTDetectorHeader"><Type>XFlash</Type><DetLayers>{layers}</DetLayers></ClassInstance>
<ClassInstance Type="TRTESMAHeader"><PrimaryEnergy>200</PrimaryEnergy><ElevationAngle>22</ElevationAngle>
</ClassInstance>
</TRTHeaderedClass><ClassInstance Type="TRTSpectrumHeader">{when}<CalibAbs>0</CalibAbs><CalibLin>{WIDTH}</CalibLin>
</ClassInstance><Channels>{spectrum}</Channels></ClassInstance></SpectrumData0>
</ClassInstance></TRTSpectrumDatabase>""".encode()
