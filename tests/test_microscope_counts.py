"""Counts from spectrum images: window sums, backgrounds, several files, other scans; raw maps hold the counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from microscope_files import LINES, SHAPE, image_signal, spectra, spectrum_signal, written_by

from fusionkit.cli import main
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.errors import UserError
from fusionkit.options import parse

pytest.importorskip("rsciio", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'")
pytest.importorskip("exspy", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")
hspy = "rsciio.hspy"


def write(path: Path, signal: dict[str, Any]) -> None:
    written_by(hspy, lambda: signal)(path)


def read(folder: Path, **values: Any) -> Dataset:
    return load(parse(DataOptions, values, "data"), folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "edx.hspy", spectrum_signal())
    write(tmp_path / "haadf.hspy", image_signal())
    return tmp_path


def test_explicit_windows_are_sums_of_channels(folder: Path) -> None:
    source = {"path": "edx.hspy", "windows": {"Ti": [4.2, 4.8], "O": [0.4, 0.8]}}
    data = read(folder, haadf={"path": "haadf.hspy", "signal": "HAADF"}, spectra={"maps": source})
    assert data.elements == ("Ti", "O")
    np.testing.assert_array_equal(data.arrays["maps"], [spectra()[..., 21:24].sum(2), spectra()[..., 2:4].sum(2)])
    assert (data.pixel_size, data.units) == (0.4, "nm")
    assert data.metadata["beam_energy_keV"] == 200.0
    assert data.metadata["microscope"] == "a microscope"


def test_lines_of_the_file_are_as_exspy_counts_them(folder: Path) -> None:
    import warnings

    data = read(folder, path="edx.hspy", spectra={"maps": {}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from exspy.signals import EDSTEMSpectrum

        signal = EDSTEMSpectrum(spectra().astype(float))
        signal.axes_manager[-1].scale, signal.axes_manager[-1].units = 0.2, "keV"
        signal.set_microscope_parameters(beam_energy=200.0, energy_resolution_MnKa=130.0)
        signal.set_elements(list(LINES))
        signal.add_lines([f"{element}_Ka" for element in LINES])
        images = {image.metadata.Sample.elements[0]: image.data for image in signal.get_lines_intensity()}
    assert data.elements == tuple(LINES)
    for element, found in zip(data.elements, data.arrays["maps"], strict=True):
        np.testing.assert_array_equal(found, images[element])


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_background_of_windows_is_exact_under_a_straight_line(tmp_path: Path, slope: float) -> None:
    """On a linear background of any slope the estimate equals the counts in the window."""
    level = np.broadcast_to(np.round(100 * (5 + slope * np.arange(40))), (*SHAPE, 40)).astype(np.uint32)
    write(tmp_path / "a.hspy", spectrum_signal(data=level))
    source = {
        "windows": {"Ti": [4.2, 5.0]},
        "background_windows": {"Ti": [3.2, 3.8, 5.4, 6.0]},
        "background": "windows",
    }
    data = read(tmp_path, path="a.hspy", spectra={"maps": source})
    np.testing.assert_array_equal(data.arrays["maps"][0], level[..., 21:25].sum(2))
    np.testing.assert_allclose(data.arrays["maps_background"], data.arrays["maps"], rtol=1e-12)


@pytest.mark.parametrize("exponent", [2.0, 3.0, 4.5])
def test_power_law_is_recovered(tmp_path: Path, exponent: float) -> None:
    energies = 400 + 2.0 * np.arange(120)
    law = 1e7 * (energies / 400) ** -exponent
    edge = np.where(energies >= 532, 5e4, 0.0)
    write(tmp_path / "a.hspy", eels(np.broadcast_to(law + edge, (*SHAPE, 120)).copy()))
    source = {"windows": {"O": [532, 582]}, "background_windows": {"O": [452, 522]}, "background": "power_law"}
    data = read(tmp_path, path="a.hspy", spectra={"maps": source})
    np.testing.assert_allclose(data.arrays["maps"][0], (law + edge)[66:91].sum(), rtol=1e-12)
    np.testing.assert_allclose(data.arrays["maps_background"][0], law[66:91].sum(), rtol=5e-3)


def eels(data: np.ndarray) -> dict[str, Any]:
    return spectrum_signal("EELS", data, ("O",), scale=2.0, offset=400.0, units="eV")


def test_subtracting_says_what_it_sets_to_zero(folder: Path) -> None:
    source = {"background": "windows", "subtract": True, "windows": {"Ti": [4.2, 4.8]}}
    source |= {"background_windows": {"Ti": [3.4, 4.0, 5.0, 5.6]}, "smooth": 0.0}
    data = read(folder, path="edx.hspy", spectra={"maps": source})
    assert "maps_background" not in data.arrays
    assert data.arrays["maps"].min() == 0
    assert "values were negative and are set to 0" in " ".join(data.notes)


def test_edx_and_eels_in_one_problem(folder: Path) -> None:
    """Two stacks with a Poisson term each; the unknown has a map of every element."""
    energies = 400 + 2.0 * np.arange(120)
    rng = np.random.default_rng(4)
    counts = rng.poisson(200 * (energies / 400) ** -3.0 + np.where(energies >= 532, 9.0, 0.0), (*SHAPE, 120))
    write(folder / "eels.hspy", eels(counts))
    config = folder / "both.yaml"
    config.write_text(
        """version: 1
data:
  haadf: {path: haadf.hspy, signal: HAADF, scale: 1.0e-3}
  spectra:
    maps: {path: edx.hspy, elements: [Ti, Co]}
    eels: {path: eels.hspy, lines: {O: O_K}, background: power_law}
terms:
  - haadf
  - {type: poisson, forward: {type: elements, elements: [Ti, Co]}, epsilon: 0.01}
  - type: poisson
    name: eels
    data: eels
    weight: 0.5
    forward: {type: elements, elements: {O: 3.0}, background: eels_background}
  - {type: tv, weight: 0.3}
  - nonnegative
solver: {type: chambolle_pock, tolerance: 1.0e-3, max_iterations: 3000}
""",
        encoding="utf-8",
    )
    arguments = ["--output", str(folder / "run"), "--quiet", "--set", "engine=numpy"]  # nothing to compile
    assert main(["run", str(config), *arguments]) == 0
    from fusionkit.results.result_file import read_result

    result = read_result(folder / "run")
    assert (result.status, result.labels, result.x.shape) == ("converged", ("Ti", "Co", "O"), (3, *SHAPE))
    assert (result.pixel_size, result.units) == (0.4, "nm")
    assert result.metadata["beam_energy_keV"] == 200.0
    assert set(result.inputs) == {"haadf", "maps", "eels", "eels_background"}


@pytest.mark.parametrize("shape", [(3, 5), (12, 10)])
def test_image_and_maps_of_other_pixels(tmp_path: Path, shape: tuple[int, int]) -> None:
    """The proposed config fuses an image and maps of different scans, whichever is finer."""
    write(tmp_path / "edx.hspy", spectrum_signal(data=spectra(shape=shape, lines=5.0)))
    write(tmp_path / "haadf.hspy", image_signal())
    config = tmp_path / "x.yaml"
    files = [str(tmp_path / name) for name in ("haadf.hspy", "edx.hspy")]
    assert main(["inspect", *files, "--write-config", str(config)]) == 0
    text = config.read_text(encoding="utf-8")
    assert "type: scan" in text
    assert f"grid: {'maps' if shape[0] > 6 else 'haadf'}" in text
    assert main(["run", str(config), "--output", str(tmp_path / "run"), "--quiet"]) == 0
    from fusionkit.results.result_file import read_result

    result = read_result(tmp_path / "run")
    finest = max(shape, SHAPE)
    assert result.x.shape == (3, *finest)
    assert result.inputs["maps"].shape == (3, *shape)  # nothing was resampled
    assert result.inputs["maps"].sum() == np.round(result.inputs["maps"].sum())
    assert result.status in ("converged", "max_iterations")


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"path": "haadf.hspy"}, r"spectra.maps.signal: .*holds 0 spectrum images"),
    (
        {"path": "haadf.hspy", "signal": "HAADF"},
        r"spectra.maps.signal: 'HAADF' of .* is not a spectrum image \(image\)",
    ),
    ({"signal": "edx"}, r"spectra.maps.signal: there is no signal 'edx'"),
    ({"elements": ["Pb"], "lines": {"Pb": "Ka"}}, r"spectra.maps.lines.Pb: Pb_Ka .*lies outside the spectra"),
    ({"elements": ["Ti"], "lines": {"Ti": "Kq"}}, r"spectra.maps.lines.Ti: Ti has no line 'Kq'"),
    ({"elements": ["Ti"], "lines": {"Ti": "Co_Ka"}}, r"Co_Ka is not a line of Ti"),
    ({"elements": ["Xx"]}, r"spectra.maps.elements: there is no element 'Xx'"),
    ({"elements": ["Ti", "Ti"]}, r"'Ti' is listed twice"),
    ({"elements": ["Ti"], "windows": {"O": [0.4, 0.6]}}, r"spectra.maps.windows.O: is not an element of these maps"),
    ({"windows": {"Ti": [4.8, 4.2]}}, r"spectra.maps.windows: .* of Ti is not a window"),
    ({"windows": {"Ti": [4.21, 4.22]}}, r"spectra.maps.windows.Ti: 4.21 to 4.22 keV holds no channel"),
    ({"windows": {"Ti": [4.2, 48.0]}}, r"spectra.maps.windows.Ti: .* lies outside the spectra \(0 to 8 keV\)"),
    ({"windows": {"Ti": [4.2]}}, r"spectra.maps.windows.Ti: must be a list of 2 entries"),
    ({"background": "window"}, r"spectra.maps.background: must be .*did you mean 'windows'"),
    ({"subtract": True}, r"spectra.maps: has 'subtract' but no 'background'"),
]


@pytest.mark.parametrize(("source", "message"), REFUSALS, ids=[row[1][:40] for row in REFUSALS])
def test_refusals(folder: Path, source: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        read(folder, spectra={"maps": {"path": "edx.hspy", **source}})
    assert "\n" not in str(raised.value)


def test_several_shapes_need_a_grid(folder: Path) -> None:
    write(folder / "small.hspy", image_signal(data=np.ones((3, 5))))
    with pytest.raises(
        UserError, match=r"data.spectra.maps: has maps of \(6, 5\), but the image .*\(3, 5\).*data.grid"
    ):
        read(folder, haadf={"path": "small.hspy", "signal": "HAADF"}, spectra={"maps": {"path": "edx.hspy"}})


def test_spectra_of_a_file_without_energies(folder: Path) -> None:
    np.savez(folder / "a.npz", x=np.ones((3, 4, 5)))
    with pytest.raises(UserError, match=r"data.spectra.maps: its file holds arrays without energies"):
        read(folder, path="a.npz", spectra={"maps": {}})
