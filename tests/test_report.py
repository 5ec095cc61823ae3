"""The report of a run: its content, escaping of user text, and its size."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reports import large, read, solved

from fusionkit.cli import main
from fusionkit.config.yaml import dump
from fusionkit.report.content import Page
from fusionkit.report.html import render, to_script_json
from fusionkit.report.images import LEVELS, encode_all
from fusionkit.report.residuals import histogram, quantile_residuals
from fusionkit.report.run_page import run_page
from fusionkit.results.record import Diagnostic, RunRecord
from fusionkit.results.summary import versions

RUN = solved("cos_nanoparticle", "data.phantom.size=32")
PAGE = read(render(run_page(RUN, "cos")))


def changed(record: RunRecord, **fields: object) -> RunRecord:
    """The record with changed fields of its result."""
    return dataclasses.replace(record, result=dataclasses.replace(record.result, **fields))  # pyright: ignore[reportArgumentType]


def test_content() -> None:
    content = PAGE.content
    assert (content["title"], content["verdict"], content["level"]) == ("cos", "Caution", "caution")
    assert [panel["label"] for panel in content["panels"]] == ["Co", "S", "O", "HAADF", "HAADF − model"]
    assert [layer["name"] for layer in content["panels"][0]["layers"]] == ["raw", "fused", "truth", "raw − fused"]
    assert {panel["unit"] for panel in content["panels"][:3]} == {"counts"}
    assert (content["units"], content["pixels"]) == ("nm", [32, 32])
    assert content["field_width"] == pytest.approx(50.0)
    assert content["texts"] == [["Resolved configuration", dump(RUN.resolved_config)]]
    # other tests may have loaded optional libraries since
    assert dict(content["details"][0]["rows"]).items() <= versions().items()
    said = [each["text"] for each in content["diagnostics"]]
    assert RUN.verdict is not None
    assert said == [*RUN.verdict.reasons, *(each.text for each in RUN.diagnostics), *RUN.dataset.notes]
    titles = [chart["title"] for section in content["sections"] for chart in section["charts"]]
    assert titles[:4] == ["HAADF", "Co", "S", "O"]
    assert "Optimality and its parts" in titles


def test_images_are_those_of_the_run() -> None:
    maps = RUN.dataset.arrays["maps"]
    np.testing.assert_array_equal(PAGE.image("raw 0"), maps[0])
    assert PAGE.content["images"]["raw 0"]["exact"]
    for key, image in (("fused 1", RUN.result.x[1]), ("fit 0 model", RUN.model_haadf)):
        assert image is not None
        np.testing.assert_allclose(PAGE.image(key), image, rtol=0, atol=0.501 * float(np.ptp(image)) / LEVELS[0])
    assert PAGE.content["derived"]["fit 0"] == {"first": "fit 0 model", "sign": 1, "second": "fit 0 residual"}
    assert "rounded to 1/4094" in PAGE.content["precision"]


def test_nothing_is_fetched() -> None:
    for tag, attributes in PAGE.tags:
        for name in ("src", "href", "action", "data", "srcset"):
            assert not attributes.get(name, "").replace("data:,", ""), (tag, attributes)
    text = render(run_page(RUN, "cos"))
    assert not re.search(r"url\(|@import|import\(|XMLHttpRequest|WebSocket|sendBeacon|importScripts", text)
    assert "default-src 'none'" in text


HOSTILE = "</script><img src=x onerror=alert(1)>&\u2028<!--"


def test_text_of_a_user_stays_text() -> None:
    record = dataclasses.replace(
        changed(RUN, labels=(HOSTILE, "S", "O"), message=HOSTILE, notes=(HOSTILE,)),
        resolved_config={"note": HOSTILE},
        warnings=(HOSTILE,),
        diagnostics=(Diagnostic("warning", HOSTILE),),
        term_weights={HOSTILE: 1.0},
    )
    hostile = read(render(run_page(record, HOSTILE)))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in PAGE.tags]
    assert hostile.content["title"] == HOSTILE
    assert hostile.content["panels"][0]["label"] == HOSTILE
    assert hostile.content["texts"][0][1] == dump({"note": HOSTILE})


@given(st.recursive(st.text() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_in_a_script(value: object) -> None:
    text = to_script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert "<title>$payload ${scripts}</title>" in render(Page(title="$payload ${scripts}"))


IMAGES = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=7),
    elements=st.floats(allow_subnormal=False, width=32),
)


@settings(max_examples=200)
@given(IMAGES, st.sampled_from(LEVELS))
def test_encoding_keeps_what_it_says(image: np.ndarray, levels: int) -> None:
    from fusionkit.report.images import encode

    one = encode(image, levels)
    head = {"id": 0, "ny": one.ny, "nx": one.nx, "low": one.low, "step": one.step, "missing": one.missing}
    values = dataclasses.replace(PAGE, content={"images": {"x": head}}, blobs={0: one.data}).image("x")
    known = np.isfinite(image)
    np.testing.assert_array_equal(np.isfinite(values), known)
    wide = np.asarray(image, np.float64)[known]
    rounding = 1e-12 * float(np.abs(wide).max(initial=0.0))
    error = np.abs(values[known] - wide)
    assert np.all(error <= (0.0 if one.exact else 0.501 * one.step) + rounding)


def test_a_page_that_would_be_too_large_is_coarser_then_smaller() -> None:
    noise = {"a": np.random.default_rng(0).random((64, 64))}
    sizes = {budget: encode_all(noise, budget) for budget in (10_000, 9_000, 7_500, 2_500)}
    assert [pictures.levels for pictures in sizes.values()][:3] == list(LEVELS)
    assert [pictures.largest for pictures in sizes.values()] == [None, None, None, 32]
    assert all(len(pictures.images["a"].data) <= budget for budget, pictures in sizes.items())
    with pytest.raises(ValueError, match="do not fit"):
        encode_all(noise, 5)


def test_size_at_1024_pixels_and_four_elements() -> None:
    record = large()
    text = render(run_page(record, "large"))
    page = read(text)
    assert len(text.encode()) < 15_000_000
    assert [panel["label"] for panel in page.content["panels"]][:4] == ["Co", "S", "O", "Fe"]
    assert page.content["pixels"] == [1024, 1024]
    np.testing.assert_array_equal(page.image("raw 3"), record.dataset.arrays["maps"][3])


SHAPES = {
    "vector": (3,),
    "long vector": (60,),
    "few pixels": (2, 3, 1),
    "one image": (16, 12),
    "small table": (2, 3),
    "volume": (2, 3, 4, 5),
    "many maps": (60, 9, 8),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_any_shape_of_unknown_gives_a_page(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).random(shape)
    record = changed(solved("linear_regression"), x=x, labels=tuple(f"w{index}" for index in range(shape[0])))
    content = read(render(run_page(record, "some"))).content
    is_images = len(shape) == 3 or (len(shape) == 2 and min(shape) >= 8)
    assert bool(content["panels"]) == is_images
    assert ("Solution" in [section["title"] for section in content["sections"]]) != is_images
    if shape[0] == 60 and is_images:
        assert any("Only the first 48 of 60 maps" in each["text"] for each in content["diagnostics"])


def test_a_vector_is_shown_with_its_labels_and_truth() -> None:
    content = read(render(run_page(solved("linear_regression"), "line"))).content
    (solution, *_) = content["sections"]
    assert [chart["title"] for chart in solution["charts"]] == ["Coefficients", "Data against prediction"]
    assert solution["charts"][0]["ticks"] == ["slope", "intercept"]
    assert content["tables"][0]["rows"][0][0] == "slope"
    assert content["panels"] == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_run_gives_a_page(value: float) -> None:
    x = RUN.result.x.copy()
    x[0, :5] = value
    page = read(render(run_page(changed(RUN, x=x, objective=value), "diverged")))
    assert np.isnan(page.image("fused 0")[:5]).all()
    x[:] = value
    assert np.isnan(read(render(run_page(changed(RUN, x=x), "diverged"))).image("fused 2")).all()


@pytest.mark.parametrize("mean", [0.2, 3.0, 500.0])
def test_quantile_residuals_of_poisson_counts_are_normal(mean: float) -> None:
    means = np.full(20_000, mean)
    z = quantile_residuals(np.random.default_rng(1).poisson(means).astype(np.float64), means)
    assert np.mean(z) == pytest.approx(0.0, abs=0.03)
    assert np.std(z) == pytest.approx(1.0, abs=0.03)


def test_histogram_is_a_density() -> None:
    bars, normal = histogram("x", np.random.default_rng(0).standard_normal(50_000), "").curves
    assert sum(bars.y) * (bars.x[1] - bars.x[0]) == pytest.approx(1.0)
    np.testing.assert_allclose(bars.y, normal.y, atol=0.02)


def test_maps_behind_a_forward_model_are_judged_by_its_prediction() -> None:
    record = solved("new_modality", "data.phantom.size=32")
    assert set(record.models) == {"haadf", "maps"}
    charts = next(s for s in run_page(record, "x").sections if s.title.startswith("Residuals")).charts
    assert [chart.title for chart in charts] == ["HAADF", "Co", "S", "O"]


def test_the_switch(tmp_path: Path) -> None:
    command = ["run", "linear_regression", "--quiet", "--set", "output.figures=false"]
    assert main([*command, "--output", str(tmp_path / "with")]) == 0
    assert main([*command, "--set", "output.report=false", "--output", str(tmp_path / "without")]) == 0
    assert (tmp_path / "with" / "report.html").stat().st_size > 100_000
    assert not (tmp_path / "without" / "report.html").exists()


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, fusionkit.report.html, fusionkit.report.run_page; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"matplotlib", "PIL", "jinja2", "skimage"} & set(loaded)
