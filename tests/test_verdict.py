"""Verdicts: each flaw has its level and its reason, sound runs are good, and every page and file shows it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import convolve

import fusionkit as fk
from benchmarks.verdicts import BROKEN, sound
from fusionkit.calibration import Parameter
from fusionkit.cli import main
from fusionkit.data.dataset import Dataset
from fusionkit.report.diagnostics.maps import net_counts
from fusionkit.report.html import render
from fusionkit.report.run_page import run_page
from fusionkit.report.verdict import judge
from fusionkit.result import Status
from fusionkit.results.record import RunRecord, Verdict

RANDOM = np.random.default_rng(5)
Y, X = np.mgrid[-16:16, -16:16]
SHAPES = np.stack([Y**2 + X**2 < 80, (np.abs(Y) < 5) | (X > 9)]) * np.array([30.0, 20.0])[:, None, None]
MAPS = RANDOM.poisson(SHAPES).astype(np.float64)
Z = np.array([79.0, 14.0])[:, None, None] / 46.5
IMAGE = 50.0 + np.sum((Z * SHAPES) ** 1.7, axis=0) + RANDOM.normal(0.0, 6.0, Y.shape)
TERMS: list[Any] = [
    {"type": "haadf", "weight": "auto", "gamma": 1.7, "gain": "auto", "offset": "auto"},
    {"type": "poisson", "epsilon": 0.01},
    {"type": "tv", "weight": 0.2},
    "nonnegative",
]
RECORD = fk.fuse(IMAGE, {"Au": MAPS[0], "Si": MAPS[1]}, terms=TERMS).record


def result(**changes: Any) -> Callable[[RunRecord], RunRecord]:
    return lambda record: replace(record, result=replace(record.result, **changes))


def times(factor: float) -> Callable[[RunRecord], RunRecord]:
    return lambda record: replace(record, result=replace(record.result, x=record.result.x * np.float32(factor)))


def arrays(**changes: Any) -> Callable[[RunRecord], RunRecord]:
    return lambda record: replace(
        record, dataset=replace(record.dataset, arrays={**record.dataset.arrays, **changes}, counting=None)
    )


def exchanged(record: RunRecord) -> RunRecord:
    elements = ("Si", "Au")
    data = Dataset(record.dataset.arrays, elements)
    return replace(record, dataset=data, result=replace(record.result, labels=elements))


LINEAR = 50.0 + np.sum(Z * SHAPES, axis=0) + RANDOM.normal(0.0, 2.0, Y.shape)
BACKGROUND = np.stack([np.full(Y.shape, 25.0), np.zeros(Y.shape)])
SHIFTED = np.roll(RECORD.result.x, 5, axis=2)
UNDETERMINED = {"haadf": {"gain": Parameter(2.6e-5, np.inf)}}
CASES: dict[str, tuple[Callable[[RunRecord], RunRecord], str, str]] = {
    "sound": (lambda record: record, "good", ""),
    "inverted image": (arrays(haadf=IMAGE.max() - IMAGE), "caution", "dark where the maps are bright"),
    "shifted image": (arrays(haadf=np.roll(IMAGE, 3, 1)), "caution", "moves it by (-0.0, -3.0) pixels, it differs by"),
    "another gamma": (arrays(haadf=LINEAR), "caution", "With gamma: 1"),
    "another image": (arrays(haadf=np.rot90(IMAGE)), "caution", "No other gamma mends that"),
    "saturated image": (arrays(haadf=np.minimum(IMAGE, np.quantile(IMAGE, 0.7))), "caution", "saturated"),
    "exchanged labels": (exchanged, "unusable", "labels of Si and Au seem to be exchanged"),
    "counts lost": (times(0.9), "caution", "90 % of the net counts"),
    "many counts lost": (times(0.6), "unusable", "60 % of the net counts"),
    "smoothed maps": (arrays(maps=convolve(MAPS, np.ones((1, 2, 2)))), "unusable", "The map of Si was smoothed"),
    "not a number": (result(x=RECORD.result.x * np.nan), "unusable", "not finite"),
    "not converged": (result(status=Status.MAX_ITERATIONS), "caution", "did not converge (max_iterations"),
    "diverged": (result(status=Status.DIVERGED), "unusable", "did not converge"),
    "structure": (result(x=SHIFTED), "unusable", "has structure"),
    "no gain": (result(parameters=UNDETERMINED), "caution", "do not determine gain of haadf"),
}


def judged(change: Callable[[RunRecord], RunRecord]) -> Verdict:
    record = change(RECORD)
    return judge(replace(record, counts=net_counts(record)))


@pytest.mark.parametrize("name", CASES)
def test_each_flaw_has_its_reason(name: str) -> None:
    change, level, reason = CASES[name]
    verdict = judged(change)
    assert (verdict.level, reason in " ".join(verdict.reasons)) == (level, True), verdict.reasons
    assert set(verdict.elements) == {"Au", "Si"}


def test_an_element_below_its_limit_is_no_fault() -> None:
    empty = np.stack([RANDOM.poisson(BACKGROUND[0]), MAPS[1]])
    record = arrays(maps=empty, maps_background=BACKGROUND)(RECORD)
    x = np.stack([np.full(Y.shape, 0.01), record.result.x[1]]).astype(np.float32)
    record = replace(record, model_haadf=None, predictions={"maps": x + BACKGROUND}, result=replace(record.result, x=x))
    counts = net_counts(record)
    gross, background = empty[0].sum(), BACKGROUND[0].sum()
    assert counts["Au"].net == pytest.approx(gross - background)
    assert counts["Au"].error == pytest.approx((gross + background) ** 0.5)
    assert counts["Au"].limit == pytest.approx(2.71 + 4.65 * background**0.5)
    assert not counts["Au"].detected
    assert counts["Si"].detected
    verdict = judge(replace(record, counts=counts))
    assert "Au is not detected." in verdict.reasons
    assert verdict.elements == {"Au": "caution", "Si": "good"}


@pytest.mark.parametrize("kind", BROKEN)
def test_recordings_of_the_benchmark(kind: str) -> None:
    whole, flawed = sound(3), BROKEN[kind](sound(3))
    assert whole.maps.shape == flawed.maps.shape == whole.truth.shape == (len(whole.elements), 48, 48)
    assert flawed.elements != whole.elements or np.ptp(flawed.clean - whole.clean) > 10.0 * whole.sigma
    np.testing.assert_array_equal(flawed.maps, whole.maps)


def test_console_summary_table_and_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", HAADF=IMAGE, Au=MAPS[0], Si=MAPS[1])
    np.savez(tmp_path / "b.npz", HAADF=np.roll(IMAGE, 3, 1), Au=MAPS[0], Si=MAPS[1])
    terms = [dict(term) if isinstance(term, dict) else {"type": term} for term in TERMS]
    config = {
        "version": 1,
        "data": {"path": "a.npz", "haadf": "HAADF", "maps": ["Au", "Si"]},
        "terms": terms,
        "solver": {"type": "chambolle_pock", "max_iterations": 500},
        "output": {"figures": False},
        "engine": "numpy",
    }
    (tmp_path / "my.yaml").write_text(json.dumps(config), encoding="utf-8")
    assert main(["run", str(tmp_path / "my.yaml"), "--output", str(tmp_path / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "verdict:    good"
    assert lines[1].startswith("Au:")
    assert "counts, fused" in lines[1]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["verdict"]["level"] == "good"
    assert summary["verdict"]["elements"] == {"Au": "good", "Si": "good"}
    assert set(summary["counts"]["Au"]) >= {"net", "error", "fused", "limit"}
    assert summary["counts"]["Au"]["net"] == MAPS[0].sum()
    files = [str(tmp_path / name) for name in ("a.npz", "b.npz")]
    assert main(["batch", str(tmp_path / "my.yaml"), *files, "--output", str(tmp_path / "all"), "--quiet"]) == 0
    with (tmp_path / "all" / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["verdict"] == "good"
    assert rows[1]["verdict"] != "good"
    assert all(float(row["total.Au"]) > 0.5 and float(row["residual.Si"]) > 0.5 for row in rows)
    page = (tmp_path / "all" / "index.html").read_text(encoding="utf-8")
    assert '<span class="good">good</span>' in page
    assert '<td class="caution">caution</td>' in page or '<td class="unusable">unusable</td>' in page


def test_a_sweep_on_real_data_has_a_figure_of_merit(tmp_path: Path, in_this_process: None) -> None:
    np.savez(tmp_path / "a.npz", HAADF=IMAGE, Au=MAPS[0], Si=MAPS[1])
    terms = [dict(term) if isinstance(term, dict) else {"type": term} for term in TERMS]
    data = {"path": str(tmp_path / "a.npz"), "haadf": "HAADF", "maps": ["Au", "Si"]}
    config = {"version": 1, "data": data, "terms": terms, "output": {"figures": False}, "engine": "numpy"}
    (tmp_path / "my.yaml").write_text(json.dumps(config), encoding="utf-8")
    sweep = ["sweep", str(tmp_path / "my.yaml"), "--over", "terms.tv.weight=0.2,20", "--quiet"]
    assert main([*sweep, "--output", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8") as file:
        weak, strong = csv.DictReader(file)
    assert 0.0 < float(weak["held-out"]) < float(strong["held-out"])
    assert float(weak["held-out.Au"]) > 0.0
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "The point with the lowest held-out error is outlined." in page
    assert page.index('class="cell best"') < page.index("tv.weight=20")


def test_report_begins_with_the_verdict() -> None:
    record = replace(RECORD, verdict=Verdict("caution", ("The image is shifted.",), {"Au": "caution", "Si": "good"}))
    page = run_page(record, "mine")
    assert (page.verdict, page.level) == ("Caution", "caution")
    assert page.diagnostics[0].text == "The image is shifted."
    assert page.facts[0][0] == "recording"
    assert page.tables[0].first
    assert [row[-1] for row in page.tables[0].rows] == ["caution", "good"]
    assert "verdict" in render(page)
