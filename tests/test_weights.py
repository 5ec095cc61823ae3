"""`weight: auto`: noise, factor of counts, count splitting, the search, its refusals, and reruns without a search."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusionkit.cli import main
from fusionkit.config import load_config
from fusionkit.data.counts.scale import step_of
from fusionkit.data.load import load
from fusionkit.data.noise import noise_level
from fusionkit.errors import UserError
from fusionkit.reconstruct import Job, prepare
from fusionkit.results.result_file import read_result
from fusionkit.terms import Array
from fusionkit.weights.count_splitting import thin
from fusionkit.weights.fidelity_weights import weight_of_counts, weight_of_image
from fusionkit.weights.path import _path, parabola_minimum
from fusionkit.weights.search import DivergedError, Trial

SMALL = ("data.phantom.size=32", "solver.max_iterations=1000")


def phantom(preset: str, *more: str) -> Job:
    return prepare("cos_nanoparticle", (f"data.phantom.preset={preset}", "data.phantom.size=128", *more))


def nrmse(job: Job) -> float:
    truth = job.dataset.truth
    assert truth is not None
    pairs = zip(job.solve().x, truth, strict=True)
    return float(np.mean([np.linalg.norm(x - t) / np.linalg.norm(t) for x, t in pairs]))  # each element counts the same


@pytest.mark.parametrize("preset", ["cos_nanoparticle", "films", "lattice"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_of_an_image(preset: str, seed: int) -> None:
    dataset = phantom(preset, f"data.phantom.seed={seed}").dataset
    assert dataset.haadf_sigma is not None
    assert noise_level(dataset.arrays["haadf"]) == pytest.approx(dataset.haadf_sigma, rel=0.1)


def test_standard_error_of_the_noise() -> None:
    random = np.random.default_rng(3)
    found = [weight_of_image(random.standard_normal((48, 40)), 0, "haadf") for _ in range(200)]
    said = np.mean([one.facts["relative_error_of_sigma"] for one in found])
    assert np.std([one.facts["sigma"] for one in found]) == pytest.approx(said, rel=0.25)
    within = [low <= 1.0 <= high for low, high in (one.uncertainty for one in found if one.uncertainty)]
    assert np.mean(within) > 0.9


COUNTS = np.random.default_rng(0).poisson(7.0, (2, 20, 20)).astype(float)


@pytest.mark.parametrize(
    ("data", "factor"),
    [
        pytest.param(COUNTS, 1.0, id="counts"),
        pytest.param(COUNTS / 17.0, 1 / 17.0, id="scaled"),
        pytest.param((COUNTS / 17.0).astype(np.float32), 1 / 17.0, id="scaled float32"),
        pytest.param(3.7 * COUNTS[0], 3.7, id="one image"),
        pytest.param(2.0 * (COUNTS > 7), 2.0, id="one value"),
        pytest.param(np.random.default_rng(0).random((20, 20)), None, id="fractions"),
        pytest.param(np.random.default_rng(0).random(3), None, id="three fractions"),
        pytest.param(COUNTS + 0.3, None, id="offset"),
        pytest.param(0.0 * COUNTS, None, id="zeros"),
    ],
)
def test_factor_of_counts(data: Array, factor: float | None) -> None:
    assert step_of(data) == (None if factor is None else pytest.approx(factor, rel=1e-5))


def test_maps_with_a_factor_each_keep_their_counts() -> None:
    factors = np.array([0.1, 0.25])[:, None, None]
    chosen = weight_of_counts(factors * COUNTS, ("Co", "O"), 1, "poisson")
    assert chosen.weight * (factors * COUNTS).sum() == pytest.approx(COUNTS.sum(), rel=1e-5)
    assert "each map its own" in chosen.note


def test_halves_are_independent_and_unbiased() -> None:
    mean, share, number = 3.0, 0.3, 200_000
    random = np.random.default_rng(11)
    halves = thin(random.poisson(mean, number).astype(float), share, random)
    for part, p in ((halves.training, share), (halves.held_out, 1 - share)):
        error = (mean / p / number) ** 0.5  # four standard errors each: they fail once in 16000 seeds
        assert abs(part.mean() - mean) < 4 * error
        assert abs(part.var() * p / mean - 1) < 4 * ((2 + 1 / (mean * p)) / number) ** 0.5
    assert abs(np.corrcoef(halves.training, halves.held_out)[0, 1]) < 4 / number**0.5
    np.testing.assert_allclose(np.mod(halves.training * share, 1.0).round(9) % 1.0, 0.0)


def test_vertex_of_a_parabola() -> None:
    weights, noise = np.geomspace(0.1, 10, 7), np.random.default_rng(0).standard_normal(400)
    errors = [np.full(400, np.log(w / 1.3) ** 2) + 0.1 * np.log(w) * noise for w in weights]
    choice, error = parabola_minimum(list(weights), errors)
    assert error is not None
    assert error == pytest.approx(0.1 / 400**0.5 / 2, rel=0.2)  # noise of the slope over twice the curvature
    assert abs(np.log(choice / 1.3)) < 4 * error
    assert parabola_minimum(list(weights[:3]), errors[:3]) == (weights[2], None)


@pytest.mark.parametrize("dose", [5, 20, 100])
def test_weights_from_the_data_are_as_good_as_the_best(dose: float) -> None:
    sets = ("data.phantom.size=64", f"data.phantom.dose={dose}")
    job = prepare("cos_auto", sets)
    chosen = job.weights[2]
    assert chosen.curve is not None
    sigma = job.dataset.haadf_sigma
    assert sigma is not None
    known = (*sets, f"terms.haadf.weight={sigma**-2!r}", "terms.poisson.weight=1.0")
    around = [float(w) for w in np.geomspace(chosen.weight / 2.5, chosen.weight * 2.5, 9)]
    best = min(nrmse(prepare("cos_auto", (*known, f"terms.tv.weight={weight!r}"))) for weight in around)
    assert nrmse(job) <= 1.05 * best
    assert sum(chosen.curve.iterations) <= 10 * job.solve().iterations


def test_a_solve_that_diverges_ends_its_direction_and_not_the_search() -> None:
    def attempt(weight: float, former: Trial | None) -> Trial:
        if weight > 3.0:
            raise DivergedError("terms[0].weight", "the search diverged", "give a number")
        return Trial(weight, np.full(4, np.log(weight / 2.0) ** 2), (), 10)

    trials = _path(attempt, attempt(1.0, None), None, "tv", maps=1)
    assert [trial.weight for trial in trials] == [1.0, 0.5, 2.0]


def test_a_search_ends_where_the_maps_are_flat() -> None:
    def attempt(weight: float, former: Trial | None) -> Trial:
        flat: Any = SimpleNamespace(terms={"tv": 5.0 if weight < 4.0 else 1e-4})
        return Trial(weight, np.full(4, 1.0 / weight), (flat,), 10)

    trials = _path(attempt, attempt(1.0, None), None, "tv", maps=1)
    assert max(trial.weight for trial in trials) == 4.0


def test_the_truth_is_not_looked_at() -> None:
    from dataclasses import replace

    def blind(*arguments: object) -> object:
        return replace(load(*arguments), truth=None, haadf_sigma=None, counts_per_unit=None, notes=())  # type: ignore[arg-type]

    assert prepare("cos_auto", SMALL, read=blind).weights == prepare("cos_auto", SMALL).weights  # type: ignore[arg-type]


def test_a_rerun_gives_the_same_bits_without_a_search(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    sets = [word for override in (*SMALL, "threads=1", "output.report=false") for word in ("--set", override)]
    assert main(["run", "cos_auto", "--quiet", "--output", str(first), *sets]) == 0
    assert main(["run", str(first / "config.resolved.yaml"), "--quiet", "--output", str(second)]) == 0
    np.testing.assert_array_equal(read_result(first).x, read_result(second).x)
    one, two = (json.loads((folder / "summary.json").read_text()) for folder in (first, second))
    assert one["weights"] == two["weights"]
    assert set(one["weights_auto"]) == {"haadf", "poisson", "tv"}
    assert two["weights_auto"] == {}
    found = one["weights_auto"]["tv"]
    assert found["choice"] == one["weights"]["tv"]
    assert len(found["curve"]["weights"]) == len(found["curve"]["values"]) == found["solves"]
    assert sum("weight of" in note for note in one["notes"]) >= 3
    assert (first / "weights.png").read_bytes()[:4] == b"\x89PNG"
    assert not (second / "weights.png").exists()


def test_a_sweep_with_auto_is_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    over = ["--over", "terms.haadf.gamma=1.6,1.7", "--output", str(tmp_path / "sweep")]
    sets = [
        word for override in (*SMALL, "output.figures=false", "output.report=false") for word in ("--set", override)
    ]
    assert main(["sweep", "cos_auto", *over, *sets, "--workers", "1"]) == 0
    files = list((tmp_path / "sweep").glob("*/result.h5"))
    stamps = {file: file.stat().st_mtime_ns for file in files}
    assert len(stamps) == 2
    assert main(["sweep", "cos_auto", *over, *sets, "--workers", "1"]) == 0
    assert {file: file.stat().st_mtime_ns for file in files} == stamps
    capsys.readouterr()


@pytest.mark.parametrize(
    "term",
    [
        pytest.param(
            "{type: penalty, functional: {type: l21}, operator: {type: gradient}, weight: auto}", id="penalty"
        ),
        pytest.param("{type: l2, operator: {type: gradient}, weight: auto}", id="l2"),
        pytest.param("{type: tgv, weight: auto}", id="tgv"),
    ],
)
def test_any_penalty(term: str) -> None:
    job = prepare("cos_nanoparticle", (*SMALL, f"terms.tv={term}"))
    (chosen,) = job.weights
    assert chosen.weight > 0.0
    assert chosen.facts["degree"] == pytest.approx(2.0 if "l2," in term else 1.0, abs=0.01)


AUTO_TV = "terms.tv.weight=auto"


@pytest.mark.parametrize(
    ("config", "sets", "where", "said"),
    [
        ("cos_nanoparticle", ("terms.nonnegative.weight=auto",), "terms[3].weight", "unknown key"),
        ("cos_nanoparticle", ("terms.tv.weight=Auto",), "terms[2].weight", "must be a number"),
        (
            "cos_auto",
            ("terms.nonnegative={type: l1, weight: {auto: sure}}",),
            "terms[3].weight",
            "count_splitting and sure cannot choose between them",
        ),
        (
            "cos_nanoparticle",
            ("terms.tv.weight={auto: cross_validation}",),
            "terms[2].weight.auto",
            "must be 'count_split",
        ),
        ("cos_nanoparticle", ("terms.poisson.weight={auto: sure}",), "terms[1].weight", "is for penalties"),
        (
            "cos_nanoparticle",
            ("terms.tv.weight={auto: count_splitting}", "terms.poisson={type: least_squares, data: maps}"),
            "terms[2].weight",
            "needs counts",
        ),
        (
            "cos_nanoparticle",
            (AUTO_TV, "terms.poisson={type: least_squares, name: again, data: haadf, forward: {type: power_sum}}"),
            "terms[2].weight",
            "needs counts or maps",
        ),
        ("linear_regression", ("terms.least_squares.weight=auto",), "terms[0].weight", "needs an image"),
    ],
)
def test_refusals(config: str, sets: tuple[str, ...], where: str, said: str) -> None:
    small = SMALL[:1] if config.startswith("cos") else ()
    with pytest.raises(UserError, match=said) as caught:
        prepare(config, (*small, *sets))
    assert caught.value.where == where
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "said"), [(np.ones((20, 20)), "finds no noise"), (np.ones((20, 4)), "needs an image of 8 x 8")]
)
def test_images_without_noise(image: Array, said: str) -> None:
    with pytest.raises(UserError, match=said):
        weight_of_image(image, 0, "haadf")


def test_normalised_maps_have_a_weight() -> None:
    job = prepare("cos_nanoparticle", (*SMALL, "data.normalize=max", "terms.poisson.weight=auto"))
    (chosen,) = job.weights
    maps = load(load_config("cos_nanoparticle", SMALL).config.data, Path()).arrays["maps"]
    assert chosen.weight == pytest.approx(maps.sum() / job.dataset.arrays["maps"].sum(), rel=1e-5)


def test_the_weight_of_fractions_comes_from_their_noise() -> None:
    random = np.random.default_rng(0)
    fractions = random.poisson(20.0, (2, 60, 60)) / (50.0 + 0.5 * random.random((60, 60)))
    chosen = weight_of_counts(fractions, ("Co", "O"), 1, "poisson")
    assert chosen.weight == pytest.approx(50.25, rel=0.1)
    assert chosen.uncertainty is not None
    assert chosen.uncertainty[0] < 50.25 < chosen.uncertainty[1]


def test_maps_without_noise_have_no_weight() -> None:
    smooth = np.add.outer(np.arange(9.0), np.linspace(0.0, 0.7, 9)) * np.ones((2, 1, 1))
    with pytest.raises(UserError, match=r"data of Co have neither a smallest step nor noise; give maps of counts"):
        weight_of_counts(smooth, ("Co", "O"), 1, "poisson")
