"""One flaw at a time: its sentence must appear, and none on sound data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import load
from fusionkit.data.prepare.shift import coarse
from fusionkit.report.diagnostics.image_and_counts import image_and_counts
from fusionkit.report.diagnostics.information import image_shares
from fusionkit.results.record import RunRecord

Change = Callable[[Dataset], Dataset]
RANDOM = np.random.default_rng(0)


def solved(preset: str, dose: float, *sets: str, change: Change | None = None) -> RunRecord:
    def read(*arguments: object) -> Dataset:
        dataset = load(*arguments)  # type: ignore[arg-type]
        return dataset if change is None else change(dataset)

    size = 128 if preset == "lattice" else 64
    own = (f"data.phantom.preset={preset}", f"data.phantom.dose={dose}", f"data.phantom.size={size}")
    job = fk.prepare("cos_auto", (*own, *sets), read)  # type: ignore[arg-type]
    return job.record(job.solve())


def warnings_of(record: RunRecord) -> str:
    return " | ".join(each.text for each in record.diagnostics if each.level == "warning")


def reasons_of(record: RunRecord) -> str:
    assert record.verdict is not None
    return f"{record.verdict.level}: " + " | ".join(record.verdict.reasons)


def arrays(**changes: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(dataset: Dataset) -> Dataset:
        new = {name: do(np.asarray(dataset.arrays[name], np.float64)) for name, do in changes.items()}
        return replace(dataset, arrays={**dataset.arrays, **new}, haadf_sigma=None)

    return change


SOUND = [("cos_nanoparticle", 5), ("cos_nanoparticle", 20), ("films", 5), ("films", 50), ("lattice", 20)]
IMAGE, MAPS, GAMMA, APART = (
    "not dark where the maps are empty",
    "counts a pixel where the HAADF",
    "gamma = ",
    "off the maps",
)
FLAWS: dict[str, tuple[str, float, tuple[str, ...], Change | None, str]] = {
    "offset of the image": ("cos_nanoparticle", 20, (), arrays(haadf=lambda b: b + 0.03 * b.max()), IMAGE),
    "offset of the image, films": ("films", 5, (), arrays(haadf=lambda b: b + 0.03 * b.max()), IMAGE),
    "background of a map": (
        "cos_nanoparticle",
        20,
        (),
        arrays(maps=lambda b: b + RANDOM.poisson(2.0, b.shape) * np.array([0, 0, 1])[:, None, None]),
        "The map of O holds 2 counts a pixel",
    ),
    "background of maps, films": ("films", 10, (), arrays(maps=lambda b: b + RANDOM.poisson(1.0, b.shape)), MAPS),
    "gamma too low": ("cos_nanoparticle", 20, ("terms.haadf.gamma=1.4",), None, "gamma were about 1.7"),
    "gamma too low, films": ("films", 50, ("terms.haadf.gamma=1.5",), None, "gamma were about 1.8"),
    "gamma too high": ("films", 50, ("terms.haadf.gamma=2.0",), None, "gamma were about 1.6"),
    "gamma too high, lattice": ("lattice", 20, ("terms.haadf.gamma=2.0",), None, GAMMA),
    "missing element": ("cos_nanoparticle", 20, ("data.maps={S: S, O: O}",), None, "The fused map of O holds 2"),
    "missing element that another can stand for": (
        "cos_nanoparticle",
        20,
        ("data.maps={Co: Co, O: O}",),
        None,
        "The residual of the map of Co has structure",
    ),
    "missing light element": (
        "cos_nanoparticle",
        20,
        ("data.maps={Co: Co, S: S}",),
        None,
        "The fused map of Co holds 1",
    ),
    "shifted image": (
        "cos_nanoparticle",
        20,
        (),
        arrays(haadf=lambda b: np.roll(b, (2, -1), (0, 1))),
        APART,
    ),
    "shifted maps": ("films", 5, (), arrays(maps=lambda b: np.roll(b, 3, 1)), APART),
    "constant image": (
        "cos_nanoparticle",
        20,
        ("terms.haadf.weight=1.0e-3",),
        arrays(haadf=lambda b: np.full_like(b, b.mean())),
        "The HAADF image is constant",
    ),
    "image of noise": (
        "cos_nanoparticle",
        20,
        (),
        arrays(haadf=lambda b: b.mean() + RANDOM.normal(0.0, 0.1 * b.mean(), b.shape)),
        "image is nearly constant",
    ),
    "blind to an element with few counts": (
        "cos_nanoparticle",
        20,
        (),
        arrays(maps=lambda b: RANDOM.binomial(b.astype(int), np.array([1, 1, 0.03])[:, None, None]).astype(float)),
        "next to nothing about O",
    ),
}


@pytest.mark.parametrize("phantom", SOUND, ids=str)
def test_sound_data_give_no_warning(phantom: tuple[str, float]) -> None:
    assert warnings_of(solved(*phantom)) == ""


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_is_named(flaw: str) -> None:
    preset, dose, sets, change, said = FLAWS[flaw]
    record = solved(preset, dose, *sets, change=change)
    assert said in warnings_of(record) + reasons_of(record)
    assert not reasons_of(record).startswith("good")


@pytest.mark.parametrize("flaw", ["offset of the image", "gamma too low", "shifted image", "background of maps, films"])
def test_a_flaw_is_not_taken_for_another(flaw: str) -> None:
    preset, dose, sets, change, said = FLAWS[flaw]
    found = warnings_of(solved(preset, dose, *sets, change=change))
    mine = next(sentence for sentence in (IMAGE, MAPS, GAMMA, APART) if sentence in said or sentence in found)
    assert [one for one in (IMAGE, MAPS, GAMMA, APART) if one in found] == [mine]


def test_a_light_element_beside_a_heavy_one_is_said_to_rest_on_its_counts() -> None:
    record = solved("cos_nanoparticle", 20)
    notes = [each.text for each in record.diagnostics if each.level == "note"]
    assert any("next to nothing about O" in note and "on the prior" in note for note in notes)
    assert not any("next to nothing about Co" in note for note in notes)


def test_share_of_the_image_is_what_it_takes_off_the_variance() -> None:
    """Against the inverse of the full Fisher information of one pixel."""
    found = image_and_counts(solved("cos_nanoparticle", 20))
    assert found is not None
    row, column = 32, 30
    pixel = replace(found, x=found.x[:, row : row + 1, column : column + 1])
    slope = np.asarray(found.image.forward.jet(pixel.x, second=False).slope, np.float64).ravel()  # type: ignore[attr-defined]
    counts = np.diag(1.0 / (pixel.x.ravel() + found.epsilon))
    variance = np.diag(np.linalg.inv(counts + found.image.weight * np.outer(slope, slope)))
    assert image_shares(pixel)[0] == pytest.approx(1.0 - variance * np.diag(counts))


def test_maps_of_unknown_counts_give_no_number_of_them() -> None:
    change = arrays(maps=lambda b: b / (40.0 + np.cos(np.arange(64) / 20.0)[:, None]))
    weights = (
        "terms.haadf.weight=1.0e-3",
        "terms.poisson.weight=0.01",
        "terms.tv.weight=0.01",
        "solver.max_iterations=100",
    )
    record = solved(
        "cos_nanoparticle",
        20,
        *weights,
        "terms.haadf.gamma=1.4",
        change=lambda d: replace(change(d), counts_per_unit=None),
    )
    assert "gamma = " not in warnings_of(record)
    assert "at a pixel" not in " ".join(each.text for each in record.diagnostics)


def test_a_fitted_offset_is_no_background() -> None:
    offset = arrays(haadf=lambda b: b + 0.05 * b.max())
    assert IMAGE not in warnings_of(solved("cos_nanoparticle", 20, "terms.haadf.offset=auto", change=offset))


@pytest.mark.parametrize("seed", range(8))
def test_unrelated_images_have_no_shift(seed: int) -> None:
    random = np.random.default_rng(seed)
    assert coarse(random.random((48, 50)), random.random((48, 50))) is None
