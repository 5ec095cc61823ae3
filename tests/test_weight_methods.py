"""Each method for a penalty's weight, against the best weight for the known truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.cli import main
from fusionkit.reconstruct import Job, prepare
from fusionkit.weights.auto import METHODS
from fusionkit.weights.l_curve import curvature
from fusionkit.weights.masked_pixels import fill_masked

SIZE = "data.phantom.size=64"
GRID = np.geomspace(0.04, 1.2, 21)
# largest excess over the best error, measured on these phantoms; see docs/weights.md
BARS = {"count_splitting": 0.05, "masked_pixels": 0.05, "sure": 0.05, "discrepancy": 0.65}
PHANTOMS = [("cos_nanoparticle", 5), ("cos_nanoparticle", 20), ("films", 5), ("films", 100)]


def nrmse(job: Job) -> float:
    truth = job.dataset.truth
    assert truth is not None
    pairs = zip(job.solve().x, truth, strict=True)
    return float(np.mean([np.linalg.norm(x - t) / np.linalg.norm(t) for x, t in pairs]))  # each element counts the same


@pytest.fixture(scope="module")
def best() -> dict[tuple[str, int], float]:
    def of(preset: str, dose: int) -> float:
        sets = (SIZE, f"data.phantom.preset={preset}", f"data.phantom.dose={dose}")
        return min(nrmse(prepare("cos_auto", (*sets, f"terms.tv.weight={float(w)!r}"))) for w in GRID)

    return {phantom: of(*phantom) for phantom in PHANTOMS}


@pytest.mark.parametrize("method", BARS)
@pytest.mark.parametrize("phantom", PHANTOMS, ids=str)
def test_against_the_truth(method: str, phantom: tuple[str, int], best: dict[tuple[str, int], float]) -> None:
    sets = (SIZE, f"data.phantom.preset={phantom[0]}", f"data.phantom.dose={phantom[1]}")
    job = prepare("cos_auto", (*sets, f"terms.tv.weight={{auto: {method}}}"))
    chosen = job.weights[2]
    assert chosen.method == method
    assert chosen.request == {"auto": method}
    assert chosen.curve is not None
    assert nrmse(job) <= (1.0 + BARS[method]) * best[phantom]
    assert sum(chosen.curve.iterations) <= 10 * job.solve().iterations


def test_the_default_goes_with_the_data() -> None:
    counts = prepare("cos_auto", (SIZE,)).weights[2]
    scaled = prepare("cos_auto", (SIZE, "data.normalize=max")).weights[2]
    other = prepare("cos_auto", (SIZE, "terms.poisson={type: least_squares, data: maps, weight: 0.1}")).weights[-1]
    assert [one.method for one in (counts, scaled, other)] == ["count_splitting", "count_splitting", "masked_pixels"]


@pytest.mark.parametrize("normalize", ["none", "max"])
def test_fractions(tmp_path: Path, normalize: str) -> None:
    """Maps that are not counts, unchanged and normalised: within 5 % of the best weight for them."""
    source = prepare("cos_auto", (SIZE, "data.phantom.dose=20")).dataset
    truth = np.asarray(source.truth, np.float64)
    thickness = 30.0 + np.cos(np.arange(64) / 20.0)[:, None]
    maps = np.asarray(source.arrays["maps"], np.float64) / thickness
    image = np.asarray(source.arrays["haadf"], np.float64) / 30.0**1.7
    size = float(maps.max()) if normalize == "max" else 1.0
    data = fk.Dataset({"haadf": image / size**1.7, "maps": maps / size}, source.elements)
    terms = [
        {"type": "haadf", "weight": "auto", "gamma": 1.7},
        {"type": "poisson", "weight": "auto", "epsilon": 0.003 / size},
    ]
    penalty = {"type": "tv", "weight": "auto"}
    chosen = fk.choose_weights(data, [*terms, penalty, "nonnegative"])

    def error(weight: float) -> float:
        specs = [*chosen[:2], {"type": "tv", "weight": weight}, "nonnegative"]
        problem = fk.compose(data, specs)
        x = fk.solve(problem, fk.make_solver("chambolle_pock"), fk.starting_point("auto", problem, data)).x
        return float(np.linalg.norm(x * size * thickness - truth) / np.linalg.norm(truth))

    weight = float(chosen[2]["weight"])
    assert error(weight) <= 1.05 * min(error(weight * factor) for factor in np.geomspace(0.3, 3.0, 9))


def test_masked_pixels_hold_nothing_of_their_own() -> None:
    random = np.random.default_rng(0)
    data, mask = random.random((2, 9, 9)), random.random((2, 9, 9)) < 0.3
    other = np.where(mask, random.random(data.shape), data)
    np.testing.assert_array_equal(fill_masked(data, mask), fill_masked(other, mask))
    np.testing.assert_array_equal(fill_masked(data, mask)[~mask], data[~mask])
    assert fill_masked(np.full((5, 5), 3.0), mask[0, :5, :5]) == pytest.approx(3.0)
    assert np.isfinite(fill_masked(data, np.ones_like(mask))).all()


def test_curvature_finds_a_corner() -> None:
    u = np.linspace(-5.0, 5.0, 21)
    points = np.stack([np.logaddexp(0.0, 2.0 * (u - 1.0)), np.logaddexp(0.0, -2.0 * (u - 1.0))], axis=1)
    fine, bend = curvature(u, points)
    assert fine[np.argmax(bend)] == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_figure_report_summary_and_rerun(method: str, tmp_path: Path) -> None:
    sets = ["--set", "data.phantom.size=32", "--set", f"terms.tv.weight={{auto: {method}}}", "--set", "threads=1"]
    assert main(["run", "cos_auto", "--quiet", "--output", str(tmp_path / "run"), *sets]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    found = summary["weights_auto"]["tv"]
    assert found["method"] == method
    assert len(found["curve"]["weights"]) == len(found["curve"]["values"])
    assert (tmp_path / "run" / "weights.png").read_bytes()[:4] == b"\x89PNG"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Weights from the data" in page
    assert found["curve"]["quantity"] in page


def test_validate_says_and_does_not_search(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("validate solves nothing")

    monkeypatch.setattr("fusionkit.weights.search.solve", refuse)
    assert main(["validate", "cos_auto", "--set", SIZE]) == 0
    said = capsys.readouterr().out
    assert "weight of tv would be chosen by count_splitting" in said
    assert "1/s² with the noise s" in said


def test_fuse_chooses_weights() -> None:
    dataset = prepare("cos_nanoparticle", (SIZE,)).dataset
    maps = dict(zip(dataset.elements, np.asarray(dataset.arrays["maps"], np.float64), strict=True))
    image = np.asarray(dataset.arrays["haadf"], np.float64)
    fused = fk.fuse(image, maps, weight="auto")
    assert [one.term for one in fused.record.weights] == ["haadf", "poisson", "joint_nonlocal", "tgv"]
    assert any("weight of tgv is" in note for note in fused.notes)
    truth = np.asarray(dataset.truth)
    assert np.linalg.norm(fused.result.x - truth) < 0.6 * np.linalg.norm(fk.fuse(image, maps, tv=3.0).result.x - truth)


def test_fuse_gives_rates_back_in_their_units() -> None:
    dataset = prepare("cos_nanoparticle", (SIZE,)).dataset
    counts = np.asarray(dataset.arrays["maps"], np.float64)
    image = np.asarray(dataset.arrays["haadf"], np.float64)
    options = {"elements": dataset.elements, "weight": "auto"}
    whole, rates = fk.fuse(image, counts, **options), fk.fuse(image, counts / 0.013, **options)
    for element in dataset.elements:
        np.testing.assert_allclose(rates.maps[element] * 0.013, whole.maps[element], rtol=1e-4, atol=1e-4)
    assert any("maps are rates" in note for note in rates.notes)


def test_sure_moves_no_count_below_zero(tmp_path: Path) -> None:
    """Effective counts are not whole numbers: a step of a fifth could exceed a tenth of a count."""
    found = prepare("cos_auto", (SIZE, "data.phantom.dose=1", "data.normalize=max", "terms.tv.weight={auto: sure}"))
    assert found.weights[-1].method == "sure"


def test_masked_pixels_take_counts_of_one_image() -> None:
    data = prepare("cos_nanoparticle", ("data.phantom.size=32",)).dataset
    arrays = {**data.arrays, "one": data.arrays["maps"][0]}
    terms = [
        {"type": "poisson", "data": "one", "forward": {"type": "element", "element": "Co"}},
        {"type": "tv", "weight": {"auto": "masked_pixels"}},
        "nonnegative",
    ]
    found = fk.choose_weights(replace(data, arrays=arrays), terms, engine="numpy")
    assert found[1]["weight"] > 0.0
