"""Phantoms: dose, noise, stoichiometry, seeds, selection, and the files that ``simulate`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.data.phantoms import TABLE, simulate
from fusionkit.errors import UserError
from fusionkit.options import parse

IMAGES = ("cos_nanoparticle", "films", "lattice")
SIZE = 96


def make(preset: str, data: dict[str, Any] | None = None, **options: Any) -> Dataset:
    """The dataset of a phantom, through the config."""
    if preset != "line":
        options = {"size": SIZE, **options}
    values = {"phantom": {"preset": preset, **options}, **(data or {})}
    return load(parse(DataOptions, values, "data"), Path())


def truth(dataset: Dataset) -> np.ndarray[Any, Any]:
    assert dataset.truth is not None
    return dataset.truth


def matter(dataset: Dataset) -> np.ndarray[Any, Any]:
    """The pixels that hold matter, shape (ny, nx)."""
    return truth(dataset).sum(axis=0) > 0


@pytest.mark.parametrize("preset", IMAGES)
@pytest.mark.parametrize("dose", [0.5, 20.0])
def test_dose_is_the_mean_count(preset: str, dose: float) -> None:
    dataset = make(preset, dose=dose)
    there = matter(dataset)
    assert truth(dataset)[:, there].mean() == pytest.approx(dose, rel=1e-12)
    counts = dataset.arrays["maps"][:, there]
    assert counts.mean() == pytest.approx(dose, abs=5 * np.sqrt(dose / counts.size))
    np.testing.assert_array_equal(dataset.arrays["maps"], np.round(dataset.arrays["maps"]))
    assert np.all(dataset.arrays["maps"][:, ~there] == 0)
    # Poisson: the variance is the mean
    residual = (dataset.arrays["maps"] - truth(dataset))[truth(dataset) > 0]
    assert residual.var() == pytest.approx(truth(dataset)[truth(dataset) > 0].mean(), rel=0.1)


@pytest.mark.parametrize("preset", IMAGES)
@pytest.mark.parametrize("units", ["counts", "relative"])
def test_haadf_is_the_model_of_the_truth_plus_noise(preset: str, units: str) -> None:
    dataset = make(preset, snr=40.0, gamma=1.6, units=units)
    z = np.array([atomic_number(element) for element in dataset.elements], float)
    clean = np.sum(((z / z.mean())[:, None, None] * truth(dataset)) ** 1.6, axis=0)
    noise = dataset.arrays["haadf"] - clean
    assert dataset.haadf_sigma == pytest.approx(clean.max() / 40.0, rel=1e-9)
    assert noise.std() == pytest.approx(dataset.haadf_sigma, rel=5 / np.sqrt(2 * noise.size))
    assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(noise.size)


@pytest.mark.parametrize("preset", IMAGES)
def test_relative_units_are_counts_scaled(preset: str) -> None:
    counts, relative = make(preset), make(preset, units="relative")
    assert counts.counts_per_unit == 1.0
    assert relative.counts_per_unit is not None
    assert truth(relative).max() == 1.0
    for a, b in ((truth(relative), truth(counts)), (relative.arrays["maps"], counts.arrays["maps"])):
        np.testing.assert_allclose(a * relative.counts_per_unit, b, rtol=1e-12)


@pytest.mark.parametrize(("preset", "options"), [(p, {"field_of_view": 0.4} if p == "lattice" else {}) for p in IMAGES])
def test_smallest_size(preset: str, options: dict[str, Any]) -> None:
    assert np.all(np.isfinite(truth(make(preset, size=8, **options))))


@pytest.mark.parametrize("preset", TABLE["phantoms"])
def test_same_seed_same_bits(preset: str) -> None:
    first, again, other = make(preset, seed=3), make(preset, seed=3), make(preset, seed=4)
    for name, array in first.arrays.items():
        assert array.dtype == np.float64
        assert array.tobytes() == again.arrays[name].tobytes()
        assert array.tobytes() != other.arrays[name].tobytes()
    assert truth(first).tobytes() == truth(again).tobytes() == truth(other).tobytes()
    assert not truth(first).flags.writeable
    assert first.seed == 3


def test_noise_of_one_image_does_not_move_another() -> None:
    one, other = make("films", dose=5.0, seed=1), make("films", dose=9.0, seed=1)

    def noise(dataset: Dataset) -> np.ndarray[Any, Any]:
        return dataset.arrays["haadf"] / (dataset.haadf_sigma or 1) - _clean(dataset) / (dataset.haadf_sigma or 1)

    np.testing.assert_allclose(noise(one), noise(other), atol=1e-9)


def _clean(dataset: Dataset) -> np.ndarray[Any, Any]:
    z = np.array([atomic_number(element) for element in dataset.elements], float)
    return np.sum(((z / z.mean())[:, None, None] * truth(dataset)) ** 1.7, axis=0)


def test_stoichiometry_of_core_and_shell() -> None:
    dataset = make("cos_nanoparticle", core_shift=0.0)
    cobalt, sulphur, oxygen = truth(dataset)
    assert dataset.elements == ("Co", "S", "O")
    shell = (sulphur == 0) & (oxygen > 0)
    np.testing.assert_allclose(cobalt[shell], oxygen[shell], rtol=1e-12)  # CoO
    np.testing.assert_allclose(cobalt, sulphur + oxygen, rtol=1e-12)  # CoS and CoO
    assert sulphur[SIZE // 2, SIZE // 2] > 0
    # the number densities of the solids, 36.1 and 51.8 formula units a nm³, and the volumes of core and shell
    volumes = 12.0**3, 20.0**3 - 12.0**3
    expected = 36.07 * volumes[0] / (51.76 * volumes[1])
    assert sulphur.sum() / oxygen.sum() == pytest.approx(expected, rel=0.01)


def test_thickness_of_the_particle() -> None:
    dataset = make("cos_nanoparticle", core_shift=0.0)
    oxygen = truth(dataset)[2]
    y, x = np.indices(oxygen.shape) - (SIZE - 1) / 2
    r = np.hypot(y, x) * 50.0 / SIZE
    chord = 2 * np.sqrt(np.maximum(400 - r**2, 0)) - 2 * np.sqrt(np.maximum(144 - r**2, 0))
    np.testing.assert_allclose(oxygen / oxygen.max(), chord / chord.max(), atol=1e-12)
    assert dataset.pixel_size == pytest.approx(50.0 / SIZE)
    assert dataset.units == "nm"


def test_films_overlap_where_they_are_tilted() -> None:
    for tilt, overlap in ((0.0, False), (20.0, True)):
        gallium, indium, oxygen = truth(make("films", tilt=tilt, waviness=0.0))
        np.testing.assert_allclose(oxygen, 1.5 * (gallium + indium), rtol=1e-12)
        both = ((gallium > 0) & (indium > 0)).any(axis=1).sum()
        assert (both > 6) == overlap


def test_wedge_of_the_foil() -> None:
    gallium = truth(make("films", wedge=0.5, waviness=0.0))[0].max(axis=0)
    assert gallium[-1] / gallium[0] == pytest.approx(1.25 / 0.75, rel=0.01)


def test_lattice_is_periodic_and_stoichiometric() -> None:
    dataset = make("lattice", size=80, field_of_view=4.0, lattice_constant=0.4)  # 8 pixels a cell, 10 cells
    dysprosium, scandium, oxygen = truth(dataset)
    np.testing.assert_allclose(dysprosium[:, 8:], dysprosium[:, :-8], rtol=1e-9)
    assert scandium.sum() / dysprosium.sum() == pytest.approx(1.0, rel=1e-6)
    assert oxygen.sum() / dysprosium.sum() == pytest.approx(3.0, rel=1e-6)


def test_line_is_a_linear_regression() -> None:
    dataset = make("line", samples=2000, coefficients=[1.0, -2.0], intercept=0.25, noise=0.1)
    x, y = dataset.arrays["X"], dataset.arrays["y"]
    assert (x.shape, y.shape, dataset.elements) == ((2000, 2), (2000,), ())
    assert truth(dataset).tolist() == [1.0, -2.0, 0.25]
    design = np.column_stack([x, np.ones(2000)])
    fitted, *_ = np.linalg.lstsq(design, y, rcond=None)
    np.testing.assert_allclose(fitted, truth(dataset), atol=0.02)
    assert np.std(y - design @ truth(dataset)) == pytest.approx(0.1, rel=0.1)


def test_rectangles_have_square_pixels() -> None:
    dataset = make("cos_nanoparticle", size=[64, 96])
    assert dataset.arrays["maps"].shape == (3, 64, 96)
    assert dataset.pixel_size == pytest.approx(50.0 / 96)


def test_elements_are_ordered_and_selected_by_the_config() -> None:
    whole, some = make("cos_nanoparticle"), make("cos_nanoparticle", {"maps": ["O", "Co"], "haadf": "HAADF"})
    assert some.elements == ("O", "Co")
    np.testing.assert_array_equal(some.arrays["maps"], whole.arrays["maps"][[2, 0]])
    np.testing.assert_array_equal(truth(some), truth(whole)[[2, 0]])
    assert any("also holds S" in note for note in some.notes)


def test_further_arrays_are_renamed() -> None:
    assert list(make("line", {"arrays": {"design": "X", "target": "y"}}).arrays) == ["design", "target"]


@pytest.mark.parametrize("method", ["minmax", "max"])
def test_truth_is_normalised_with_its_map(method: str) -> None:
    counts, dataset = make("films"), make("films", {"normalize": method})
    for one, raw, x, x_raw in zip(
        dataset.arrays["maps"], counts.arrays["maps"], truth(dataset), truth(counts), strict=True
    ):
        assert one.max() == 1.0
        low = raw.min() if method == "minmax" else 0.0
        np.testing.assert_allclose(x, (x_raw - low) / (raw.max() - low), rtol=1e-12)
    assert dataset.counts_per_unit is None
    assert dataset.haadf_sigma is not None
    assert dataset.haadf_sigma < 0.05


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("films", {}, {"size": 7}, "data.phantom.size: must be a whole number >= 8"),
    ("films", {}, {"size": [64, 4]}, "data.phantom.size[1]: must be a whole number >= 8, got 4"),
    ("films", {}, {"size": [64]}, "data.phantom.size: must be"),
    ("films", {}, {"size": 10**12}, "GiB are available"),
    ("films", {}, {"dose": 0}, "data.phantom.dose: must be a number > 0"),
    ("films", {}, {"dose": float("nan")}, "data.phantom.dose: must be a"),
    ("films", {}, {"snr": -1}, "data.phantom.snr: must be"),
    ("films", {}, {"gamma": 5}, "data.phantom.gamma: must be a number > 0 and <= 4"),
    ("films", {}, {"seed": -1}, "data.phantom.seed: must be a whole number >= 0"),
    ("films", {}, {"seed": 1.5}, "data.phantom.seed: must be a whole number"),
    ("films", {}, {"doze": 3}, "data.phantom.doze: unknown key; did you mean 'dose'?"),
    ("films", {}, {"units": "count"}, "did you mean 'counts'?"),
    ("films", {}, {"film_thickness": 0.1}, "film_thickness is 0.1 nm, less than a pixel"),
    ("lattice", {}, {"field_of_view": 1000.0}, "column_width is 0.055 nm, less than a pixel"),
    ("cos_nanoparticle", {}, {"core_radius": 18.0}, "core_radius + core_shift = 21 nm leaves the particle"),
    ("cos_nanoparticle", {}, {"core_radius": 0.1}, "core_radius is 0.1 nm, less than a pixel"),
    ("line", {}, {"samples": 1}, "data.phantom.samples: must be a whole number >= 2"),
    ("line", {}, {"coefficients": []}, "data.phantom.coefficients"),
    ("line", {"maps": ["Co"]}, {}, "data.maps.Co: the phantom line has no map 'Co'"),
    ("line", {"haadf": "HAADF"}, {}, "data.haadf: the phantom line has no image 'HAADF'; remove this key"),
    ("line", {"arrays": {"z": "Z"}}, {}, "data.arrays.z: the phantom line has no array 'Z'"),
    ("films", {"haadf": "H"}, {}, "data.haadf: the phantom films has no image 'H'; its image is called 'HAADF'"),
    ("films", {"maps": ["Ga", "Co"]}, {}, "data.maps.Co: the phantom films has no map 'Co'; known: Ga, In, O"),
    ("films", {"maps": {"ga": "Ga"}}, {}, "data.maps.ga: there is no element 'ga'; did you mean 'Ga'?"),
    ("films", {"arrays": {"x": "HAADF"}}, {}, "data.arrays.x: the phantom films has no array 'HAADF'"),
]


@pytest.mark.parametrize(("preset", "data", "options", "words"), REFUSED, ids=[row[3][:60] for row in REFUSED])
def test_options_that_are_refused(preset: str, data: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as raised:
        make(preset, data, **options)
    assert words in str(raised.value)


@pytest.mark.parametrize("suffix", ["npz", "h5"])
@pytest.mark.parametrize("preset", IMAGES)
def test_a_simulated_file_reads_as_the_phantom(tmp_path: Path, preset: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    simulate(preset, {"size": 80, "seed": 2}, path)
    expected = make(preset, size=80, seed=2)
    values = {"path": path.name, "haadf": "HAADF", "maps": list(expected.elements)}
    actual = load(parse(DataOptions, values, "data"), tmp_path)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(actual.arrays[name], array)
    assert (actual.pixel_size, actual.units, actual.elements) == (expected.pixel_size, "nm", expected.elements)
    truths = {element: f"truth/{element}" for element in expected.elements}
    kept = load(parse(DataOptions, {"path": path.name, "maps": truths}, "data"), tmp_path)
    np.testing.assert_array_equal(kept.arrays["maps"], truth(expected))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_simulated_line_reads_as_the_phantom(tmp_path: Path) -> None:
    simulate("line", {"samples": 20}, tmp_path / "a.npz")
    values = {"path": "a.npz", "arrays": {"X": "X", "y": "y", "w": "truth/unknown"}}
    actual = load(parse(DataOptions, values, "data"), tmp_path)
    assert actual.arrays["X"].shape == (20, 1)
    assert actual.arrays["w"].tolist() == [2.0, 0.5]


def test_simulate_overwrites_only_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    simulate("films", {"size": 16}, path)
    before = path.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        simulate("films", {"size": 16, "seed": 1}, path)
    assert path.read_bytes() == before
    simulate("films", {"size": 16, "seed": 1}, path, overwrite=True)
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("preset", "name", "words"),
    [
        ("films", "a.tif", "has no suffix that can be written; end it with .npz or .h5 or .hdf5"),
        ("films", "none/a.npz", "there is no folder"),
        ("films", ".", "no suffix"),
        ("film", "a.npz", "simulate.preset: there is no phantom 'film'; did you mean 'films'?"),
    ],
)
def test_simulate_refuses(tmp_path: Path, preset: str, name: str, words: str) -> None:
    with pytest.raises(UserError) as raised:
        simulate(preset, {"size": 16}, tmp_path / name)
    assert words in str(raised.value)
    assert list(tmp_path.iterdir()) == []
