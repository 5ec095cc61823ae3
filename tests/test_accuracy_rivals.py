"""Independent specimens and rival methods of the validation suite."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy import factors, filters, low_rank, stabilised, user_calls
from benchmarks.accuracy.comparison import comparison
from benchmarks.accuracy.document import write_docs
from benchmarks.accuracy.independent import SCENES
from benchmarks.accuracy.independent.record import VARIANTS, record
from benchmarks.accuracy.methods import COMPARED, NEEDS, OTHERS, USER_CALLS
from benchmarks.accuracy.metrics import mean_nrmse
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.rival_bars import JUDGED_CALLS, rival_bars
from benchmarks.accuracy.specimens import INDEPENDENT, Case, Recording, case
from benchmarks.accuracy.structure import structure
from benchmarks.accuracy.studies import QUICK
from benchmarks.accuracy.table import NAMES

SIZE, DOSE = 48, 20.0
ORIGINALS = Path(__file__).parents[2] / "shared" / "specimens"


def original(module: str) -> Any:
    """A module of the original scripts of specimens and rivals."""
    if not (ORIGINALS / f"{module}.py").is_file():
        pytest.skip("the original scripts are not beside this checkout")
    sys.path.insert(0, str(ORIGINALS))
    try:
        return __import__(module)
    finally:
        sys.path.remove(str(ORIGINALS))


def small(specimen: str = "gb_physics") -> Case:
    return case(Recording(specimen, SIZE, DOSE, 0))


def truth_of(one: Case) -> np.ndarray:
    assert one.dataset.truth is not None
    return one.dataset.truth


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scene", ["gb", "stack", "cathode"])
def test_recordings_are_those_of_the_originals(scene: str, variant: str) -> None:
    theirs, ours = original("scenes").record(scene, variant, DOSE, 1), record(scene, variant, DOSE, 1)
    for name in ("haadf", "clean", "maps", "truth"):
        np.testing.assert_array_equal(getattr(ours, name), theirs[name])
    assert ours.scene.elements == theirs["el"]
    for name, region in theirs["regions"].items():
        np.testing.assert_array_equal(ours.scene.regions[name], region)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("nlm", stabilised.non_local_means),
        ("nmf", factors.factors),
        ("guided", filters.guided),
        ("jnl", low_rank.maps_alone),
        ("jnl_h", low_rank.with_image),
    ],
)
def test_rivals_are_those_of_the_originals(theirs: str, ours: Any) -> None:
    if theirs == "nlm":
        pytest.importorskip("skimage", reason="scikit-image is not installed: '.[bench]'")
    method, one = original("rivals").RIVALS[theirs], small()
    given = {**one.dataset.arrays, "truth": truth_of(one)}
    np.testing.assert_allclose(ours(one)[0], method(given), rtol=1e-9, atol=1e-9)


def test_scores_of_structure_are_those_of_the_originals() -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed: '.[bench]'")
    one = small()
    x, actual = one.dataset.arrays["maps"], structure(one.dataset.arrays["maps"], one)
    given = {"truth": truth_of(one), "regions": one.regions, "clean": one.clean}
    theirs = original("rivals").score(x, given)
    assert actual is not None
    ours = (actual.fraction, actual.total, actual.sharpness, actual.invented)
    assert ours == pytest.approx([theirs[name] for name in ("frac", "bias", "sharp", "inv")])


@pytest.mark.parametrize("scene", list(SCENES))
def test_scenes(scene: str) -> None:
    actual = {variant: record(scene, variant, DOSE, 2) for variant in VARIANTS}
    again = record(scene, "hard", DOSE, 2)
    np.testing.assert_array_equal(actual["hard"].maps, again.maps)
    np.testing.assert_array_equal(actual["hard"].haadf, again.haadf)
    assert (actual["hard"].scene.density != record(scene, "hard", DOSE, 3).scene.density).any()
    for one in actual.values():
        assert (one.scene.density >= 0).all()
        assert all(region.sum() >= 9 for region in one.scene.regions.values())
        matter = one.truth.sum(axis=0) > 0.05 * one.truth.sum(axis=0).max()
        assert one.truth[:, matter].mean() == pytest.approx(DOSE, rel=0.15)
        assert one.maps.mean() == pytest.approx(one.truth.mean(), rel=0.02)
    assert actual["physics"].haadf.min() > 700.0  # the detector's offset


def test_a_smaller_recording_is_the_middle_of_the_whole() -> None:
    whole, middle = record("needles", "hard", DOSE, 0), small("needles_hard")
    np.testing.assert_array_equal(middle.dataset.arrays["maps"], whole.maps[:, 40:88, 40:88])
    with pytest.raises(ValueError, match="128 pixels"):
        case(Recording("needles_hard", 256, DOSE, 0))


def test_the_truth_has_perfect_structure() -> None:
    one = small()
    truth = truth_of(one)
    actual = structure(truth + 1e-9 * np.random.default_rng(0).random(truth.shape), one)
    assert actual is not None
    assert (actual.fraction, actual.total) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert actual.sharpness == pytest.approx(1.0, abs=1e-6)


def test_structure_of_the_image_is_invented() -> None:
    one = small("gb_hard")
    assert one.clean is not None
    actual = structure(truth_of(one) + 0.01 * one.clean / one.clean.mean(), one)
    assert actual is not None
    assert actual.invented > 0.3


def test_the_root_of_counts_is_inverted_without_bias() -> None:
    counts = np.random.default_rng(0).poisson(7.0, 200_000).astype(float)
    mean = np.full(1, stabilised.root(counts).mean())
    assert stabilised.counts_of(mean)[0] == pytest.approx(7.0, rel=0.005)


@pytest.mark.parametrize("method", list(OTHERS))
def test_rivals_are_nearer_to_the_truth_than_the_counts(method: str) -> None:
    if method in NEEDS:
        pytest.importorskip(NEEDS[method], reason=f"{NEEDS[method]} is not installed: '.[bench]'")
    one = small()
    x, _ = OTHERS[method](one)
    assert mean_nrmse(x, truth_of(one)) < 0.7 * mean_nrmse(one.dataset.arrays["maps"], truth_of(one))


@pytest.mark.parametrize("method", list(USER_CALLS))
def test_user_calls_give_maps(method: str) -> None:
    one = small()
    x, facts = USER_CALLS[method](one)
    assert x.shape == truth_of(one).shape
    assert np.isfinite(x).all()
    assert facts["status"]
    if method.endswith("_alone"):
        assert "haadf" not in facts["weights"]


def test_without_the_image_no_term_reads_it() -> None:
    recorded = small()
    other = recorded.dataset.arrays["haadf"][::-1].copy()
    turned = Case(type(recorded.dataset)({**recorded.dataset.arrays, "haadf": other}, recorded.dataset.elements))
    run = user_calls.packaged("cos_nonlocal", image=False)
    np.testing.assert_array_equal(run(recorded)[0], run(turned)[0])


def rows() -> Rows:
    """Made-up rows: the error of fusionkit is half that of every other method."""
    facts = {"fraction": 0.01, "in_sigmas": 1.0, "total": 0.01, "invented": 0.05, "sharpness": 0.97}
    return Rows(
        tuple(
            {
                "specimen": specimen,
                "size": SIZE,
                "dose": dose,
                "seed": 0,
                "method": method,
                "elements": ["Ni", "Cr"],
                "nrmse": [0.05, 0.1] if method in JUDGED_CALLS else [0.1, 0.2],
                **facts,
            }
            for specimen in (*INDEPENDENT, "films")
            for dose in (5.0, 20.0)
            for method in COMPARED
        )
    )


def test_bars_of_rivals() -> None:
    actual = {bar.what: [one.held for one in bar.measured] for bar in rival_bars(rows())}
    assert actual["error / best Gaussian's, geometric mean, `hard`, 20 counts"] == [True, True, True]
    assert actual["error / best Gaussian's, geometric mean, `physics`, 20 counts"] == [False, False, False]
    assert actual["error / that without the image, mean, `model`, 5 counts"] == [None, True, True]
    assert all(all(one is not False for one in held) for what, held in actual.items() if "share" in what)


def test_tables_mark_what_flatters_and_leave_out_what_is_absent() -> None:
    kept = Rows(tuple(row for row in rows().rows if row["method"] != "bm3d"))
    text = comparison(kept)
    assert text.count("**Own model**") == 2
    assert "| BM3D |" not in text
    assert f"| {NAMES['fuse']} | 0.50 | 0.50 | 100% |" in text
    assert "| gb_hard | Cr | 0.50 | 0.50 |" in text


def test_each_part_of_the_page_is_renewed_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    end = "<!-- end of measured -->"
    page.write_text(
        f"a\n<!-- measured -->\nold\n{end}\nb\n<!-- measured: rivals -->\nolder\n{end}\nc\n", encoding="utf-8"
    )
    write_docs({"rivals": rows()}, QUICK, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"a\n<!-- measured -->\nold\n{end}\nb\n<!-- measured: rivals -->\n\n## Targets")
    assert text.endswith(f"{end}\nc\n")
    assert "older" not in text
