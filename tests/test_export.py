"""Exported maps, read back by HyperSpy, as ImageJ's format and by another run; one line for what cannot be written."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL
from typing import Any

import numpy as np
import pytest

from fusionkit.cli import main
from fusionkit.errors import UserError
from fusionkit.export.content import Content, content_of_saved
from fusionkit.export.writers import export, writer_for, writer_of
from fusionkit.registry import table
from fusionkit.results.saved import read_run

pytest.importorskip("rsciio", reason="the extra 'io' is not installed")

FACTS = {"title": "a particle", "beam_energy_keV": 200.0, "microscope": "a microscope", "date": "2026-01-02"}
CONFIG = """
version: 1
data: {phantom: {preset: cos_nanoparticle, size: 24, seed: 0}}
terms: [{type: haadf, weight: 1.148e-3, gamma: 1.7}, poisson, {type: tv, weight: 0.3}, nonnegative]
solver: {type: chambolle_pock, max_iterations: 5}
engine: numpy
uncertainty: {method: curvature}
output: {figures: false, report: false, formats: [hspy, zspy, tiff]}
"""


def load(path: Path) -> list[Any]:
    """HyperSpy's signals of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hyperspy = pytest.importorskip("hyperspy.api", reason="the extra 'io' is not installed")
        loaded = hyperspy.load(str(path))
    return loaded if isinstance(loaded, list) else [loaded]


def content(elements: str = "Sr Ti O", shape: tuple[int, int] = (7, 5), **more: Any) -> Content:
    """Maps of these elements: not square, not in alphabetical order."""
    rng = np.random.default_rng(0)
    maps, deviations = ({element: rng.random(shape, np.float32) for element in elements.split()} for _ in range(2))
    known: dict[str, Any] = {"haadf": rng.random(shape), "pixel_size": 0.0123, "units": "nm", "metadata": FACTS}
    return Content(maps, deviations, **{**known, "about": {"version": "1.2", "status": "converged"}, **more})


CONTENTS: Mapping[str, Content] = {
    "all": content(),
    "one element": content("Ti"),
    "one element alone": content("Ti", haadf=None),
    "no pixel size": content(pixel_size=None, units=None),
    "micrometres": content(pixel_size=1.5, units="µm"),
    "ångström": content(pixel_size=0.2, units="Å"),
    "another unit": content(units="½ nm"),
    "no unit": content(units=None),
    "twelve": content("H He Li Be B C N O F Ne Na Mg"),
    "double": content(haadf=None, metadata={}, about={}),
}
UNITS = {"µm": "micron", "Å": "angstrom", "½ nm": "\\u00BD nm"}  # in ASCII


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("suffix", [".hspy", ".zspy"])
def test_hyperspy_reads_what_is_written(name: str, suffix: str, tmp_path: Path) -> None:
    given = CONTENTS[name]
    path = tmp_path / f"maps{suffix}"
    export(given, path, writer_for(path))
    assert list(tmp_path.iterdir()) == [path]  # nothing temporary stays
    signals = load(path)
    assert [signal.metadata.General.title for signal in signals] == list(given.images)
    for signal, image in zip(signals, given.images.values(), strict=True):
        assert type(signal).__name__ == "Signal2D"
        np.testing.assert_array_equal(signal.data, image)
        assert signal.data.dtype == image.dtype
        for axis, size in zip(signal.axes_manager.signal_axes, (5, 7), strict=True):  # HyperSpy lists x first
            assert (axis.size, axis.scale, axis.offset) == (size, given.pixel_size or 1.0, 0.0)
            assert (axis.units if isinstance(axis.units, str) else None) == given.units
        assert [axis.name for axis in signal.axes_manager.signal_axes] == ["x", "y"]
    first = signals[0].metadata
    assert first.Sample.elements == [next(iter(given.maps))]
    assert list(first.fusionkit.elements) == list(given.maps)
    if given.metadata:
        assert first.Acquisition_instrument.TEM.beam_energy == 200.0
        assert first.General.date == "2026-01-02"
        assert "a particle" in first.General.notes
        assert (first.fusionkit.version, first.fusionkit.status) == ("1.2", "converged")
    if given.haadf is not None:
        assert "elements" not in signals[-1].metadata.get_item("Sample", {})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the killed process is a fork")
def test_what_a_killed_export_leaves_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, given = tmp_path / "maps.zspy", next(iter(CONTENTS.values()))
    child = os.fork()
    if child == 0:
        monkeypatch.setattr("rsciio.zspy.file_writer", lambda *_, **__: os.kill(os.getpid(), SIGKILL))
        export(given, path, writer_for(path))
        os._exit(0)
    os.waitpid(child, 0)
    assert list(tmp_path.iterdir())
    export(given, path, writer_for(path))
    assert [each.name for each in tmp_path.iterdir()] == ["maps.zspy"]


@pytest.mark.parametrize("name", CONTENTS)
def test_tiff_has_labels_and_pixel_size(name: str, tmp_path: Path) -> None:
    import tifffile

    given = CONTENTS[name]
    path = tmp_path / "maps.tif"
    export(given, path, writer_for(path))
    with tifffile.TiffFile(path) as file:
        facts = file.imagej_metadata or {}
        np.testing.assert_array_equal(
            file.asarray().reshape(len(given.layers), 7, 5), np.stack([*given.layers.values()])
        )
        labels = facts["Labels"]
        assert (labels if isinstance(labels, list) else [labels]) == list(given.layers)
        if all(np.isfinite(one).any() for one in given.layers.values()):
            ends = [end for one in given.layers.values() for end in (np.nanmin(one), np.nanmax(one))]
            assert facts["Ranges"] == pytest.approx(ends)
        if given.pixel_size is not None:
            numerator, denominator = file.pages.first.tags["XResolution"].value
            assert denominator / numerator == pytest.approx(given.pixel_size, rel=1e-6)
        assert facts.get("unit") == UNITS.get(given.units or "", given.units)
    (signal,) = load(path)
    scales = [axis.scale for axis in signal.axes_manager.signal_axes]
    assert scales == pytest.approx(2 * [given.pixel_size or 1.0], rel=1e-6)
    if given.units == "nm":
        assert {axis.units for axis in signal.axes_manager.signal_axes} == {"nm"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every format in its config."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "config.yaml").write_text(CONFIG)
    assert main(["run", str(folder / "config.yaml"), "--output", str(folder / "first"), "--quiet"]) == 0
    return folder / "first"


def test_run_writes_every_format(run: Path) -> None:
    names = {"result.h5", "summary.json", "config.resolved.yaml", "maps.hspy", "maps.zspy", "maps.tif"}
    assert {path.name for path in run.iterdir()} == names
    saved = content_of_saved(read_run(run))
    assert [*saved.deviations] == [*saved.maps] == ["Co", "S", "O"]
    for suffix in (".hspy", ".zspy"):
        for signal, (name, image) in zip(load(run / f"maps{suffix}"), saved.images.items(), strict=True):
            assert signal.metadata.General.title == name
            np.testing.assert_array_equal(signal.data, image)
            assert signal.axes_manager["x"].scale == saved.pixel_size


@pytest.mark.parametrize("file", ["maps.hspy", "maps.zspy"])
def test_another_run_reads_it(run: Path, file: str, tmp_path: Path) -> None:
    data = f"{{path: {run / file}, haadf: HAADF, maps: [S, Co]}}"
    (tmp_path / "again.yaml").write_text(
        CONFIG.replace("{phantom: {preset: cos_nanoparticle, size: 24, seed: 0}}", data)
    )
    assert main(["run", str(tmp_path / "again.yaml"), "--output", str(tmp_path / "again"), "--quiet"]) == 0
    former, again = read_run(run).saved, read_run(tmp_path / "again").saved
    np.testing.assert_array_equal(again.inputs["maps"], np.stack([former.maps["S"], former.maps["Co"]]))
    np.testing.assert_array_equal(again.inputs["haadf"], former.inputs["haadf"])
    assert (again.pixel_size, again.units) == (former.pixel_size, former.units)


@pytest.mark.parametrize("name", ["hspy", "zspy", "tiff"])
def test_command(run: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suffix = writer_of(name, "").suffixes[0]
    path = tmp_path / f"mine{suffix}"
    assert main(["export", str(run), "--format", name, "--output", str(path)]) == 0
    assert capsys.readouterr().out == f"wrote {path}\n"
    assert main(["export", str(run), "--output", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["export", str(run / "result.h5"), "--output", str(path), "--overwrite"]) == 0
    assert list(tmp_path.iterdir()) == [path]
    assert len(load(path)) == (1 if name == "tiff" else 7)


REFUSALS: dict[str, tuple[list[str], str]] = {
    "no format": (["RUN"], "no format is given"),
    "unknown format": (["RUN", "--format", "hspi"], "did you mean 'hspy'"),
    "unknown suffix": (["RUN", "--output", "NEW.png"], "no writer has this suffix"),
    "other suffix": (["RUN", "--format", "tiff", "--output", "NEW.hspy"], "end it with .tif"),
    "no folder": (["RUN", "--output", "NEW/maps.hspy"], "there is no folder"),
    "no run": (["NEW", "--format", "hspy"], "there is no such folder"),
    "a folder of something else": (["RUN", "--output", "FULL.zspy", "--overwrite"], "holds something else"),
    "exists": (["RUN", "--format", "hspy"], "exists already"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "FULL.zspy").mkdir()
    (tmp_path / "FULL.zspy" / "thesis.txt").write_text("everything")
    arguments, said = REFUSALS[name]
    places = [
        one.replace("RUN", str(run)).replace("NEW", f"{tmp_path}/new").replace("FULL", f"{tmp_path}/FULL")
        for one in arguments
    ]
    assert main(["export", *places]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert (tmp_path / "FULL.zspy" / "thesis.txt").read_text() == "everything"


CONFIG_REFUSALS = {
    "[hspi]": "output.formats[0]: there is no writer 'hspi'; did you mean 'hspy'?",
    "[hspy, hspy]": "is listed twice",
    "hspy": "output.formats",
}


@pytest.mark.parametrize("formats", CONFIG_REFUSALS)
def test_config_is_refused_before_anything_is_computed(
    formats: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.replace("[hspy, zspy, tiff]", formats))
    assert main(["run", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "run")]) == 2
    assert CONFIG_REFUSALS[formats] in capsys.readouterr().err


def test_coefficients_are_no_maps(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = str(tmp_path / "line")
    assert main(["validate", "linear_regression", "--set", "output.formats=[hspy]"]) == 2
    assert "output.formats" in capsys.readouterr().err
    assert main(["run", "linear_regression", "--quiet", "--output", output, "--set", "output.report=false"]) == 0
    assert main(["export", output, "--format", "hspy"]) == 2
    assert "not a stack of maps" in capsys.readouterr().err


def test_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("fusionkit.export.writers.find_spec", lambda name: None if name == "rsciio" else find(name))
    with pytest.raises(UserError, match=r"needs rsciio.*pip install rosettasciio"):
        writer_of("hspy", "output.formats[0]")


def test_a_failure_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "maps.hspy"
    export(content(), path, writer_for(path))
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rsciio.hspy.file_writer", full)
    with pytest.raises(UserError, match="no space left"):
        export(content("Ti"), path, writer_for(path), overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_writers_are_in_the_registry_and_hyperspy_stays_out() -> None:
    assert set(table("writers")) >= {"hspy", "zspy", "tiff"}
    code = (
        "import sys; from fusionkit.cli import main; main(['list', 'writers']); "
        "assert not {'rsciio', 'hyperspy', 'tifffile', 'zarr'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
