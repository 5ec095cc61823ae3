"""Configs that inspect proposes for several stacks, scans and units: their runs agree with the counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuse_data import hyperspy
from microscope_files import spectrum_signal, written_by
from scipy.stats import norm

import fusionkit as fk
from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.data.elements import atomic_number
from fusionkit.report.comparison import compare
from fusionkit.report.comparison_page import comparison_page
from fusionkit.results.result_file import SavedResult, read_result
from fusionkit.results.saved import read_runs

SHAPE, EDGE = (24, 32), 0.5  # pixels, nm
LINES = {"Co": 6.9303, "Ti": 4.5109}
KEV = 0.02 * np.arange(400)
EV = 400 + 2.0 * np.arange(120)


def truth() -> dict[str, np.ndarray]:
    """Counts per pixel: a core of Co in a disc of Ti, and oxygen in a stripe."""
    rows, columns = np.indices(SHAPE)
    radius = np.hypot(rows - 11.5, columns - 15.5)
    stripe = np.abs(columns - 15.5) < 9
    return {"Co": 25.0 * (radius < 5), "Ti": 25.0 * (radius < 10), "O": 30.0 * stripe}


def counted(mean: np.ndarray) -> np.ndarray:
    return np.random.default_rng(3).poisson(mean).astype(np.uint16)


def edx(rows: slice = slice(None), columns: slice = slice(None), shape: tuple[int, ...] = SHAPE) -> dict[str, Any]:
    amounts = truth()
    mean = np.full((*shape, KEV.size), 0.02)
    for element, energy in LINES.items():
        line = norm.pdf(KEV, energy, 0.055)
        mean += amounts[element][: shape[0], : shape[1], None] * line / line.sum()
    made = spectrum_signal(data=counted(mean)[rows, columns], elements=tuple(LINES), scale=0.02)
    return _placed(made, rows, columns)


def eels(rows: slice = slice(None), columns: slice = slice(None), strength: float = 1.0, far: float = 0.0) -> Any:
    background = 300.0 * (EV / 400) ** -3.0
    edge = np.where(EV >= 532, np.exp(-(EV - 532) / 80), 0.0)
    mean = background + strength * truth()["O"][..., None] * edge
    made = spectrum_signal("EELS", counted(mean)[rows, columns], ("O",), scale=2.0, offset=400.0, units="eV")
    return _placed(made, rows, columns, far)


def image(shape: tuple[int, int] = SHAPE) -> dict[str, Any]:
    amounts = truth()
    z = {"Co": 1.4, "Ti": 1.2, "O": 0.4}
    exact = sum((z[e] * amounts[e][: shape[0], : shape[1]]) ** 1.7 for e in amounts)
    values = exact + np.random.default_rng(4).normal(0.0, 8.0, shape)
    axes = [
        {"name": n, "size": s, "scale": EDGE, "offset": 0.0, "units": "nm"} for n, s in zip("yx", shape, strict=True)
    ]
    return {"data": values, "axes": axes, "title": "HAADF"}


def _placed(made: dict[str, Any], rows: slice, columns: slice, far: float = 0.0) -> dict[str, Any]:
    for axis, part in zip(made["axes"], (rows, columns), strict=False):
        axis["scale"], axis["offset"] = EDGE, EDGE * (part.start or 0) + far
    return made


def saved_image(path: Path, shape: tuple[int, int] = SHAPE) -> None:
    made = image(shape)
    signal = hyperspy().signals.Signal2D(made["data"])
    for axis in signal.axes_manager.signal_axes:
        axis.scale, axis.units = EDGE, "nm"
    signal.metadata.General.title = "HAADF"
    signal.save(path)


def saved_maps(folder: Path, divisor: float) -> list[str]:
    """Files of each element's counts divided by ``divisor``."""
    files = []
    for element in LINES:
        signal = hyperspy().signals.Signal2D(counted(truth()[element]) / divisor)
        signal.metadata.General.title = element
        files.append(str(folder / f"{element}{divisor:g}.hspy"))
        signal.save(files[-1])
    return files


def proposed(folder: Path, **spectra: dict[str, Any]) -> dict[str, Any]:
    files = [folder / "haadf.hspy"]
    if not files[0].exists():
        saved_image(files[0])
    for name, made in spectra.items():
        files.append(folder / f"{name}.hspy")
        written_by("rsciio.hspy", lambda made=made: made)(files[-1])
    assert main(["inspect", *map(str, files), "--write-config", str(folder / "c.yaml")]) == 0
    return yamlio.read(folder / "c.yaml")


QUICK = (  # for tests that need no search, no convergence and no figures
    "terms.haadf.weight=0.001",
    "terms.haadf.model=power_sum",
    "terms.tgv.weight=0.3",
    "solver.max_iterations=10",
    "engine=numpy",
    "output={figures: false, report: false}",
)


def ran(folder: Path, *assignments: str) -> SavedResult:
    sets = [word for one in assignments for word in ("--set", one)]
    assert main(["run", str(folder / "c.yaml"), "--output", str(folder / "run"), "--quiet", *sets]) == 0
    return read_result(folder / "run")


def of_eels(config: dict[str, Any]) -> dict[str, Any]:
    return next(term["forward"] for term in config["terms"] if term.get("data") == "eels")


@pytest.mark.parametrize("strength", [1.0, 10.0])
def test_an_element_of_the_second_stack_alone_keeps_its_counts(tmp_path: Path, strength: float) -> None:
    """For any count level of the second spectrometer, its unit and z are found."""
    config = proposed(tmp_path, edx=edx(), eels=eels(strength=strength))
    factor = of_eels(config)["elements"]["O"]
    result = ran(tmp_path)
    net = result.inputs["eels"] - result.inputs["eels_background"]
    assert factor * result.maps["O"].sum() == pytest.approx(net.sum(), rel=0.1)
    known = truth()["O"] > 0
    assert result.maps["O"][known].mean() > 8 * result.maps["O"][~known].mean()
    for index, element in enumerate(("Co", "Ti")):
        counts = result.inputs["maps"][index] - result.inputs["maps_background"][index]
        assert result.maps[element].sum() == pytest.approx(counts.sum(), rel=0.1)


def test_raw_maps_of_both_stacks_are_compared_above_their_background(tmp_path: Path) -> None:
    config = proposed(tmp_path, edx=edx(), eels=eels())
    folders = [tmp_path / "run", tmp_path / "smooth"]
    result = ran(tmp_path, *QUICK)
    (tmp_path / "run").rename(folders[1])
    ran(tmp_path, *QUICK, "terms.tgv.weight=2")
    page = comparison_page(compare(read_runs(folders)))
    assert [panel.label for panel in page.panels] == ["Co", "Ti", "O"]
    for panel in page.panels:
        assert "raw − background" in [layer.name for layer in panel.layers]
        assert panel.unit == "counts"
    net = result.inputs["eels"][0] - result.inputs["eels_background"][0]
    np.testing.assert_allclose(page.images["O raw − background"], net / of_eels(config)["elements"]["O"])


def test_a_second_stack_of_a_part_is_placed(tmp_path: Path) -> None:
    config = proposed(tmp_path, edx=edx(), eels=eels(slice(4, 20), slice(8, 28)))
    forward = of_eels(config)
    assert (forward["type"], forward["shape"]) == ("scan", [16, 20])
    assert (forward["rows"], forward["columns"]) == ([4.0, 20.0], [8.0, 28.0])
    assert ran(tmp_path, *QUICK).x.shape == (3, *SHAPE)


def test_a_second_stack_of_more_is_cropped(tmp_path: Path) -> None:
    config = proposed(tmp_path, edx=edx(slice(4, 20), slice(8, 28)), eels=eels())
    part = {"rows": [4, 20], "columns": [8, 28]}
    assert config["data"]["prepare"] == [{"step": "crop", "of": of, **part} for of in ("haadf", "eels")]
    result = ran(tmp_path, *QUICK)
    np.testing.assert_array_equal(result.inputs["eels"].shape, (1, 16, 20))
    assert result.origin == pytest.approx((2.0, 4.0))


def test_a_second_stack_from_elsewhere_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proposed(tmp_path, edx=edx(), eels=eels(far=100.0))
    message = capsys.readouterr().err
    assert "'eels' y 99.75 to" in message
    assert "they do not overlap" in message


def test_scans_of_as_many_pixels_in_another_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved_image(tmp_path / "haadf.hspy", (24, 16))
    config = proposed(tmp_path, edx=edx(shape=(12, 32)))
    assert config["data"]["grid"] == "maps"
    assert "the image shows 12 x 8 nm and the maps 6 x 16 nm" in capsys.readouterr().err


def test_rates_are_fused_as_the_counts_that_they_were(tmp_path: Path) -> None:
    saved_image(tmp_path / "haadf.hspy")
    runs = []
    for divisor in (1.0, 8.0):
        files = [str(tmp_path / "haadf.hspy"), *saved_maps(tmp_path, divisor)]
        assert main(["inspect", *files, "--write-config", str(tmp_path / "c.yaml"), "--overwrite"]) == 0
        assert main(["run", str(tmp_path / "c.yaml"), "--output", str(tmp_path / f"run{divisor:g}"), "--quiet"]) == 0
        runs.append(read_result(tmp_path / f"run{divisor:g}"))
    np.testing.assert_allclose(runs[1].x, runs[0].x, rtol=0.05, atol=0.3)


def test_backgrounds_keep_clear_of_elements_of_the_other_stack(tmp_path: Path) -> None:
    """The L edge at 456 eV of Ti, an element of the EDX file, lies in the window before the K edge of O."""
    config = proposed(tmp_path, edx=edx(), eels=eels())
    first, last = config["data"]["spectra"]["eels"]["background_windows"]["O"]
    assert 456 + 25 <= first < last <= 532


def test_frames_are_said_to_be_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames of spectra must be summed elsewhere, frames of maps by the preparation."""
    saved_image(tmp_path / "haadf.hspy")
    spectra = hyperspy().signals.Signal1D(np.ones((2, *SHAPE, 30)))
    spectra.set_signal_type("EDS_TEM")
    spectra.metadata.General.title, spectra.axes_manager[-1].units = "frames", "keV"
    spectra.save(tmp_path / "spectra.hspy")
    maps = hyperspy().signals.Signal2D(np.ones((4, *SHAPE)))
    maps.metadata.General.title = "Co"
    maps.save(tmp_path / "maps.hspy")
    for name, said in {"spectra": "'frames' holds frames of spectra", "maps": "holds frames of Co; write"}.items():
        files = [str(tmp_path / f"{one}.hspy") for one in ("haadf", name)]
        assert main(["inspect", *files, "--write-config", str(tmp_path / "c.yaml")]) == 2
        actual = capsys.readouterr().err
        assert said in actual
        assert actual.count("\n") == 1


def test_counts_of_a_second_detector_of_the_technique_are_counts(tmp_path: Path) -> None:
    """Two EDX files: whichever holds the maps, one count of the other is one count of the unknown."""
    found = {}
    for name, elements in {"one": ["Ti"], "two": ["Co"]}.items():
        found[name] = edx()
        found[name]["metadata"]["Sample"]["elements"] = elements
        found[name]["metadata"]["General"]["title"] = name
    config = proposed(tmp_path, **found)
    forward = next(term["forward"] for term in config["terms"] if term.get("data") == "edx")
    assert list(forward["elements"].values()) == [1.0]
    result = ran(tmp_path)
    for element in LINES:
        assert result.maps[element].sum() == pytest.approx(truth()[element].sum(), rel=0.15)


@pytest.mark.parametrize("divisor", [1 / 500, 1 / 20])
def test_rates_that_are_whole_numbers_are_rates(tmp_path: Path, divisor: float) -> None:
    saved_image(tmp_path / "haadf.hspy")
    files = [str(tmp_path / "haadf.hspy"), *saved_maps(tmp_path, divisor)]
    assert main(["inspect", *files, "--write-config", str(tmp_path / "c.yaml")]) == 0
    assert yamlio.read(tmp_path / "c.yaml")["data"]["maps_are"] == "rates"


@pytest.mark.parametrize(("elements", "levels"), [(("Si", "Ge"), (20.0, 20.0)), (("Si", "Ga"), (4.0, 5.0))])
def test_an_offset_stands_for_no_element(elements: tuple[str, str], levels: tuple[float, float]) -> None:
    """A field without vacuum: the constant could replace one of two materials side by side."""
    rng, columns = np.random.default_rng(0), np.indices((64, 96))[1]
    known = {e: level * half for e, level, half in zip(elements, levels, (columns < 48, columns >= 48), strict=True)}
    image = sum((atomic_number(element) * one) ** 1.7 for element, one in known.items())
    image = image * (1 + 0.02 * rng.standard_normal(columns.shape))
    fused = fk.fuse(image, {element: rng.poisson(one) for element, one in known.items()})
    for element, one in known.items():
        assert fused.maps[element].mean() == pytest.approx(one.mean(), rel=0.08)
