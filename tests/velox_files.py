"""A small Velox file with an image, ready maps of elements, and a stream of X-ray events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SHAPE, PIXEL = (12, 10), 0.4  # nm
LINES = {"Co": 6.9303, "O": 0.5249}  # keV
NUMBERS = {"Co": 27, "O": 8}
CHANNELS, WIDTH = 512, 20.0  # eV
NEXT_PIXEL = 65535  # in the stream


def counts() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"Co": rng.poisson(3.0, SHAPE), "O": rng.poisson(5.0, SHAPE)}


def spectra() -> np.ndarray:
    """The events as a spectrum image."""
    rng, result = np.random.default_rng(1), np.zeros((*SHAPE, CHANNELS), np.uint16)
    for element, amounts in counts().items():
        for place in np.ndindex(*SHAPE):
            energies = rng.normal(1000 * LINES[element], 40.0, int(amounts[place]))
            np.add.at(result[place], np.rint(energies / WIDTH).astype(int), 1)
    return result


SURVEY = (24, 40)
PART = (slice(4, 4 + SHAPE[0]), slice(8, 8 + SHAPE[1]))  # rows and columns of the survey that the scan covers


def write_velox_spectra(path: Path, survey: bool = False) -> None:
    """In the format before version 11.

    Parameters
    ----------
    path : of the file.
    survey : whether the image is a survey of which the other signals show a `PART`; offsets are 0, as in Velox 11.
    """
    images = {"HAADF": (27.0 * counts()["Co"] + 8.0 * counts()["O"]).astype(np.uint16)}
    images |= {element: one.astype(np.float32) for element, one in counts().items()}
    if survey:
        whole = np.zeros(SURVEY, np.uint16)
        whole[PART] = images.pop("HAADF")
        images |= {"HAADF": whole}  # the last image, whose shape RosettaSciIO gives to the spectra
    part = PART if survey else None
    with h5py.File(path, "w") as file:
        file["Version"] = _json({"format": "Velox", "version": "10"})
        for index, (name, image) in enumerate(images.items()):
            key = str(index) * 32
            group = file.create_group(f"Data/Image/{key}")
            group.create_dataset("Data", data=image[:, :, None], chunks=(*image.shape, 1))
            whole_field = tuple(slice(0, length) for length in SURVEY) if part else None
            group["Metadata"] = _facts("HAADF", whole_field) if name == "HAADF" else _facts("SuperX", part)
            shown = {"dataPath": f"/Data/Image/{key}", "display": {"label": name}}
            file[f"Presentation/Displays/ImageDisplay/{key}"] = _json(shown)
        file[f"Data/SpectrumImage/{'7' * 32}/SpectrumImageSettings"] = _json({"endFramePosition": "1"})
        stream = file.create_group(f"Data/SpectrumStream/{'8' * 32}")
        stream["AcquisitionSettings"] = _json({"bincount": str(CHANNELS), "StreamEncoding": "uint16", "Size": "1"})
        stream["Data"] = _events()[:, None]
        stream["Metadata"] = _facts("SuperX", part)
        chosen = {"elementSelection": [str(number) for number in NUMBERS.values()]}
        file[f"Operations/ImageQuantificationOperation/{'9' * 32}"] = _json(chosen)
        detector = {"dataPath": f"/Data/Image/{str(list(images).index('HAADF')) * 32}", "detector": "HAADF"}
        file[f"Operations/StemInputOperation/{'6' * 32}"] = _json(detector)


def _events() -> np.ndarray:
    """The channel of each event, and a mark behind each pixel."""
    pixels = spectra().reshape(-1, CHANNELS)
    parts = [np.append(np.repeat(np.arange(CHANNELS), one), NEXT_PIXEL) for one in pixels]
    return np.concatenate(parts).astype(np.uint16)


def _facts(detector: str, part: tuple[slice, ...] | None = None) -> np.ndarray:
    edge = str(PIXEL * 1e-9)
    scan: dict[str, Any] = {"FrameTime": "1.0", "DwellTime": "1e-6"}
    if part is not None:
        (top, bottom), (left, right) = ((s.start / n, s.stop / n) for s, n in zip(part, SURVEY, strict=True))
        area = {"left": left, "top": top, "right": right, "bottom": bottom}
        scan["ScanArea"] = {name: str(share) for name, share in area.items()}
        scan["ScanSize"] = {"height": str(SURVEY[0]), "width": str(SURVEY[1])}
    facts: dict[str, Any] = {
        "Core": {"MetadataDefinitionVersion": "7.9"},
        "Instrument": {"InstrumentClass": "a microscope"},
        "Optics": {"AccelerationVoltage": "200000"},
        "BinaryResult": {
            "PixelSize": {"width": edge, "height": edge},
            "PixelUnitX": "m",
            "PixelUnitY": "m",
            "Offset": {"x": "0", "y": "0"},
            "Detector": detector,
            "DetectorIndex": "0" if detector == "HAADF" else "1",
        },
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1600000000"}},
        "Detectors": {
            "Detector-0": {"DetectorName": "HAADF", "DetectorType": "ScanningDetector"},
            "Detector-1": {"DetectorName": "SuperX", "Dispersion": str(WIDTH), "OffsetEnergy": "0"},
        },
        "Scan": scan,
        **{name: {} for name in ("Operations", "CustomProperties", "Features", "Stage", "Sample")},
    }
    return np.frombuffer(json.dumps(facts).encode().ljust(4096, b"\0"), np.uint8)[:, None]


def _json(value: dict[str, Any]) -> np.ndarray:
    return np.array([json.dumps(value).encode()], dtype=h5py.string_dtype())
