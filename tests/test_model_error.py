"""`weight: {auto: count_splitting}` of an image: held-out counts lower its weight where the model is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionkit.cli import main
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.errors import UserError
from fusionkit.reconstruct import Job, prepare
from fusionkit.terms import Array

SEARCHED, NOISE = "terms.haadf.weight={auto: count_splitting}", "terms.haadf.weight=auto"


def recording(spoil: Callable[[Array], Array], preset: str = "films", dose: float = 20.0) -> Dataset:
    phantom = {"preset": preset, "size": 64, "dose": dose, "seed": 0}
    data = load(DataOptions.model_validate({"phantom": phantom}), Path(), "data")
    return replace(data, arrays={**data.arrays, "haadf": spoil(data.arrays["haadf"])})


def job(data: Dataset, weight: str) -> Job:
    return prepare("cos_adaptive", (weight, "solver.tolerance=1e-3"), read=lambda *_: data)


def error(one: Job) -> float:
    truth = one.dataset.truth
    assert truth is not None
    return float(np.linalg.norm(one.solve().x - truth) / np.linalg.norm(truth))


def stripes(image: Array) -> Array:
    """Contrast that comes from no element, such as diffraction."""
    return image * (1.0 + 0.3 * np.sign(np.sin(np.arange(image.shape[1]) / 4.0)))


SPOILT: dict[str, Callable[[Array], Array]] = {
    "stripes": stripes,
    "another region": lambda image: image[::-1, ::-1].copy(),
    "three pixels off": lambda image: np.roll(image, 3, axis=0),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_wrong_model_loses_its_weight(spoil: Callable[[Array], Array]) -> None:
    data = recording(spoil)
    searched = job(data, SEARCHED)
    chosen = searched.weights[0]
    assert chosen.facts["of_the_noise"] < 0.05
    assert chosen.weight < 0.05 * chosen.facts["sigma"] ** -2
    assert chosen.weight == 0.0 or "differ by" in chosen.note
    actual, believed, without = error(searched), error(job(data, NOISE)), error(job(data, "terms.haadf.weight=0.0"))
    assert actual < 0.7 * believed
    assert actual < 1.2 * without


@pytest.mark.parametrize("preset", ["films", "cos_nanoparticle"])
@pytest.mark.parametrize("dose", [5.0, 100.0])
def test_a_right_model_keeps_what_it_is_worth(preset: str, dose: float) -> None:
    data = recording(lambda image: image, preset, dose)
    searched = job(data, SEARCHED)
    assert searched.weights[0].facts["of_the_noise"] > 0.02
    assert error(searched) < 1.03 * error(job(data, NOISE))
    assert error(searched) < 0.95 * error(job(data, "terms.haadf.weight=0.0"))


@pytest.mark.parametrize("model", ["power_sum", "z_contrast"])
def test_held_out_counts_choose_the_model(model: str) -> None:
    def linear_in_thickness(image: Array) -> Array:
        truth, noise = np.asarray(data.truth), np.random.default_rng(1).standard_normal(image.shape)
        return np.tensordot([3.1**1.7, 4.9**1.7, 0.8**1.7], truth, axes=1) + noise

    data = recording(lambda image: image)
    if model == "z_contrast":
        data = recording(linear_in_thickness)
    sets = ("terms.haadf.model=auto", "terms.haadf.gain=auto", "terms.haadf.offset=auto", "terms.smooth.weight=0.0")
    z = "terms.haadf.z={Ga: 3.1, In: 4.9, O: 0.8}"
    (chosen, *_) = prepare(
        "cos_adaptive",
        (SEARCHED, "solver.tolerance=1e-3", *sets, *((z,) if model == "z_contrast" else ())),
        read=lambda *_: data,
    ).weights
    assert chosen.options == {"model": model}
    assert chosen.facts[f"gain_of_{model}"] > 3.0 * chosen.facts[f"error_of_gain_of_{model}"]
    assert f"with the model {model}" in chosen.note


def test_the_resolved_configuration_has_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--set", "data.phantom.size=32", "--quiet"]
    assert main(["run", "cos_adaptive", *size, "--output", str(tmp_path / "first")]) == 0
    first = tmp_path / "first" / "config.resolved.yaml"
    assert "count_splitting" not in first.read_text()
    assert main(["run", str(first), "--quiet", "--output", str(tmp_path / "second")]) == 0
    assert (tmp_path / "second" / "config.resolved.yaml").read_text().replace("second", "first") == first.read_text()
    capsys.readouterr()


def test_validate_searches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "cos_adaptive", "--set", "data.phantom.size=32"]) == 0
    assert "The weight of haadf may be lowered by count_splitting" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ("terms.haadf.weight={auto: sure}", "sure is for penalties"),
        ("terms.poisson.weight={auto: count_splitting}", "comes from its noise"),
        ("terms.haadf.weight={auto: best}", "must be 'count_splitting'"),
        ("terms.haadf={type: haadf, weight: auto, model: auto}", "the weight comes from the noise alone"),
        ("terms.haadf={type: haadf, weight: 1.0, model: auto}", "held-out counts do not choose the weight"),
        ("terms.tgv={type: tgv, weight: auto, guide_share: auto}", "guide_share"),
    ],
)
def test_refusals(sets: str, said: Any) -> None:
    with pytest.raises(UserError, match=said):
        job(recording(lambda image: image), sets)


# ------------------------------------------------------------------------------------------- which of several penalties


@pytest.mark.parametrize(
    ("preset", "size", "dose", "best"),
    [("cos_nanoparticle", 64, 20.0, "tgv"), ("films", 64, 20.0, "tgv"), ("lattice", 96, 20.0, "smooth")],
)
def test_counts_choose_the_penalty(preset: str, size: int, dose: float, best: str) -> None:
    sets = (f"data.phantom={{preset: {preset}, size: {size}, dose: {dose}}}", "terms.haadf.weight=auto")
    both = prepare("cos_adaptive", (*sets, "solver.tolerance=1e-3"))
    weights = {one.term: one for one in both.weights}
    other = {"tgv": "smooth", "smooth": "tgv"}[best]
    assert weights[best].weight > 0.0
    assert weights[other].weight == 0.0
    assert f"above that of {best}" in weights[other].note
    actual = both.solve()
    assert actual.terms[other] == 0.0
    alone = prepare("cos_adaptive", (*sets, "solver.tolerance=1e-3", f"terms.{best}.weight=0.0"))
    assert error(both) < error(alone)


def test_a_penalty_of_weight_zero_costs_nothing() -> None:
    sets = ("data.phantom.size=32", "terms.haadf.weight=auto", "terms.tgv.weight=0.5")
    with_both = prepare("cos_adaptive", (*sets, "terms.smooth.weight=0.0"))
    result = with_both.solve()
    assert result.terms["smooth"] == 0.0
    assert list(result.duals) == ["tgv"]
    without = [term for term in with_both.problem.terms if term.name != "smooth"]
    again = replace(with_both, problem=replace(with_both.problem, terms=tuple(without))).solve()
    np.testing.assert_array_equal(result.x, again.x)
