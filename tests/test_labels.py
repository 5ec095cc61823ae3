"""Which element a map belongs to, by the names and metadata of microscope software; and its pixel size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuse_data import FAST, HAADF, NAMES, STACK, hyperspy

import fusionkit as fk
from fusionkit.cli import main
from fusionkit.data.names import element_named
from fusionkit.data.readers import open_recording
from fusionkit.microscope.propose.listing import Entry, entries
from fusionkit.microscope.rosettasciio import describe_tiff


@pytest.mark.parametrize(
    ("label", "element"),
    [
        *[("Co", "Co"), ("Co Ka1", "Co"), ("Co_Ka", "Co"), ("Fe-K", "Fe"), ("Ti Kα1", "Ti"), ("Ti Kα1,2", "Ti")],
        *[("SiK", "Si"), ("OK", "O"), ("CuL", "Cu"), ("Pd La", "Pd"), ("Au M", "Au"), ("Fe K series", "Fe")],
        *[("scan/EDS/Co Ka1", "Co"), ("O K", "O"), ("In", "In"), ("Ba Lalpha", "Ba")],
        *[("In situ", None), ("No filter", None), ("CM", None), ("PL", None), ("HAADF", None), ("Co 2", "Co")],
        *[("co Ka", None), ("Xx Ka", None), ("Co Kb sum", None), ("KL", None), ("As recorded", None), ("", None)],
    ],
)
def test_elements_by_their_lines(label: str, element: str | None) -> None:
    assert element_named(label) == element


@pytest.mark.parametrize("text", ["", "ImageJ=1.53t\nimages=1", "<OME", "<OME><Image/></OME>", "SCANIMAGE\nunit=nm"])
def test_words_that_say_nothing(text: str) -> None:
    description = describe_tiff({"ImageDescription": text})
    assert (description.labels, description.unit, description.edges) == ((), "", None)
    assert describe_tiff({}) == describe_tiff({"ImageDescription": b"bytes"}) == description


def tiff(path: Path, **described: Any) -> list[Entry]:
    tifffile = pytest.importorskip("tifffile", reason="the extra 'io' is not installed")
    hyperspy()
    tifffile.imwrite(path, np.vstack([STACK, HAADF[None]]).astype(np.float32), **described)
    return entries(open_recording(path))


@pytest.mark.parametrize(
    ("unit", "nanometres"),
    [("nm", 0.4), ("micron", 400.0), ("um", 400.0), ("\\u00B5m", 400.0), ("pixel", None), ("inch", None)],
)
def test_pixels_of_imagej(unit: str, nanometres: float | None, tmp_path: Path) -> None:
    labels = [*(f"{name} Ka1" for name in NAMES), "HAADF"]
    metadata = {"axes": "CYX", "unit": unit, "Labels": labels}
    actual = tiff(tmp_path / "a.tif", imagej=True, resolution=(2.5, 2.5), metadata=metadata)
    assert [one.elements for one in actual] == [(), *((name,) for name in NAMES), ()]
    for one in actual:
        assert one.edges == (None if nanometres is None else pytest.approx((nanometres, nanometres)))


@pytest.mark.parametrize("unit", ["nm", "µm", None])
def test_channels_and_pixels_of_ome(unit: str | None, tmp_path: Path) -> None:
    sizes = {
        f"PhysicalSize{axis}{what}": value for axis in "XY" for what, value in [("", 0.4), ("Unit", unit)] if value
    }
    channels = {"Channel": {"Name": [*NAMES, "HAADF"]}}
    actual = tiff(tmp_path / "a.ome.tif", ome=True, metadata={"axes": "CYX", **channels, **sizes})
    assert [one.name for one in actual] == ["a.ome", *(f"a.ome/{name}" for name in (*NAMES, "HAADF"))]
    assert [one.elements for one in actual] == [(), *((name,) for name in NAMES), ()]
    edge = 0.4 if unit == "nm" else 400.0  # µm where the file names no unit
    assert all(one.edges == pytest.approx((edge, edge)) for one in actual)


def test_ome_tiff_runs(tmp_path: Path) -> None:
    path, config = tmp_path / "a.ome.tif", tmp_path / "c.yaml"
    tiff(path, ome=True, metadata={"axes": "CYX", "Channel": {"Name": [*NAMES, "HAADF"]}})
    assert main(["inspect", str(path), "--write-config", str(config)]) == 0
    data = fk.prepare(config).dataset
    assert data.elements == NAMES
    np.testing.assert_allclose(data.arrays["maps"], STACK, rtol=1e-6)


def intensity(path: Path, element: str, values: np.ndarray, title: str, lines: list[str]) -> None:
    """A map like those of eXSpy's ``get_lines_intensity``: a signal without signal axes, its line in the metadata."""
    hs = hyperspy()
    made = hs.signals.BaseSignal(values.astype(np.float64)).transpose(signal_axes=0)
    made.metadata.add_dictionary({"General": {"title": title}, "Sample": {"elements": [element], "xray_lines": lines}})
    made.save(path)


def saved(folder: Path) -> list[str]:
    """The maps and the image of a specimen, a file each."""
    files = []
    for name, values in zip(NAMES, STACK, strict=True):
        files.append(folder / f"{name.lower()}_map.hspy")
        intensity(files[-1], name, values, f"X-ray line intensity of EDS image: {name}_Ka at 1 keV", [f"{name}_Ka"])
    files.append(folder / "haadf.hspy")
    image = hyperspy().signals.Signal2D(HAADF)
    image.metadata.General.title = "HAADF"
    image.metadata.add_dictionary({"Sample": {"elements": ["Co"]}})  # of the specimen: no map for that
    image.save(files[-1])
    return [str(file) for file in files]


def test_saved_intensities_of_exspy_are_maps(tmp_path: Path) -> None:
    files, config = saved(tmp_path), tmp_path / "c.yaml"
    assert main(["inspect", *files, "--write-config", str(config)]) == 0
    data = fk.prepare(config).dataset
    assert data.elements == NAMES
    np.testing.assert_allclose(data.arrays["maps"], STACK)
    np.testing.assert_allclose(np.corrcoef(data.arrays["haadf"].ravel(), HAADF.ravel())[0, 1], 1.0)
    by_path = fk.fuse(files[-1], dict(zip(NAMES, files[:-1], strict=True)), **FAST)
    np.testing.assert_array_equal(by_path.given.arrays["maps"], STACK)


def test_two_lines_of_an_element_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hyperspy()
    files = saved(tmp_path)
    intensity(tmp_path / "second.hspy", "Co", STACK[0], "another line of Co", ["Co_La"])
    config = str(tmp_path / "c.yaml")
    assert main(["inspect", *files, str(tmp_path / "second.hspy"), "--write-config", config]) == 2
    assert not Path(config).exists()
    assert "could both be the map of Co" in capsys.readouterr().err
