"""Units of the maps: the guess, the factor of rates, effective counts of fractions; the model of the image stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve

import fusionkit as fk
from fusionkit.cli import main
from fusionkit.data.counts.convert import counted
from fusionkit.data.counts.kind import guess
from fusionkit.data.counts.scale import is_smoothed, mean_variance, step_of
from fusionkit.errors import UserError
from fusionkit.reconstruct import Job, prepare
from fusionkit.terms import Array

SIZE = "data.phantom.size=64"
COUNTS = np.array(prepare("cos_nanoparticle", (SIZE,)).dataset.arrays["maps"], np.float64)
DWELL = np.array([0.02, 0.02, 0.05])[:, None, None]
THICKNESS = 40.0 + np.cos(np.arange(64) / 20.0)[:, None]  # counts over it have no smallest step
KINDS: dict[str, tuple[Array, str | None]] = {
    "counts": (COUNTS, "counts"),
    "counts as float32": (COUNTS.astype(np.float32), "counts"),
    "rates": (COUNTS / DWELL, "rates"),
    "rates of another dwell": (COUNTS / 0.03, "rates"),
    "rates in float32": ((COUNTS / DWELL).astype(np.float32), "rates"),
    "normalised": (COUNTS / COUNTS.max(axis=(1, 2), keepdims=True), "rates"),
    "fractions": (COUNTS / THICKNESS, "fractions"),
    "per cent": (100.0 * COUNTS / (COUNTS.sum(0) + 3.7), "fractions"),
    "differences": (COUNTS - 1.0, None),
    "nothing": (0.0 * COUNTS, None),
}


@pytest.mark.parametrize("name", KINDS)
def test_guess(name: str) -> None:
    maps, kind = KINDS[name]
    assert guess(maps) == kind


@pytest.mark.parametrize("preset", ["cos_nanoparticle", "films"])
@pytest.mark.parametrize("dose", [0.1, 1, 20, 100])
def test_effective_counts_from_the_noise(preset: str, dose: float) -> None:
    sets = (f"data.phantom.preset={preset}", "data.phantom.size=128", f"data.phantom.dose={dose}")
    for one in prepare("cos_nanoparticle", sets).dataset.arrays["maps"]:
        fit = mean_variance(0.013 * np.asarray(one, np.float64))
        assert fit is not None
        assert fit.factor == pytest.approx(0.013, rel=0.15)
        assert abs(fit.factor / 0.013 - 1.0) < 4.0 * fit.error


def test_standard_error_of_effective_counts() -> None:
    random = np.random.default_rng(5)
    fits = [mean_variance(random.poisson(3.0, (40, 40)).astype(float)) for _ in range(150)]
    assert all(fit is not None for fit in fits)
    spread, said = np.std([f.factor for f in fits if f]), np.mean([f.error for f in fits if f])
    assert spread == pytest.approx(said, rel=0.35)


def recording(folder: Path, maps: Array) -> Path:
    dataset = prepare("cos_nanoparticle", (SIZE,)).dataset
    np.savez(folder / "data.npz", HAADF=dataset.arrays["haadf"], **dict(zip(("Co", "S", "O"), maps, strict=True)))
    path = folder / "my.yaml"
    path.write_text(
        "version: 1\ndata: {path: data.npz, haadf: HAADF, maps: [Co, S, O]}\nterms:\n"
        "  - {type: haadf, weight: 1.148e-3, gamma: 1.7}\n  - {type: poisson}\n  - {type: tv, weight: 0.3}\n"
        "  - {type: nonnegative}\nsolver: {type: chambolle_pock, max_iterations: 60}\n"
    )
    return path


def job(folder: Path, maps: Array, *sets: str) -> Job:
    return prepare(str(recording(folder, maps)), sets)


def test_rates_are_solved_as_counts(tmp_path: Path) -> None:
    """z stays in the units of the maps as given: the counts predict the same image."""
    z = np.array([27, 16, 8]) / 17.0
    given = {name: f"{value}" for name, value in zip(("Co", "S", "O"), z * DWELL.ravel(), strict=True)}
    rates = job(
        tmp_path,
        COUNTS / DWELL,
        "data.maps_are=rates",
        "terms.haadf.z={" + ", ".join(f"{k}: {v}" for k, v in given.items()) + "}",
    )
    counts = job(tmp_path, COUNTS)
    np.testing.assert_array_equal(rates.dataset.arrays["maps"], counts.dataset.arrays["maps"])
    np.testing.assert_allclose(rates.solve().x, counts.solve().x, rtol=2e-3, atol=1e-3)
    counting = rates.dataset.counting
    assert counting is not None
    assert dict(counting.units) == pytest.approx({"Co": 50.0, "S": 50.0, "O": 20.0})


def test_fractions_become_effective_counts(tmp_path: Path) -> None:
    dataset = job(tmp_path, COUNTS / THICKNESS, "data.maps_are=fractions").dataset
    assert dataset.arrays["maps"].mean(axis=(1, 2)) == pytest.approx(COUNTS.mean(axis=(1, 2)), rel=0.2)
    assert any("effective counts" in note and "±" in note for note in dataset.notes)


def test_noise_that_is_none_of_counts_is_said() -> None:
    random = np.random.default_rng(0)
    maps = np.linspace(1.0, 9.0, 64) + random.normal(0.0, 0.2, (1, 64, 64))
    converted = counted(fk.Dataset({"maps": maps}, ("Co",)), "fractions")
    assert any("not that of counts" in note for note in converted.notes)


@pytest.mark.parametrize(("width", "shared"), [(0.0, False), (0.3, False), (0.7, True), (2.0, True)])
def test_pixels_that_share_their_noise(width: float, shared: bool) -> None:
    from scipy.ndimage import gaussian_filter

    maps = np.stack([gaussian_filter(one, width) if width else one for one in COUNTS]) / THICKNESS
    converted = counted(fk.Dataset({"maps": maps}, ("Co", "S", "O")), "fractions")
    assert any("share their noise" in note for note in converted.notes) == shared


def test_counts_that_were_smoothed_are_no_counts() -> None:
    """A mean over 3 x 3 pixels has the smallest step 1/9."""
    ninths = np.stack([convolve(one.astype(int), np.ones((3, 3), int)) for one in COUNTS]) / 9.0
    for maps, shared in ((ninths, True), (COUNTS / 9.0, False), (COUNTS[:, ::8, ::8] / 9.0, False)):
        converted = counted(fk.Dataset({"maps": maps}, ("Co", "S", "O")), "rates")
        assert any("share their noise" in note for note in converted.notes) == shared


@settings(max_examples=100)
@given(st.floats(-2, 4), st.integers(3, 40), st.integers(3, 40), st.floats(0, 1), st.integers(0, 9999))
def test_counts_are_not_taken_for_smoothed(log_mean: float, ny: int, nx: int, empty: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    means = 10**log_mean * np.outer(np.hanning(ny + 2)[1:-1], random.random(nx) > empty)
    assert not is_smoothed(random.poisson(means).astype(float))


def test_without_the_key_nothing_changes_but_the_guess_is_said(tmp_path: Path) -> None:
    dataset = job(tmp_path, COUNTS / DWELL).dataset
    np.testing.assert_array_equal(dataset.arrays["maps"], (COUNTS / DWELL).astype(np.float32))
    assert any("data.maps_are is not given: the maps are rates" in note for note in dataset.notes)


def test_a_rerun_and_the_summary(tmp_path: Path) -> None:
    config, first, second = recording(tmp_path, COUNTS / DWELL), tmp_path / "first", tmp_path / "second"
    sets = ["--set", "data.maps_are=rates", "--set", "output.figures=false", "--set", "threads=1"]
    assert main(["run", str(config), "--quiet", "--output", str(first), *sets]) == 0
    assert main(["run", str(first / "config.resolved.yaml"), "--quiet", "--output", str(second)]) == 0
    np.testing.assert_array_equal(fk.read_result(first).x, fk.read_result(second).x)
    actual = json.loads((first / "summary.json").read_text())["counts"]
    assert actual["maps_are"] == "rates"
    assert actual["unit_of_a_count"] == pytest.approx({"Co": 50.0, "S": 50.0, "O": 20.0})
    assert actual["total"] == pytest.approx(dict(zip(("Co", "S", "O"), COUNTS.sum(axis=(1, 2)), strict=True)))
    assert actual["dose"] == pytest.approx(COUNTS.sum() / COUNTS[0].size)


@pytest.mark.parametrize(
    ("maps", "sets", "said"),
    [
        (COUNTS / DWELL, ("data.maps_are=counts",), "the maps are not counts; they look like rates"),
        (COUNTS / THICKNESS, ("data.maps_are=rates",), "the map of Co has no smallest step"),
        (COUNTS - 1.0, ("data.maps_are=fractions", "terms.poisson={type: least_squares, data: maps}"), "negative"),
        (np.ones((3, 64, 64)) * np.linspace(1, 2.1, 64), ("data.maps_are=fractions",), "too small or too smooth"),
        (COUNTS, ("data.maps_are=rate",), "must be 'counts', 'rates' or 'fractions'"),
    ],
)
def test_refusals(tmp_path: Path, maps: Array, sets: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        job(tmp_path, maps, *sets)
    assert caught.value.where == "data.maps_are"


def test_a_model_that_does_not_scale_is_refused(tmp_path: Path) -> None:
    term = (
        "terms.haadf={type: least_squares, data: haadf, forward: {type: pylops, operator: Sum, arguments: {axis: 0}}}"
    )
    with pytest.raises(UserError, match="cannot be rescaled"):
        job(tmp_path, COUNTS / DWELL, "data.maps_are=rates", term)


def test_edges_without_noise_are_no_counts() -> None:
    image = np.ones((32, 32))
    image[10:20, 10:20] = 5.0
    assert mean_variance(image) is None


def test_values_that_differ_by_less_than_rounding_have_no_step() -> None:
    assert step_of(np.linspace(0.0, 1.0, 2_000_001)) is None
