"""Diagnostics: no finding on complete models, a warning where an element, an exponent or counts are wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.config import packaged_configs
from fusionkit.data.noise import busiest
from fusionkit.report.diagnostics import diagnose
from fusionkit.report.diagnostics.images import explainable, greatest_noise
from fusionkit.results.record import RunRecord

SMALL = "data.phantom.size=64"


def solved(config: str, *overrides: str) -> RunRecord:
    job = fk.prepare(config, overrides)
    return job.record(job.solve())


def warnings_of(record: RunRecord) -> list[str]:
    return [each.text for each in record.diagnostics if each.level == "warning"]


@pytest.mark.parametrize("config", [name for name in packaged_configs() if name != "dysco3"])
def test_packaged_configs_give_no_false_alarm(config: str) -> None:
    sized = (SMALL,) if "cos_" in config else ()
    assert warnings_of(solved(config, *sized)) == []


def test_a_large_image_gives_no_false_alarm() -> None:
    """Its middle may hold nothing but matter, and its features are large."""
    assert warnings_of(solved("cos_nanoparticle", "data.phantom.size=700", "terms.haadf.weight=1.0e-3")) == []


def test_the_busiest_part_shows_matter_and_vacuum() -> None:
    image = np.zeros((1500, 1000))
    image[:1100] = 1.0
    rows, columns = busiest(image)
    assert (image[rows, columns].shape, image[rows, columns].min(), image[rows, columns].max()) == (
        (512, 512),
        0.0,
        1.0,
    )
    assert busiest(np.ones((30, 40)))[0] == slice(0, 512)


FAULTS = {
    "missing element": (("data.maps={S: S, O: O}",), "the fused map of s holds 2"),
    "missing light element": (("data.maps={Co: Co, S: S}",), "the fused map of co holds 1"),
    "exponent": (("terms.haadf.gamma=1.4",), "gamma"),
    "penalty": (("terms.tv.weight=30",), "% of the net counts"),
    "weight": (("terms.haadf.weight=1e-6",), "does not fit the maps"),
    "weight for another dose": (("data.phantom.dose=1",), "does not fit the maps"),
    "iterations": (("solver.max_iterations=10",), "raise solver.max_iterations"),
    "dose": (("data.phantom.dose=0.01",), "its mean alone is uncertain by"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault: str) -> None:
    overrides, said = FAULTS[fault]
    record = solved("cos_nanoparticle", SMALL, *overrides)
    assert record.verdict is not None
    assert said in " ".join([*warnings_of(record), *record.verdict.reasons]).lower()
    assert record.verdict.level != "good"


@pytest.fixture(scope="module")
def run() -> RunRecord:
    return solved("cos_nanoparticle", "data.phantom.size=32")


def test_lost_and_empty_maps(run: RunRecord) -> None:
    x = run.result.x.copy()
    x[0] = 0.0
    lost = dataclasses.replace(run, result=dataclasses.replace(run.result, x=x))
    assert any(each.text.startswith("The fused map of Co is zero") for each in diagnose(lost))
    maps = run.dataset.arrays["maps"].copy()
    maps[1] = 0.0
    dataset = dataclasses.replace(run.dataset, arrays={**run.dataset.arrays, "maps": maps})
    empty = diagnose(dataclasses.replace(run, dataset=dataset))
    assert any(each.text.startswith("The raw map of S is empty") for each in empty)


def test_values_that_are_not_finite(run: RunRecord) -> None:
    x = run.result.x.copy()
    x[0, 0, 0] = np.nan
    found = diagnose(dataclasses.replace(run, result=dataclasses.replace(run.result, x=x)))
    assert [each.level for each in found] == ["warning"]
    assert "not finite" in found[0].text


def test_values_whose_squares_float32_cannot_hold(run: RunRecord) -> None:
    x = run.result.x.astype(np.float32) * np.float32(1e25)
    found = diagnose(dataclasses.replace(run, result=dataclasses.replace(run.result, x=x)))
    assert not any("fault" in each.text for each in found)
    assert any("against the ground truth" in each.text for each in found)


def test_noise_level() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 3.0, (300, 300))
    slope = np.add.outer(np.arange(300.0), np.arange(300.0))
    assert greatest_noise(slope + noise) == pytest.approx(3.0, rel=0.03)
    assert explainable(noise, None) < 0.05
    assert explainable(slope + noise, 3.0) == pytest.approx(1.0 - 9.0 / np.var(slope + noise))
    for scale in (1e25, 5e35):  # float32 holds neither squares nor differences
        large = (scale * (slope + noise)).astype(np.float32)
        assert explainable(large, None) == pytest.approx(explainable(slope + noise, None), rel=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5)])
def test_images_too_small_to_judge(shape: tuple[int, int]) -> None:
    assert greatest_noise(np.ones(shape)) == 0.0


def test_the_summary_holds_every_sentence(run: RunRecord) -> None:
    from fusionkit.results.summary import summarise

    assert summarise(run, 0.0)["diagnostics"] == [each.text for each in run.diagnostics]
    assert run.diagnostics


def test_epsilon_is_no_count_of_a_sparse_map() -> None:
    """For a layer with 0.05 counts per pixel, an epsilon of 0.1 is twice the signal."""
    rng, columns = np.random.default_rng(0), np.indices((64, 96))[1]
    known = {"Hf": 5.0 * (np.abs(columns - 48) < 1), "Si": 5.0 * (columns < 48), "O": 6.0 * (columns >= 48)}
    z = {"Hf": 72, "Si": 14, "O": 8}
    image = np.sum([(z[element] / 31.333 * one) ** 1.7 for element, one in known.items()], axis=0)
    image = image + 0.02 * image.max() * rng.standard_normal(columns.shape)
    terms = [
        {"type": "haadf", "gamma": 1.7, "weight": 1 / (0.02 * image.max()) ** 2},
        {"type": "poisson", "epsilon": 0.1},
        {"type": "tv", "weight": 0.3},
        "nonnegative",
    ]
    fused = fk.fuse(image, {e: rng.poisson(one) for e, one in known.items()}, terms=terms, normalize="none")
    assert not [note for note in fused.notes if "times the counts" in note]
