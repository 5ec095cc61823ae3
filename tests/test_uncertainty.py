"""Error bars: the curvature against a dense inverse, the bootstrap, coverage, refusals, and files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit.cli import main
from fusionkit.compose_problem import compose
from fusionkit.config import load_config
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.operators.fidelity import PixelwiseFidelity
from fusionkit.reconstruct import Job, prepare
from fusionkit.result import Result
from fusionkit.results.result_file import read_result
from fusionkit.terms import Array
from fusionkit.uncertainty.atomic_fractions import Factors, Region, RegionSums, region_composition, region_sums
from fusionkit.uncertainty.curvature import green, standard_deviation
from fusionkit.uncertainty.estimate import Stopped, by_bootstrap, by_curvature, total_variation
from fusionkit.uncertainty.information import Information, information, term_of_maps
from fusionkit.uncertainty.intervals import coverage, intervals, quantile
from fusionkit.uncertainty.model_check import model_warnings
from fusionkit.uncertainty.options import CompositionOptions

SMALL = ("data.phantom.size=32", "uncertainty.samples=6", "output.report=false")
SIZE = 16  # of the dense matrices


def phantom(*sets: str) -> tuple[Job, Result]:
    job = prepare("cos_nanoparticle", (*SMALL, *sets))
    return job, job.solve()


@pytest.mark.parametrize("elements", [1, 2, 4])
def test_without_penalty_the_covariance_is_the_inverse_at_each_pixel(elements: int) -> None:
    random = np.random.default_rng(elements)
    diagonal = random.uniform(0.1, 3.0, (elements, 3, 5))
    couplings = tuple(random.standard_normal((elements, 3, 5)) for _ in range(2))
    found = standard_deviation(np.ones((elements, 3, 5)), Information(diagonal, couplings), np.zeros(elements))
    for y, x in np.ndindex(3, 5):
        dense = np.diag(diagonal[:, y, x]) + sum(np.outer(u[:, y, x], u[:, y, x]) for u in couplings)
        np.testing.assert_allclose(found[:, y, x] ** 2, np.diag(np.linalg.inv(dense)), rtol=1e-10)


def laplacian(size: int) -> Array:
    """Minus the Laplacian of a periodic square, dense."""
    step = np.eye(size) - np.roll(np.eye(size), 1, axis=1)
    line = step.T @ step
    return np.kron(line, np.eye(size)) + np.kron(np.eye(size), line)


@pytest.mark.parametrize("m", [0.5, 1.0, 2.0, 50.0, 1e6])
def test_green_function(m: float) -> None:
    dense = np.linalg.inv(m * np.eye(SIZE**2) + laplacian(SIZE))
    assert green(np.array(m)) == pytest.approx(dense[0, 0], rel=1e-3)


@pytest.mark.parametrize("weight", [np.array([0.05, 0.05]), np.array([0.5, 0.2])])
def test_with_penalty_the_variance_is_that_of_the_dense_inverse(weight: Array) -> None:
    """A ramp has the same gradient, and so the same stiffness, everywhere; two coupled elements."""
    random = np.random.default_rng(1)
    slope = np.array([0.4, 0.7])
    x = slope[:, None, None] * np.add.outer(np.arange(SIZE), np.arange(SIZE))[None] + 5.0
    diagonal, coupling = np.array([0.3, 0.2]), random.uniform(0.2, 0.5, 2)
    data = Information(np.broadcast_to(diagonal[:, None, None], x.shape), (coupling[:, None, None] + 0 * x,))
    middle = SIZE // 2
    found = standard_deviation(x, data, weight)[:, middle, middle] ** 2
    # the fixed point, by the dense matrix: W = weight / sqrt(|grad x|^2 + 0.12 Cov(grad x))
    point = np.diag(diagonal) + np.outer(coupling, coupling)
    operator, stiffness = laplacian(SIZE), weight / (slope * 2**0.5)
    parts: list[Array] = []
    for _ in range(8):
        dense = np.linalg.inv(np.kron(point, np.eye(SIZE**2)) + np.kron(np.diag(stiffness), operator))
        parts = [dense[i * SIZE**2 : (i + 1) * SIZE**2, i * SIZE**2 : (i + 1) * SIZE**2] for i in range(2)]
        gradient = np.array([np.sum(operator[0] * part[:, 0]) for part in parts])
        stiffness = weight / np.sqrt(2 * slope**2 + 0.12 * gradient)
    np.testing.assert_allclose(found, [part[0, 0] for part in parts], rtol=0.02)


@pytest.mark.parametrize(
    "term", [{"type": "tv", "weight": 0.3}, {"type": "tv", "weight": 0.3, "per_element": {"O": 2.0}}]
)
def test_each_element_has_its_weight(term: dict[str, object]) -> None:
    problem = compose(Dataset({"maps": np.ones((2, 8, 8))}, ("Co", "O")), ["poisson", term])
    np.testing.assert_allclose(total_variation(problem), [0.3, 0.6 if "per_element" in term else 0.3])


def test_information_is_the_expected_curvature() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(0.5, 4.0, (2, 3, 4))
    data = Dataset({"haadf": np.ones((3, 4)), "maps": np.zeros((2, 3, 4))}, ("Co", "O"))
    terms = [{"type": "haadf", "weight": 0.3, "gamma": 1.7}, {"type": "poisson", "weight": 2.0, "epsilon": 0.1}]
    problem = compose(data, terms, precision="double")
    fits = [term for term in problem.terms if isinstance(term, PixelwiseFidelity)]
    found = information(fits, x).matrices(slice(None))
    z = np.array([27, 8]) / 17.5
    slope = 1.7 * z[:, None, None] ** 1.7 * x**0.7
    expected = 0.3 * np.einsum("iyx,jyx->yxij", slope, slope)
    np.einsum("yxii->yxi", expected)[...] += np.moveaxis(2.0 / (x + 0.1), 0, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_standard_deviation_of_weighted_counts() -> None:
    """Without image and penalty the standard deviation is that of the counts, for any factor."""
    counts = np.full((1, 8, 8), 9.0)
    data = Dataset({"maps": counts / 3}, ("Co",))
    problem = compose(data, [{"type": "poisson", "weight": 3.0, "epsilon": 1e-6}, "nonnegative"], precision="double")
    found = by_curvature(problem, counts / 3)
    np.testing.assert_allclose(found.standard_deviation, 1.0, rtol=1e-3)  # sqrt(9) / 3


@settings(max_examples=50, deadline=None)
@given(st.floats(0.5, 0.999), st.floats(0, 100), st.floats(0, 50))
def test_intervals_hold_the_estimate_and_the_bounds(level: float, x: float, spread: float) -> None:
    low, high = intervals(np.array([x]), np.array([spread]), level)
    assert 0.0 <= low[0] <= x <= high[0]
    assert high[0] - x == pytest.approx(quantile(level) * spread)


def test_intervals_of_normal_errors_cover() -> None:
    random = np.random.default_rng(5)
    truth = np.full((2, 100, 100), 10.0)
    truth[1, :50] = 0.0
    spread = random.uniform(0.5, 2.0, truth.shape)
    low, high = intervals(truth + spread * random.standard_normal(truth.shape), spread)
    np.testing.assert_allclose(coverage(low, high, truth), 0.9, atol=0.02)  # five standard errors
    assert np.isnan(coverage(low, high, 0 * truth)).all()


@pytest.mark.parametrize("preset", ["cos_nanoparticle", "films", "lattice, field_of_view: 2.0"])
@pytest.mark.parametrize(
    ("config", "method"), [("cos_auto", "curvature"), ("cos_auto", "bootstrap"), ("cos_adaptive", "bootstrap")]
)
def test_coverage_of_matched_phantoms(preset: str, config: str, method: str) -> None:
    """At 64 x 64 and one dose; `python -m benchmarks.coverage` measures it at 128 x 128."""
    sets = (f"data.phantom={{preset: {preset}, size: 64, dose: 20, seed: 4}}", f"uncertainty.method={method}")
    job = prepare(config, (*sets, "composition={}"))
    result, truth = job.solve(), job.dataset.truth
    assert truth is not None
    x, found = result.x, job.assess(result)
    assert found.uncertainty is not None
    assert not found.uncertainty.notes
    shares = coverage(*intervals(x, found.uncertainty.standard_deviation), truth)
    assert np.all(shares >= 0.8)  # 0.85 to 0.95 at 128 x 128; a quarter of the pixels is less certain
    assert np.all(shares <= 0.98)
    (whole,) = found.compositions
    known = truth.sum((1, 2)) / truth.sum()
    np.testing.assert_allclose(whole.fractions, known, rtol=0.04)
    assert sum(low <= c <= high for low, c, high in zip(whole.low, known, whole.high, strict=True)) >= 2


def test_stoichiometry_of_films() -> None:
    sets = ("data.phantom={preset: films, size: 128, dose: 100}", "uncertainty.method=bootstrap")
    job = prepare("cos_auto", (*sets, "composition={}"))
    truth = job.dataset.truth
    assert truth is not None
    (whole,) = job.assess(job.solve()).compositions
    for found in (whole.fractions, whole.fused):
        np.testing.assert_allclose(found, truth.sum((1, 2)) / truth.sum(), rtol=0.02)


def test_a_seed_gives_the_same_numbers_whatever_the_workers() -> None:
    job, result = phantom("uncertainty.method=bootstrap")
    config = job.loaded.config
    found = []
    for workers, seed in ((1, 3), (3, 3), (1, 4)):
        options = config.uncertainty.model_copy(update={"workers": workers, "seed": seed})
        error_bars, _ = by_bootstrap(options, config.objective, job.dataset, job.problem, result.x)
        found.append(error_bars.standard_deviation)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_a_bootstrap_can_be_ended() -> None:
    job, result = phantom("uncertainty.method=bootstrap")
    config = job.loaded.config
    with pytest.raises(Stopped):
        by_bootstrap(
            config.uncertainty, config.objective, job.dataset, job.problem, result.x, stop_requested=lambda: True
        )
    record = job.record(result, stop_requested=lambda: True)
    assert record.uncertainty is None
    assert record.compositions == ()


@pytest.mark.parametrize(("factor", "said"), [(1.0, 0), (0.1, 1), (10.0, 1)])
def test_a_wrong_weight_is_told_where_error_bars_rest_on_it(factor: float, said: int) -> None:
    job, result = phantom(f"terms.haadf.weight={factor * 1.148e-3}", "uncertainty.method=curvature")
    notes = model_warnings(job.problem, result.x)
    assert len(notes) == said
    assert all("weight of haadf" in note for note in notes)
    assert not model_warnings(job.problem, result.x, drawn=True)


def test_a_wrong_exponent_is_told_and_the_composition_allows_for_it() -> None:
    job, result = phantom("terms.haadf.gamma=1.55", "uncertainty.method=bootstrap", "composition={}")
    assert any("Are gamma" in note for note in model_warnings(job.problem, result.x))
    truth = job.dataset.truth
    assert truth is not None
    (whole,) = job.assess(result).compositions
    known = truth.sum((1, 2)) / truth.sum()
    assert np.max(np.abs(np.array(whole.fused) / known - 1)) > 0.1
    assert all(low <= value <= high for low, value, high in zip(whole.low, known, whole.high, strict=True))


K = "composition.k_factors"


@pytest.mark.parametrize(
    ("sets", "where", "said"),
    [
        (("uncertainty.method=bootstrapp",), "uncertainty.method", "did you mean 'bootstrap'"),
        (("uncertainty.samples=2",), "uncertainty.samples", ">= 5"),
        (("uncertainty.interval=90",), "uncertainty.interval", "<= 0.999"),
        (("uncertainty.sample=9",), "uncertainty.sample", "did you mean 'samples'"),
        (("uncertainty.method=curvature", "terms.poisson.epsilon=0"), "uncertainty.method", "poisson has epsilon 0"),
        (("uncertainty.method=curvature", "terms.tv={type: tgv, weight: 0.3}"), "uncertainty.method", "not tgv"),
        (("uncertainty.method=curvature", "terms.tv={type: vectorial_tv, weight: 1}"), "uncertainty.method", "but not"),
        (("uncertainty.method=bootstrap", "terms.poisson={type: kl, weight: 1}"), "terms[1].type", "kl"),
        (("composition={k_factors: {Co: 1, S: 1.2}}",), K, "none for O"),
        (("composition={k_factors: {Co: 1, S: 1, O: 1, Fe: 1}}",), f"{K}.Fe", "no map"),
        (("composition={elements: [Co, Fe]}",), "composition.elements.Fe", "no map"),
        (("composition={k_factors: {Co: [1, 0.1, 2]}}",), f"{K}.Co", "2"),
        (("composition={k_factors: {Co: 0, S: 1, O: 1}}",), f"{K}.Co", "> 0"),
        (("composition={regions: {a: {rows: [3, 3]}}}",), "composition.regions.a.rows", "first < last"),
        (("composition={regions: {a: {rows: [3, 40]}}}",), "composition.regions.a.rows", "reaches to 40"),
        (("composition={regions: {a: {row: [3, 4]}}}",), "composition.regions.a.row", "did you mean 'rows'"),
        (("composition={regions: {all: {rows: [3, 4]}}}",), "composition.regions", "whole image"),
        (("composition={}", "terms=[{type: haadf}]"), "composition", "bootstrap"),
    ],
)
def test_refusals(sets: tuple[str, ...], where: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        prepare("cos_nanoparticle", ("data.phantom.size=32", *sets))
    assert caught.value.where == where
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_composition_without_epsilon_has_intervals(tmp_path: Path) -> None:
    """Where a map is 0, counts with mean 0 have variance 0."""
    sets = ("data.phantom.size=32", "terms.poisson.epsilon=0", "composition={}", "output.report=false")
    arguments = [word for one in sets for word in ("--set", one)]
    assert main(["run", "cos_nanoparticle", "--quiet", "--output", str(tmp_path / "run"), *arguments]) == 0
    (region,) = json.loads((tmp_path / "run/summary.json").read_text())["composition"].values()
    assert region["quantity"] == "fraction of counts"
    for element, value in region["fractions"].items():
        assert value - 0.1 < region["low"][element] <= value <= region["high"][element] < value + 0.1


def test_a_background_takes_part_in_curvature() -> None:
    random = np.random.default_rng(0)
    background = random.uniform(5.0, 9.0, (2, 9, 8))
    arrays = {"maps": random.poisson(3.0 + background).astype(np.float64), "maps_background": background}
    forward = {"type": "elements", "elements": ["O", "Co"], "background": "maps_background"}
    data = Dataset(arrays, ("O", "Co"))
    problem = compose(
        data, [{"type": "poisson", "epsilon": 0.1, "forward": forward}, "nonnegative"], precision="double"
    )
    x = np.full((2, 9, 8), 3.0)
    np.testing.assert_allclose(by_curvature(problem, x).standard_deviation ** 2, x + background + 0.1)
    region = Region("part", (2, 7), (1, 8))
    sums = region_sums(region, x, term_of_maps(problem.terms, x.shape))
    assert sums.raw is not None
    np.testing.assert_allclose(sums.raw, region.sums(arrays["maps"] - background - 0.1))
    assert sums.background is not None
    np.testing.assert_allclose(sums.background, region.sums(background))


@pytest.mark.parametrize("samples", [0, 400])
def test_intervals_of_a_region(samples: int) -> None:
    """Sums of 400 and 100 counts on a background of 80: errors of counts, of the background and of k add up."""
    fused, variance, background = np.array([400.0, 100.0]), np.array([480.0, 180.0]), np.array([80.0, 80.0])
    sums, k = RegionSums(fused, fused, variance, background), Factors(np.array([1.0, 2.0]), np.array([0.0, 0.1]))
    drawn = list(np.random.default_rng(1).normal(fused, np.sqrt(variance), (samples, 2)))
    options = CompositionOptions(k_factors={"Co": 1.0, "S": [2.0, 0.2]})
    one = region_composition(Region("a", (0, 1), (0, 1)), ("Co", "S"), sums, drawn, k, np.ones(2), options)
    spread = np.array([(high - low) / 2 / quantile(0.9) for _, low, high in one.counts])
    np.testing.assert_allclose(spread**2, variance + background, rtol=0.2 if samples else 1e-9)
    share = 1.0 / 3.0
    slope = share * (1.0 - share)  # of the fraction by the logarithm of k, and of each sum
    expected = slope**2 * (0.1**2 + (560.0 / 400.0**2 + 260.0 / 100.0**2))
    assert ((one.high[1] - one.low[1]) / 2 / quantile(0.9)) ** 2 == pytest.approx(
        expected, rel=0.2 if samples else 1e-9
    )


def test_no_error_bars_of_coefficients() -> None:
    with pytest.raises(UserError, match="needs maps of elements"):
        prepare("linear_regression", ("uncertainty.method=bootstrap",))


@pytest.mark.parametrize("method", ["none", "curvature", "bootstrap"])
def test_files(tmp_path: Path, method: str) -> None:
    sets = (
        *SMALL,
        f"uncertainty.method={method}",
        "composition={regions: {core: {rows: [10, 22], columns: [10, 22]}}}",
    )
    first, second = tmp_path / "first", tmp_path / "second"
    words = [word for override in sets for word in ("--set", override)]
    assert main(["run", "cos_nanoparticle", "--quiet", "--output", str(first), *words]) == 0
    assert main(["run", str(first / "config.resolved.yaml"), "--quiet", "--output", str(second)]) == 0
    saved, again = read_result(first), read_result(second)
    summary = json.loads((first / "summary.json").read_text())
    assert saved.regions == ("all", "core")
    assert summary["composition"]["core"]["fractions"]["S"] == pytest.approx(saved.composition["fractions"][1, 1])
    np.testing.assert_allclose(saved.composition["fused"].sum(1), 1.0)
    np.testing.assert_array_equal(saved.composition["low"], again.composition["low"])
    assert (first / "uncertainty.png").exists() == (method != "none")
    if method == "none":
        assert summary["uncertainty"] is None
        assert not saved.uncertainty
        assert saved.interval is None
        return
    assert summary["uncertainty"]["method"] == method
    assert summary["seconds"]["uncertainty"] > 0.0
    assert saved.interval == 0.9
    spread = saved.uncertainty["standard_deviation"]
    assert spread.shape == saved.x.shape
    assert np.all(spread >= 0.0)
    assert summary["uncertainty"]["rms_standard_deviation"]["O"] == pytest.approx(
        np.mean(spread[2] ** 2) ** 0.5, rel=1e-4
    )
    np.testing.assert_array_equal(spread, again.uncertainty["standard_deviation"])


def test_a_diverged_solve_has_no_error_bars() -> None:
    from fusionkit.result import Status

    job, result = phantom("uncertainty.method=curvature")
    record = job.record(replace(result, status=Status.DIVERGED))
    assert record.uncertainty is None
    assert any("No error bars" in each.text for each in record.diagnostics)


def test_nothing_is_assessed_unasked() -> None:
    assert not load_config("cos_nanoparticle").config.assessed
    job, result = phantom()
    assert job.record(result).uncertainty is None
