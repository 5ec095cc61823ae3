"""Parts of the accuracy suite that do not need the reference package: metrics, breakages, spectra and targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import breakages
from benchmarks.accuracy.bars import Bar, bars, ratios_by_element
from benchmarks.accuracy.cells import Cell, measured
from benchmarks.accuracy.metrics import (
    composition,
    mean_nrmse,
    regions,
    rescaled,
    scores,
    stoichiometry,
)
from benchmarks.accuracy.pca import decomposed, denoised, pca, spectrum_image, windows
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.specimens import BROKEN, GAMMA, SPECIMENS, Recording, case
from fusionkit.data.dataset import Dataset
from fusionkit.terms import Array
from fusionkit.uncertainty.intervals import coverage

SIZE, DOSE = 80, 20.0
FACTORS = np.array([0.01, 1.0, 7.0])[:, None, None]


def recorded(specimen: str, seed: int = 0) -> Dataset:
    return case(Recording(specimen, SIZE, DOSE, seed)).dataset


def truth_of(specimen: str) -> Array:
    truth = recorded(specimen).truth
    assert truth is not None
    return truth


@pytest.mark.parametrize(
    ("change", "mean", "plain"),
    [
        pytest.param(lambda t: t, 0.0, 0.0, id="the truth"),
        pytest.param(lambda t: 3.0 * t, 0.0, 2.0, id="threefold"),
        pytest.param(lambda t: FACTORS * t, 0.0, (0.99 + 0.0 + 6.0) / 3, id="a factor each"),
        pytest.param(lambda t: 0.0 * t, 1.0, 1.0, id="nothing"),
    ],
)
def test_errors_are_those_after_rescaling(change: Callable[[Array], Array], mean: float, plain: float) -> None:
    truth = truth_of("nanoparticle")
    actual = scores(change(truth), truth)
    assert actual.mean == pytest.approx(mean, abs=1e-12)
    assert np.mean(actual.plain) == pytest.approx(plain, abs=1e-12)


def test_no_other_factor_is_nearer() -> None:
    truth = truth_of("films")
    x = np.random.default_rng(0).random(truth.shape) + truth
    best = np.linalg.norm(rescaled(x, truth) - truth, axis=(1, 2))
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert (np.linalg.norm(factor * rescaled(x, truth) - truth, axis=(1, 2)) > best).all()


def test_maps_that_are_not_finite_are_infinitely_wrong() -> None:
    assert mean_nrmse(np.full((1, 9, 9), np.nan), np.ones((1, 9, 9))) == np.inf


@pytest.mark.parametrize("specimen", ["films", "nanoparticle", "lattice"])
def test_composition(specimen: str) -> None:
    truth = truth_of(specimen)
    assert all(region.any() for region in regions(truth))
    assert stoichiometry(5.0 * truth, truth) == pytest.approx(0.0, abs=1e-12)
    assert composition(5.0 * truth, truth) == pytest.approx(0.0, abs=1e-12)
    more = truth * np.array([1.0, 1.0, 1.1])[:, None, None]
    # 10 % more of the third element changes no fraction by more than 10 %
    assert 0.01 < stoichiometry(more, truth) < 0.1
    assert 0.01 < composition(more, truth) < 0.1


def test_the_regions_of_films_are_their_phases() -> None:
    truth = truth_of("films")
    gallium, indium, _ = regions(truth)
    assert not (gallium & indium).any()
    assert truth[1][gallium].sum() < 0.1 * truth[0][gallium].sum()


def test_coverage_counts_pixels_that_hold_the_element() -> None:
    truth = np.ones((1, 10, 10))
    truth[0, :5] = 0.0
    low, high = truth - 0.1, truth + 0.1
    low[0, 9], low[0, :5] = 2.0, 9.0  # outside in a fifth of the matter, and in all of the vacuum
    assert coverage(low, high, truth) == (0.8,)


@pytest.mark.parametrize("specimen", list(SPECIMENS))
def test_specimens(specimen: str) -> None:
    dataset, again, other = recorded(specimen), recorded(specimen), recorded(specimen, seed=1)
    assert dataset.truth is not None
    np.testing.assert_array_equal(dataset.arrays["haadf"], again.arrays["haadf"])
    assert (dataset.arrays["haadf"] != other.arrays["haadf"]).any()
    filled = dataset.truth.sum(axis=0) > 0
    assert dataset.truth[:, filled].mean() == pytest.approx(DOSE)
    assert dataset.arrays["maps"][:, filled].mean() == pytest.approx(DOSE, rel=0.02)


def _misfit(specimen: str) -> float:
    """Mean squared deviation of the image from the model of the truth, over the variance of its noise."""
    drawn = case(Recording(specimen, SIZE, DOSE, 0))
    dataset = drawn.dataset
    assert dataset.truth is not None
    assert dataset.haadf_sigma is not None
    model = breakages.predicted(dataset.truth, dataset.elements, drawn.gamma)
    return float(np.mean((dataset.arrays["haadf"] - model) ** 2)) / dataset.haadf_sigma**2


@pytest.mark.parametrize("specimen", list(SPECIMENS))
def test_the_model_breaks_where_it_is_said_to(specimen: str) -> None:
    if specimen in BROKEN:
        assert _misfit(specimen) > 1.5
    else:
        assert _misfit(specimen) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("specimen", list(BROKEN))
def test_what_breaks_leaves_maps_and_truth(specimen: str) -> None:
    whole, broken = recorded("nanoparticle"), recorded(specimen)
    np.testing.assert_array_equal(whole.arrays["maps"], broken.arrays["maps"])
    assert whole.truth is not None
    assert broken.truth is not None
    np.testing.assert_array_equal(whole.truth, broken.truth)


def test_steps_are_seen_by_image_and_maps() -> None:
    whole, stepped = truth_of("nanoparticle"), truth_of("steps")
    filled = whole.sum(axis=(0, 1)) > 0
    factors = stepped.sum(axis=(0, 1))[filled] / whole.sum(axis=(0, 1))[filled]
    np.testing.assert_allclose(factors / factors.max(), breakages.terraces(SIZE)[filled])


def test_calibration_finds_the_units_that_were_lost() -> None:
    dataset = recorded("nanoparticle")
    lost = breakages.calibrated(
        Dataset({**dataset.arrays, "haadf": 1e-3 * dataset.arrays["haadf"]}, dataset.elements), GAMMA
    )
    factor = np.vdot(lost.arrays["haadf"], dataset.arrays["haadf"]) / np.sum(dataset.arrays["haadf"] ** 2)
    assert factor == pytest.approx(1.0, abs=0.1)  # the maps are smoothed for it


def test_windows_hold_the_maps() -> None:
    drawn = case(Recording("films", SIZE, DOSE, 0))
    spectra = spectrum_image(drawn)
    for place, one in zip(windows(3), drawn.dataset.arrays["maps"], strict=True):
        np.testing.assert_array_equal(spectra[:, place].sum(axis=1).reshape(one.shape), one)
    between = spectra.sum() / drawn.dataset.arrays["maps"].sum() - 1
    assert between == pytest.approx(0.3, rel=0.05)


def test_all_components_are_the_data_and_few_are_nearer_to_the_truth() -> None:
    drawn = case(Recording("films", SIZE, DOSE, 0))
    spectra = spectrum_image(drawn)
    np.testing.assert_allclose(denoised(decomposed(spectra), spectra.shape[1]), spectra, atol=1e-9)
    assert drawn.dataset.truth is not None
    assert mean_nrmse(pca(drawn)[0], drawn.dataset.truth) < mean_nrmse(
        drawn.dataset.arrays["maps"], drawn.dataset.truth
    )


def test_components_are_those_of_hyperspy() -> None:
    signals = pytest.importorskip("hyperspy.signals", reason="hyperspy is not installed: '.[io]'")
    spectra = spectrum_image(case(Recording("films", SIZE, DOSE, 0)))
    signal = signals.Signal1D(spectra.reshape(SIZE, SIZE, -1).copy())
    signal.decomposition(normalize_poissonian_noise=True, print_info=False)
    theirs = signal.get_decomposition_model(4).data.reshape(spectra.shape)
    np.testing.assert_allclose(denoised(decomposed(spectra), 4), theirs, atol=1e-6 * theirs.max())


def test_a_cell_is_measured_once(tmp_path: Path) -> None:
    cell = Cell(Recording("nanoparticle", SIZE, DOSE, 0), "raw")
    row = measured(cell, tmp_path)
    kept = json.loads(cell.path(tmp_path).read_text())
    cell.path(tmp_path).write_text(json.dumps({**kept, "mean": 5.0}))
    assert row["mean"] == pytest.approx(kept["mean"])
    assert measured(cell, tmp_path)["mean"] == 5.0


def _row(method: str, errors: list[float], **more: object) -> dict[str, object]:
    facts = {"search_iterations": 50, "iterations": 10}
    return {"size": 8, "dose": 20.0, "method": method, "nrmse": errors, "facts": facts, **more}


@pytest.mark.parametrize(("error", "held"), [(0.1, [True, False]), (0.049, [True, True]), (0.3, [False, True])])
def test_bars_of_the_headline(error: float, held: list[bool]) -> None:
    best = 0.05 if error < 0.2 else 0.3
    errors = {"auto": error, "structure_tensor_tv": 0.15, "reference": 0.2, "best_tv": best}
    rows = Rows(tuple(_row(method, [one] * 3) for method, one in errors.items()))
    judged: list[Bar] = list(bars({"headline": rows}))
    assert [bar.measured[0].held for bar in judged] == held
    assert judged[0].measured[1].held is False
    assert len({len(bar.row()) for bar in judged}) == 1


def test_ratios_are_those_of_the_means() -> None:
    rows = Rows((_row("auto", [1.0, 2.0]), _row("auto", [3.0, 2.0]), _row("gaussian", [1.0, 4.0])))
    assert ratios_by_element(rows) == [2.0, 0.5]
