"""``fusionkit inspect``: the table, and a config that runs unchanged."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from microscope_files import FORMATS, image_signal, spectra, spectrum_signal, written_by

from fusionkit.cli import main
from fusionkit.microscope.more_formats import SUFFIXES
from fusionkit.microscope.reader import MicroscopeReader
from fusionkit.results.result_file import read_result

BCF = Path(__file__).parents[1].parent / "shared" / "data" / "tio2_pd_tem.bcf"
RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "HAADF": RNG.uniform(1, 2, (8, 9)),
    "Fe": RNG.poisson(5, (8, 9)),
    "O": RNG.poisson(3, (8, 9)),
}


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["inspect", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_table_of_npz_and_hdf5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts: dict[str, Any] = {"pixel_size": 0.25, "units": "nm", "sample": np.array([{"name": "x"}])}
    np.savez(tmp_path / "a.npz", **ARRAYS, **facts)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["map/Fe"] = ARRAYS["Fe"]
        file["cube"] = np.ones((2, 3, 4))
        file["elements"] = ["Fe", "O"]  # no numbers: left out
    assert main(["inspect", str(tmp_path / "a.npz"), str(tmp_path / "a.h5")]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines]
    assert lines[0] == f"{tmp_path / 'a.npz'}:"
    assert rows[1] == ["signal", "kind", "shape", "pixel", "elements", "total"]  # no energies in these
    assert not {"elements", "sample"} & {row[0] for row in rows if row}
    assert ["Fe", "image", "8", "x", "9", "0.25", "nm", "Fe", f"{ARRAYS['Fe'].sum()}"] in rows
    assert ["map/Fe", "image", "8", "x", "9", "-", "Fe", f"{ARRAYS['Fe'].sum()}"] in rows
    assert ["cube", "3-D", "array", "2", "x", "3", "x", "4", "-", "-", "24"] in rows


def test_infinities_are_listed_without_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", haadf=np.array([[np.inf, -np.inf], [1.0, 2.0]]))
    assert main(["inspect", str(tmp_path / "a.npz")]) == 0
    assert "haadf" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", FORMATS)
def test_table_of_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    pytest.importorskip("rsciio", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'")
    for index, make in enumerate(FORMATS[suffix]):
        path = tmp_path / f"a{index}.{suffix}"
        make(path)
        assert main(["inspect", str(path)]) == 0
        out = capsys.readouterr().out
        assert out.startswith("signal ")
        assert out.count("\n") >= 2


@pytest.mark.parametrize("counts", [True, False])
def test_config_for_ready_maps_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str], counts: bool) -> None:
    arrays = ARRAYS if counts else {name: array / 7.0 for name, array in ARRAYS.items()}
    np.savez(tmp_path / "a.npz", **arrays)
    config = tmp_path / "x.yaml"
    assert main(["inspect", str(tmp_path / "a.npz"), "--write-config", str(config)]) == 0
    assert ("maps_are: rates" in config.read_text(encoding="utf-8")) is not counts
    bare = ["--set", "output={figures: false, report: false}"]
    assert main(["run", str(config), "--output", str(tmp_path / "run"), "--quiet", *bare]) == 0
    assert "config" not in fails(capsys, str(tmp_path / "a.npz"), "--write-config", str(tmp_path / "x.txt"))[:20]
    assert "replace it with --overwrite" in fails(capsys, str(tmp_path / "a.npz"), "--write-config", str(config))
    assert main(["inspect", str(tmp_path / "a.npz"), "--write-config", str(config), "--overwrite"]) == 0


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_the_ground_truth_of_a_phantom_is_no_map(tmp_path: Path, suffix: str) -> None:
    file, config = tmp_path / f"a.{suffix}", tmp_path / "x.yaml"
    assert main(["simulate", "cos_nanoparticle", "--set", "size=16", "--output", str(file)]) == 0
    assert main(["inspect", str(file), "--write-config", str(config)]) == 0
    assert "truth" not in config.read_text(encoding="utf-8")
    assert all(f"\n    {element}: {element}\n" in config.read_text(encoding="utf-8") for element in ("Co", "S", "O"))


def test_a_bright_field_is_not_taken_for_the_image(tmp_path: Path) -> None:
    names = {"BF": ARRAYS["HAADF"], "STEM_BF": ARRAYS["HAADF"], "HAADF": ARRAYS["HAADF"], "Fe": ARRAYS["Fe"]}
    np.savez(tmp_path / "a.npz", **names)
    assert main(["inspect", str(tmp_path / "a.npz"), "--write-config", str(tmp_path / "x.yaml")]) == 0
    assert "\n  haadf: HAADF\n" in (tmp_path / "x.yaml").read_text(encoding="utf-8")


def test_fields_that_differ_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", HAADF=ARRAYS["HAADF"][:4, :4], pixel_size=0.5, units="nm")
    np.savez(tmp_path / "b.npz", Fe=ARRAYS["Fe"], O=ARRAYS["O"], pixel_size=0.5, units="nm")
    files = [str(tmp_path / name) for name in ("a.npz", "b.npz")]
    assert main(["inspect", *files, "--write-config", str(tmp_path / "x.yaml")]) == 0
    said = capsys.readouterr().err
    assert "warning: the image shows 2 x 2 nm and the maps 4 x 4.5 nm; the config assumes the same field" in said


def test_two_maps_of_an_element_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["HAADF"], file["one/Fe"], file["two/Fe"] = ARRAYS["HAADF"], ARRAYS["Fe"], ARRAYS["Fe"]
    said = fails(capsys, str(tmp_path / "a.h5"), "--write-config", str(tmp_path / "x.yaml"))
    assert "'one/Fe' and 'two/Fe' could both be the map of Fe" in said
    np.savez(tmp_path / "b.npz", Fe=ARRAYS["Fe"], HAADF=ARRAYS["HAADF"])
    np.savez(tmp_path / "c.npz", Fe=ARRAYS["Fe"])
    files = [str(tmp_path / name) for name in ("b.npz", "c.npz")]
    assert "each hold a map 'Fe'" in fails(capsys, *files, "--write-config", str(tmp_path / "x.yaml"))


def test_config_for_a_spectrum_image_names_its_elements(tmp_path: Path) -> None:
    pytest.importorskip("exspy", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")
    matter = np.add.outer(np.arange(8), np.arange(8)) > 6  # in a corner
    counts = spectra(shape=(8, 8), lines=20.0) * matter[..., None].astype(np.uint16)
    written_by("rsciio.hspy", lambda: spectrum_signal(data=counts))(tmp_path / "edx.hspy")
    image = 0.2 + matter + RNG.normal(0.0, 0.02, (8, 8))
    written_by("rsciio.hspy", lambda: image_signal(data=image))(tmp_path / "haadf.hspy")
    config = tmp_path / "x.yaml"
    files = [str(tmp_path / name) for name in ("edx.hspy", "haadf.hspy")]
    assert main(["inspect", *files, "--write-config", str(config)]) == 0
    text = config.read_text(encoding="utf-8")
    assert "path: edx.hspy" in text
    assert "elements: [O, Ti, Co]\n      method: spectral\n" in text
    assert main(["run", str(config), "--output", str(tmp_path / "run"), "--quiet"]) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))
    assert (summary["pixel_size"], summary["units"]) == (0.4, "nm")
    assert summary["metadata"]["microscope"] == "a microscope"
    assert (tmp_path / "run/spectrum.png").read_bytes()[:4] == b"\x89PNG"
    report = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "Sum of all spectra" in report
    assert "background and unnamed lines" in report


def test_a_user_chooses_elements_signals_and_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("exspy", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")
    written_by("rsciio.hspy", lambda: spectrum_signal(data=spectra(shape=(8, 8), lines=20.0)))(tmp_path / "edx.hspy")
    written_by("rsciio.hspy", lambda: image_signal(data=RNG.uniform(1, 2, (8, 8))))(tmp_path / "haadf.hspy")
    files = [str(tmp_path / name) for name in ("edx.hspy", "haadf.hspy")]
    config = ["--write-config", str(tmp_path / "x.yaml"), "--overwrite"]
    chosen = ["--elements", "Ti, O", "--region", "0:6,1:8", "--spectra", "spectra", "--image", "HAADF"]
    assert main(["inspect", *files, *config, *chosen]) == 0
    assert "names no" not in capsys.readouterr().err
    text = (tmp_path / "x.yaml").read_text(encoding="utf-8")
    assert "elements: [Ti, O]" in text
    assert "{step: crop, rows: [0, 6], columns: [1, 8]}]  # crops to the region\n" in text
    refused = {
        ("--elements", "Xx"): "--elements: there is no element 'Xx'",
        ("--elements", "O,O"): "--elements: lists O twice",
        ("--region", "3:1,0:4"): "--region: is '3:1,0:4'; write first:last",
        ("--region", "0:8,0:9"): "^fusionkit: --region: 0:8,0:9 is no part of the scan; .* 0:8,0:8$",
        ("--elements", "Au"): "'spectra' shows no line of Au above its limit; name other elements",
        ("--image", "BF"): "--image: .* holds no image 'BF'; name one of HAADF",
        ("--spectra", "EELS"): "--spectra: there is no spectrum image 'EELS'; name one of spectra",
    }
    for choice, message in refused.items():
        assert main(["inspect", *files, *config, *choice]) == 2
        assert re.search(message, capsys.readouterr().err, re.MULTILINE), choice
    assert "inspect IMAGE" in fails(capsys, files[0], *config, "--elements", "O")
    assert "writes no config; add --write-config" in fails(capsys, *files, "--elements", "O")


def test_a_line_scan_runs_from_file_to_report(tmp_path: Path) -> None:
    """Spectra (N, channels) and an image (N) of HyperSpy are scans of one row."""
    pytest.importorskip("exspy", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")
    matter = np.arange(40) > 15
    counts = spectra(shape=(1, 40), lines=20.0) * matter[None, :, None].astype(np.uint16)

    def line(signal: dict[str, Any]) -> dict[str, Any]:
        axes = [{**axis, "index_in_array": index} for index, axis in enumerate(signal["axes"][1:])]
        return {**signal, "data": signal["data"][0], "axes": axes}

    image = (0.2 + matter + RNG.normal(0.0, 0.02, 40))[None]
    written_by("rsciio.hspy", lambda: line(spectrum_signal(data=counts)))(tmp_path / "edx.hspy")
    written_by("rsciio.hspy", lambda: line(image_signal(data=image)))(tmp_path / "haadf.hspy")
    config = tmp_path / "x.yaml"
    assert (
        main(["inspect", *(str(tmp_path / f"{one}.hspy") for one in ("edx", "haadf")), "--write-config", str(config)])
        == 0
    )
    assert main(["run", str(config), "--output", str(tmp_path / "run"), "--quiet"]) == 0
    result = read_result(tmp_path / "run")
    assert result.x.shape == (3, 1, 40)
    assert result.pixel_size == pytest.approx(0.4)
    assert result.x[..., ~matter].sum() < 0.05 * result.x.sum()
    assert (tmp_path / "run/report.html").is_file()


REFUSALS = [
    (["none.npz"], ["none.npz", "there is no file"]),
    (["a.npz", "--write-config", "no/x.yaml"], ["no/x.yaml", "there is no folder"]),
    (["b.npz", "--write-config", "x.yaml"], ["b.npz", "holds no image named after an element", "data.maps: {Ti: "]),
    (["c.npz", "--write-config", "x.yaml"], ["no HAADF image", "fusionkit inspect IMAGE c.npz --write-config"]),
    (["a.npz", "--region", "0:9,0:9", "--write-config", "x.yaml"], ["--region: 0:9,0:9 is no part", "are 0:8,0:9"]),
    (["a.xyz"], ["a.xyz", "no reader takes", ".npz, .h5, .hdf5"]),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSALS)
def test_refusals(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", **ARRAYS)
    np.savez("b.npz", HAADF=ARRAYS["HAADF"])
    np.savez("c.npz", Fe=ARRAYS["Fe"])
    Path("a.xyz").write_text("x", encoding="utf-8")
    said = fails(capsys, *arguments)
    assert all(word in said for word in words)
    assert not Path("x.yaml").exists()


def test_suffixes_are_those_of_rosettasciio() -> None:
    rsciio = pytest.importorskip("rsciio", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'")
    known = {f".{suffix.lower()}" for one in rsciio.IO_PLUGINS for suffix in one["file_extensions"]}
    assert set(MicroscopeReader.suffixes) <= known | set(SUFFIXES)


@pytest.mark.skipif(not BCF.is_file(), reason="the Bruker recording is not in ../shared/data")
def test_bruker_recording_is_fused_unedited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.process_time()  # whatever else runs on this machine
    config, run = tmp_path / "x.yaml", tmp_path / "run"
    assert main(["inspect", str(BCF), "--write-config", str(config)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"EDX spectrum image  64 x 64 x 2048  0.771 nm  .* Cu O Pd Ti +26005", out)
    assert main(["run", str(config), "--output", str(run), "--quiet"]) == 0
    seconds = time.process_time() - started
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "converged"
    assert summary["elements"] == ["Cu", "O", "Pd", "Ti"]
    assert summary["pixel_size"] == pytest.approx(0.771, abs=1e-3)
    assert summary["metadata"]["beam_energy_keV"] == 200.0
    result = read_result(run)
    raw, fused = result.inputs["maps"], result.x
    # sums over channels: whole numbers, no more than the file holds, nearly all of the named elements' lines
    assert np.array_equal(raw, np.rint(raw))
    assert 0.25 * counts_above(0.2) < raw.sum() <= counts_above(0.2)
    for element, image in zip(summary["elements"], fused, strict=True):
        counts = summary["counts"][element]
        assert image.sum() == pytest.approx(counts["net"], rel=0.02, abs=2 * counts["error"])
    # Pd is in the particles: where its fused map is, Ti's is not
    assert np.corrcoef(fused[2].ravel(), fused[3].ravel())[0, 1] < 0.2
    assert seconds < 60.0  # 6 s on two idle cores


def counts_above(energy: float) -> float:
    """Counts at all energies in keV above one, by RosettaSciIO alone."""
    from rsciio.bruker import file_reader

    cube = file_reader(str(BCF))[1]
    axis = cube["axes"][2]
    first = int((energy - axis["offset"]) / axis["scale"])
    return float(cube["data"].sum(axis=(0, 1), dtype=np.int64)[first:].sum())
