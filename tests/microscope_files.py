"""Small microscope files, written by RosettaSciIO where it writes the format, else by hand."""

from __future__ import annotations

import bz2
import io
import json
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from bcf_files import write_bcf
from jeol_files import write_pts
from velox_files import write_velox_spectra

SHAPE = (6, 5)
CHANNELS = 40
# lines of O, Ti and Co in a detector of 40 channels of 0.2 keV
LINES = {"O": 0.5249, "Ti": 4.5109, "Co": 6.9303}
PIXEL = 0.4  # nm


def image(seed: int = 1, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 4000, shape).astype(np.uint16)


def spectra(seed: int = 2, shape: tuple[int, int] = SHAPE, channels: int = CHANNELS, lines: float = 0.0) -> np.ndarray:
    rate = np.full((*shape, channels), 0.8)
    rate[..., [round(energy / 0.2) for energy in LINES.values()]] += lines
    return np.random.default_rng(seed).poisson(rate).astype(np.uint16)


def windows_in(notes: Sequence[str]) -> dict[str, tuple[float, float]]:
    """First and last energy of the window of each element, from the notes of a recording."""
    pattern = r"(\w+): [\d.e+]+ counts in \w+ \(([\d.]+) to ([\d.]+) k?eV\)"
    return {element: (float(a), float(b)) for note in notes for element, a, b in re.findall(pattern, note)}


def lateral(shape: tuple[int, ...], signal: bool, scale: float = PIXEL) -> list[dict[str, Any]]:
    return [
        {"name": name, "size": size, "scale": scale, "offset": 0.0, "units": "nm", "navigate": not signal}
        for name, size in zip("yx", shape, strict=True)
    ]


def numbered(axes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**axis, "index_in_array": i, "_type": "UniformDataAxis", "is_binned": False} for i, axis in enumerate(axes)
    ]


def image_signal(title: str = "HAADF", data: np.ndarray | None = None, scale: float = PIXEL) -> dict[str, Any]:
    data = image() if data is None else data
    metadata = {"General": {"title": title}, "Signal": {"signal_type": ""}}
    axes = numbered(lateral(data.shape, True, scale))
    return {"data": data, "axes": axes, "metadata": metadata, "original_metadata": {}, **_MORE}


def spectrum_signal(
    kind: str = "EDS_TEM", data: np.ndarray | None = None, elements: tuple[str, ...] = tuple(LINES), **energy: Any
) -> dict[str, Any]:
    data = spectra() if data is None else data
    axis = {"name": "Energy", "size": data.shape[2], "scale": 0.2, "offset": 0.0, "units": "keV", "navigate": False}
    axes = numbered([*lateral(data.shape[:2], False), {**axis, **energy}])
    metadata = {
        "General": {"title": "spectra", "date": "2026-01-02"},
        "Signal": {"signal_type": kind},
        "Sample": {"elements": list(elements)},
        "Acquisition_instrument": {"TEM": {"beam_energy": 200.0, "microscope": "a microscope"}},
    }
    return {"data": data, "axes": axes, "metadata": metadata, "original_metadata": {}, **_MORE}


_MORE: dict[str, Any] = {"learning_results": {}, "tmp_parameters": {}, "attributes": {"_lazy": False}, "models": {}}
_MORE["package_info"] = {"package": "hyperspy", "package_version": "2"}


def written_by(module: str, make: Callable[[], dict[str, Any]], **options: Any) -> Callable[[Path], None]:
    """A function that writes the result of ``make`` by RosettaSciIO."""

    def write(path: Path) -> None:
        from importlib import import_module

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module(module).file_writer(str(path), make(), **options)

    return write


def write_velox(path: Path) -> None:
    """A minimal Velox file: a HAADF image of one frame, with the metadata that RosettaSciIO requires."""
    facts = {
        "Core": {"MetadataDefinitionVersion": "7.9"},
        "Instrument": {"InstrumentModel": "a microscope"},
        "Optics": {"AccelerationVoltage": "200000"},
        "BinaryResult": {
            "PixelSize": {"width": str(PIXEL * 1e-9), "height": str(PIXEL * 1e-9)},
            "PixelUnitX": "m",
            "PixelUnitY": "m",
            "Offset": {"x": "0", "y": "0"},
            "Detector": "HAADF",
            "DetectorIndex": "0",
        },
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1600000000"}},
        "Detectors": {"Detector-0": {"DetectorName": "HAADF", "DetectorType": "ScanningDetector"}},
        "Scan": {"FrameTime": "1.0", "DwellTime": "1e-6"},
        "Operations": {},
        "CustomProperties": {},
        "Features": {},
        "Stage": {},
        "Sample": {},
    }
    text = np.frombuffer(json.dumps(facts).encode().ljust(2048, b"\0"), np.uint8)[:, None]
    with h5py.File(path, "w") as file:
        version = json.dumps({"format": "Velox", "version": "1.0"}).encode()
        file.create_dataset("Version", data=np.array([version], dtype=h5py.string_dtype()))
        group = file.create_group("Data/Image/" + "0" * 32)
        group.create_dataset("Data", data=image()[:, :, None], chunks=(*SHAPE, 1))
        group.create_dataset("Metadata", data=text)
        shown = json.dumps({"dataPath": "/Data/Image/" + "0" * 32}).encode()
        file.create_dataset("Displays/ImageDisplay/" + "1" * 32, data=np.array([shown], dtype=h5py.string_dtype()))


def write_mrc(path: Path) -> None:
    """An MRC file of mode 6 (uint16): a header of 1024 bytes, then the values."""
    header = bytearray(1024)
    ny, nx = SHAPE
    struct.pack_into("<10i", header, 0, nx, ny, 1, 6, 0, 0, 0, nx, ny, 1)
    struct.pack_into("<6f", header, 40, nx * 4.0, ny * 4.0, 4.0, 90.0, 90.0, 90.0)
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:212], header[212:216] = b"MAP ", b"DA\0\0"
    path.write_bytes(bytes(header) + image().astype("<u2").tobytes())


def write_ser(path: Path) -> None:
    """A TIA series with one image of uint16."""
    out = io.BytesIO()
    ny, nx = SHAPE
    # byte order, id, version, data type (images), tag type (time), elements, valid ones, their offsets, dimensions
    out.write(struct.pack("<HHHIIIIII", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, 1, 1, 0, 1))
    out.write(struct.pack("<Iddi", 1, 0.0, 1.0, 0) + struct.pack("<I", 0) + struct.pack("<I", 0))
    start = out.tell()
    out.write(struct.pack("<II", start + 8, start + 8 + 50 + ny * nx * 2))
    out.write(struct.pack("<ddi", 0.0, PIXEL * 1e-9, 0) + struct.pack("<ddi", 0.0, PIXEL * 1e-9, 0))
    out.write(struct.pack("<Hii", 2, nx, ny) + image().astype("<u2").tobytes())
    out.write(struct.pack("<HHI", 0x4152, 0, 1_600_000_000))
    content = bytearray(out.getvalue())
    struct.pack_into("<I", content, 22, start)
    path.write_bytes(bytes(content))


def write_dm(path: Path) -> None:
    """A Gatan file with one image: version 3 or 4, by the suffix."""
    wide = path.suffix == ".dm4"
    size = "Q" if wide else "I"
    codes = {"uint16": (4, "H"), "uint32": (5, "I"), "float": (6, "f")}

    def entry(name: str, kind: int, body: bytes) -> bytes:
        length = struct.pack(">Q", len(body)) if wide else b""
        return struct.pack(">BH", kind, len(name)) + name.encode() + length + body

    def group(entries: list[bytes]) -> bytes:
        return struct.pack(f">BB{size}", 1, 0, len(entries)) + b"".join(entries)

    def value(name: str, kind: str, number: float) -> bytes:
        code, letter = codes[kind]
        return entry(name, 21, b"%%%%" + struct.pack(f">2{size}", 1, code) + struct.pack(f"<{letter}", number))

    def array(name: str, values: np.ndarray) -> bytes:
        head = b"%%%%" + struct.pack(f">4{size}", 3, 20, 4, values.size)
        return entry(name, 21, head + values.astype("<u2").tobytes())

    def text(name: str, said: str) -> bytes:
        return array(name, np.frombuffer(said.encode("utf-16-le"), "<u2"))

    def axis() -> bytes:
        return entry(
            "", 20, group([value("Origin", "float", 0.0), value("Scale", "float", PIXEL), text("Units", "nm")])
        )

    ny, nx = SHAPE
    brightness = group([value("Origin", "float", 0.0), value("Scale", "float", 1.0), text("Units", "")])
    calibrations = [entry("Brightness", 20, brightness), entry("Dimension", 20, group([axis(), axis()]))]
    data = [
        entry("Calibrations", 20, group(calibrations)),
        array("Data", image().ravel()),
        value("DataType", "uint32", 10),
        entry("Dimensions", 20, group([value("", "uint32", nx), value("", "uint32", ny)])),
        value("PixelDepth", "uint32", 2),
    ]
    one = group([entry("ImageData", 20, group(data)), entry("ImageTags", 20, group([])), text("Name", "HAADF")])
    root = group([entry("ImageList", 20, group([entry("", 20, one)]))])
    head = struct.pack(">I", 4) + struct.pack(">QI", len(root), 1) if wide else struct.pack(">III", 3, len(root), 1)
    path.write_bytes(head + root + b"\0" * 8)


def write_oxford(path: Path) -> None:
    """An H5OINA file of AZtec: spectra, maps and an electron image."""
    cube, seconds = spectra(), np.full((30, 1), 0.02, np.float32)
    header = {"X Cells": 5, "Y Cells": 6, "X Step": 0.1, "Y Step": 0.2, "Channel Width": 200.0, "Start Channel": 0.0}
    with h5py.File(path, "w") as file:
        for name, value in {**header, "Beam Voltage": 200.0}.items():
            file[f"1/EDS/Header/{name}"] = [value]
        file["1/EDS/Header/Relative Offset"] = [[0.25, 0.5]]  # x, y
        file["1/EDS/Data/Live Time"] = seconds
        file["1/EDS/Data/Window Integral/Co Ka1"] = cube[..., 35].reshape(30, 1) / seconds
        file.create_dataset("1/EDS/Data/Spectrum", data=cube.reshape(30, -1).astype("i4"), compression="lzf")
        for name, value in {"X Cells": 5, "Y Cells": 6, "X Step": 0.4, "Y Step": 0.4}.items():
            file[f"1/Electron Image/Header/{name}"] = [value]
        file["1/Electron Image/Data/BSE/HAADF 2"] = image().reshape(-1, 1)


def write_nion(path: Path) -> None:
    """An archive of Nion Swift: spectra (``.ndata1``) or an image."""
    data = spectra() if path.suffix == ".ndata1" else image()
    axes = [{"offset": 0.0, "scale": 0.5, "units": unit} for unit in ("nm", "nm", "eV")[: data.ndim]]
    with zipfile.ZipFile(path, "w") as archive, archive.open("data.npy", "w") as stream:
        np.lib.format.write_array(stream, data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", json.dumps({"title": "HAADF", "spatial_calibrations": axes}))


def write_elid(path: Path) -> None:
    """A project of Phenom with an image and a map of spectra, of version 0."""
    tiff = io.BytesIO()
    scan = "<spotSize>3</spotSize><scanScale>1</scanScale><detectors><a>1</a></detectors>"
    edges = '<pixelWidth unit="nm">1</pixelWidth><pixelHeight unit="nm">1</pixelHeight>'
    acquired = f"<acquisition><scan>{scan}</scan></acquisition>"
    facts = f'<FeiImage>{edges}<workingDistance unit="mm">5</workingDistance>{acquired}</FeiImage>'
    tifffile.imwrite(tiff, image(), metadata=None, extratags=[(34683, "s", 0, facts, True)])
    eds = struct.pack("<8d", 15e3, 0.6, 0.0, 1.0, 1.1, 1e-6, 1e-7, 130.0) + struct.pack("<I", 1) + b"a"
    spectrum = struct.pack("<ddI", 0.0, 200.0, CHANNELS) + bytes(CHANNELS)
    common = struct.pack("<I", 0) + spectrum + eds + bytes(16) + b"\1" + struct.pack("<iI", 1, 0)
    head = struct.pack("<4dI3I2d", 0, 0, 1, 1, 0, SHAPE[1], SHAPE[0], CHANNELS, 0.0, 200.0)
    counted = b"\4" + common + head + eds + bytes(2) + spectra().astype(np.uint8).tobytes() + struct.pack("<2d", 1, 1)
    picture = struct.pack("<I", tiff.tell()) + tiff.getvalue() + struct.pack("<I", 5) + b"HAADF"
    path.write_bytes(bz2.compress(struct.pack("<4siI", b"EID2", 0, 1) + picture + struct.pack("<I", 1) + counted))


def write_emi(path: Path) -> None:
    """A TIA file with facts of the series beside it."""
    write_ser(path.with_name(f"{path.stem}_1.ser"))
    facts = "<Uuid>1</Uuid><AcquireDate>Mon Nov 2 10:11:12 2026</AcquireDate><Manufacturer>FEI</Manufacturer>"
    row = "<Data><Label>High tension</Label><Value>200</Value><Unit>kV</Unit></Data>"
    facts += f"<ExperimentalDescription><Root>{row}</Root></ExperimentalDescription>"
    path.write_bytes(f"JL..<ObjectInfo>{facts}</ObjectInfo>..".encode())


def write_table(path: Path) -> None:
    """A map as a table of numbers."""
    np.savetxt(path, image(), "%d", "," if path.suffix == ".csv" else "\t")


def one_spectrum() -> dict[str, Any]:
    whole = spectrum_signal()
    return {**whole, "data": whole["data"].sum((0, 1)), "axes": numbered(whole["axes"][2:])}


# suffix: function that writes such a file
FORMATS: dict[str, list[Callable[[Path], None]]] = {
    "hspy": [written_by("rsciio.hspy", spectrum_signal), written_by("rsciio.hspy", image_signal)],
    "zspy": [written_by("rsciio.zspy", spectrum_signal)],
    "emd": [written_by("rsciio.emd", image_signal), write_velox, write_velox_spectra],
    "nxs": [written_by("rsciio.nexus", image_signal)],
    "tif": [written_by("rsciio.tiff", image_signal)],
    "dm3": [write_dm],
    "dm4": [write_dm],
    "mrc": [write_mrc],
    "ser": [write_ser],
    "blo": [written_by("rsciio.blockfile", lambda: blocks())],
    "npy": [lambda path: np.save(path, image())],
    "unf": [written_by("rsciio.semper", lambda: image_signal(data=image().astype(np.float32)))],
    "prz": [written_by("rsciio.pantarhei", spectrum_signal)],
    "pts": [write_pts],
    "rpl": [written_by("rsciio.ripple", spectrum_signal)],
    "bcf": [write_bcf, lambda path: write_bcf(path, compressed=False)],
    "h5oina": [write_oxford],
    "ndata": [write_nion],
    "ndata1": [write_nion],
    "elid": [write_elid],
    "emi": [write_emi],
    "txt": [write_table],
    "csv": [write_table],
    "msa": [written_by("rsciio.msa", one_spectrum)],
    "png": [written_by("rsciio.image", lambda: image_signal(data=image().astype(np.uint8)))],
}


def blocks() -> dict[str, Any]:
    """A scan of diffraction patterns."""
    data = np.random.default_rng(3).integers(0, 255, (3, 2, 4, 4), dtype=np.uint8)
    return {
        **image_signal(),
        "data": data,
        "axes": numbered(
            [*lateral((3, 2), False), *[{**axis, "scale": 0.1, "units": "cm"} for axis in lateral((4, 4), True)]]
        ),
    }
