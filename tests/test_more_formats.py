"""Formats that RosettaSciIO lacks or reads in part: what is in them, and where it lies."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from microscope_files import image, image_signal, spectra, spectrum_signal, written_by

from fusionkit.data.readers import open_recording
from fusionkit.errors import UserError
from fusionkit.microscope.corrections import corrected
from fusionkit.microscope.propose.listing import entries
from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.rosettasciio import read_signals
from fusionkit.microscope.signals import Signal

pytest.importorskip("rsciio", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'")
CUBE = spectra(shape=(6, 5), channels=300)


def write_oxford(path: Path) -> None:
    seconds = np.full((30, 1), 0.02, np.float32)
    header = {"X Cells": 5, "Y Cells": 6, "X Step": 0.1, "Y Step": 0.2, "Channel Width": 10.0, "Start Channel": -200.0}
    with h5py.File(path, "w") as file:
        for name, value in {**header, "Beam Voltage": 200.0}.items():
            file[f"1/EDS/Header/{name}"] = [value]
        file["1/EDS/Header/Relative Offset"] = [[0.25, 0.5]]  # x, y
        file["1/EDS/Data/Live Time"] = seconds
        for element, channel in (("Fe Ka1", 200), ("O Ka1", 52)):
            file[f"1/EDS/Data/Window Integral/{element}"] = CUBE[..., channel].reshape(30, 1) / seconds
        file.create_dataset("1/EDS/Data/Spectrum", data=CUBE.reshape(30, -1).astype("i4"), compression="lzf")
        for name, value in {"X Cells": 5, "Y Cells": 6, "X Step": 0.4, "Y Step": 0.4}.items():
            file[f"1/Electron Image/Header/{name}"] = [value]
        file["1/Electron Image/Data/BSE/HAADF 2"] = image().reshape(-1, 1)


def write_nion(path: Path, data: np.ndarray, units: list[str]) -> None:
    axes = [{"offset": 0.0, "scale": 0.5, "units": unit} for unit in units]
    with zipfile.ZipFile(path, "w") as archive, archive.open("data.npy", "w") as stream:
        np.lib.format.write_array(stream, data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", json.dumps({"title": "HAADF", "spatial_calibrations": axes}))


def write_ripple(path: Path, record: str) -> None:
    """As spectrometers write it: the width of the channels is its only calibration."""
    (CUBE if record == "vector" else np.moveaxis(CUBE, 2, 0)).astype("<u2").tofile(path.with_suffix(".raw"))
    facts = {"width": 5, "height": 6, "depth": 300, "offset": 0, "data-length": 2, "data-type": "unsigned"}
    facts |= {"byte-order": "little-endian", "record-by": record, "ev-per-chan": 10}
    path.write_text("key\tvalue\n" + "".join(f"{name}\t{value}\n" for name, value in facts.items()), encoding="ascii")


def write_old_hyperspy(path: Path) -> None:
    written_by("rsciio.hspy", image_signal)(path.with_suffix(".hspy"))
    shutil.move(path.with_suffix(".hspy"), path)


def table(mark: str) -> Callable[[Path], None]:
    return lambda path: np.savetxt(path, image(), "%d", mark)


# file, how it is written, and each signal: kind, shape, elements, total
FILES: list[tuple[str, Callable[[Path], None], dict[str, tuple[str, tuple[int, ...], str, float]]]] = [
    (
        "a.h5oina",
        write_oxford,
        {
            "Fe Ka1": ("image", (6, 5), "Fe", CUBE[..., 200].sum()),
            "O Ka1": ("image", (6, 5), "O", CUBE[..., 52].sum()),
            "EDS": ("EDX spectrum image", CUBE.shape, "Fe O", CUBE.sum()),
            "HAADF 2": ("image", (6, 5), "", image().sum()),
        },
    ),
    ("a.ndata", lambda path: write_nion(path, image(), ["nm"] * 2), {"HAADF": ("image", (6, 5), "", image().sum())}),
    (
        "a.ndata1",
        lambda path: write_nion(path, CUBE, ["nm", "nm", "eV"]),
        {"HAADF": ("EELS spectrum image", CUBE.shape, "", CUBE.sum())},
    ),
    ("Map 1 Fe Ka1.txt", table(";"), {"Fe Ka1": ("image", (6, 5), "Fe", image().sum())}),
    ("scan_O.csv", table(","), {"O": ("image", (6, 5), "O", image().sum())}),
    ("HAADF.txt", table("\t"), {"HAADF": ("image", (6, 5), "", image().sum())}),
    ("a.hdf5", write_old_hyperspy, {"HAADF": ("image", (6, 5), "", image().sum())}),
    (
        "a.rpl",
        lambda path: write_ripple(path, "vector"),
        {"a": ("EDX spectrum image", CUBE.shape, "", CUBE.sum())},
    ),
    (
        "b.rpl",
        lambda path: write_ripple(path, "image"),
        {"b": ("EDX spectrum image", (300, 6, 5), "", CUBE.sum())},
    ),
]


@pytest.mark.parametrize(("name", "write", "expected"), FILES)
def test_what_is_in_a_file(
    tmp_path: Path,
    name: str,
    write: Callable[[Path], None],
    expected: dict[str, tuple[str, tuple[int, ...], str, float]],
) -> None:
    write(tmp_path / name)
    actual = entries(MicroscopeRecording(tmp_path / name, signals(tmp_path / name)))
    assert {
        one.name: (one.kind, one.shape, " ".join(one.elements), pytest.approx(one.total)) for one in actual
    } == expected


def test_spectra_of_oxford_lie_in_the_electron_image(tmp_path: Path) -> None:
    write_oxford(tmp_path / "a.h5oina")
    signal = signals(tmp_path / "a.h5oina")["EDS"]
    assert signal.energies() == (-200.0, 10.0, 300)
    assert signal.origin() == pytest.approx((1200.0 + 100.0, 500.0 + 50.0))
    assert signal.facts.metadata["beam_energy_keV"] == 200.0


# text of a file, and what is wrong with it
NO_MAPS = [
    ("hello\nworld\n", "holds no numbers"),
    ("1,2\n3,4\n", "rows of 2 to 2"),
    ("1,2,3,4\n1,2,3\n", "rows of 3 to 4"),
]


@pytest.mark.parametrize(("text", "problem"), NO_MAPS)
def test_texts_that_are_no_maps(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="ascii")
    with pytest.raises(UserError, match=problem):
        read_signals(tmp_path / "a.csv")


def signals(path: Path) -> dict[str, Signal]:
    """The signals of a file, read in this process."""
    return {one.name: one for one in read_signals(path)}


def saved(path: Path, entry: dict[str, Any], axes: dict[int, dict[str, Any]]) -> dict[str, Signal]:
    """The signals of a file of HyperSpy with other axes than ``entry``."""
    changed = [{**axis, **axes.get(index, {})} for index, axis in enumerate(entry["axes"])]
    written_by("rsciio.hspy", lambda: {**entry, "axes": changed})(path)
    return signals(path)


@pytest.mark.parametrize("turned", [(0,), (1,), (2,), (0, 1, 2)])
def test_axes_that_descend_are_turned_round(tmp_path: Path, turned: tuple[int, ...]) -> None:
    entry = spectrum_signal(data=CUBE)
    down = {i: {"scale": -entry["axes"][i]["scale"], "offset": 7.0} for i in turned}
    (signal,) = saved(tmp_path / "a.hspy", entry, down).values()
    np.testing.assert_array_equal(signal.data.read(), np.flip(CUBE, turned))
    for i, axis in enumerate(signal.axes):
        scale = entry["axes"][i]["scale"]
        assert (axis.scale, axis.offset) == (
            scale,
            pytest.approx(7.0 - scale * (axis.size - 1) if i in turned else 0.0),
        )


def test_energies_that_are_not_even_are_refused(tmp_path: Path) -> None:
    table = {"_type": "DataAxis", "axis": np.arange(300.0) ** 1.1}
    entry = spectrum_signal(data=CUBE)
    entry["axes"][2] = {k: v for k, v in entry["axes"][2].items() if k not in ("scale", "offset")}
    (signal,) = saved(tmp_path / "a.hspy", entry, {2: table}).values()
    with pytest.raises(UserError, match="not evenly spaced"):
        signal.energies()


def test_tia_counts_rows_from_the_top() -> None:
    """y points up; rows of images are turned by RosettaSciIO, those of spectra are recorded from the top."""
    image_axis = {"name": "y", "scale": 0.5, "offset": 2.0, "size": 5, "navigate": False}
    scan_axis = {"name": "y", "scale": -1.0, "offset": 4.0, "size": 3, "navigate": True}
    original = {"ObjectInfo": {"ExperimentalDescription": {"High tension_kV": 200.0}}}
    made = [
        corrected("rsciio.tia", {"axes": [axis], "metadata": {}, "original_metadata": original})
        for axis in (image_axis, scan_axis)
    ]
    assert [(one["axes"][0]["scale"], one["axes"][0]["offset"]) for one in made] == [(0.5, -4.0), (1.0, -4.0)]
    assert made[0]["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 200.0


def test_lzw(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs", reason="imagecodecs is not installed: pip install 'fusionkit-em[io]'")
    from PIL import Image

    Image.fromarray(image()).save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(next(iter(signals(tmp_path / "a.tif").values())).data.read(), image())


def test_old_files_of_hyperspy_go_to_the_reader_of_microscopes(tmp_path: Path) -> None:
    write_old_hyperspy(tmp_path / "a.hdf5")
    assert list(open_recording(tmp_path / "a.hdf5").names()) == ["HAADF"]
