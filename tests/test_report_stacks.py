"""Reports of maps with other pixels, second stacks and error bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.config import yaml as yamlio
from fusionkit.reconstruct import prepare
from fusionkit.report.figures.maps import maps_figure
from fusionkit.report.maps import gallery
from fusionkit.report.residuals import residual_section
from fusionkit.results.record import RunRecord

CONFIG: dict[str, Any] = {
    "version": 1,
    "data": {"path": "a.npz", "haadf": "haadf", "maps": {"Co": "Co", "O": "O"}, "arrays": {"eels": "eels"}},
    "terms": [
        {"type": "haadf", "weight": 0.04},
        {"type": "poisson", "weight": 1.0},
        {
            "type": "poisson",
            "name": "eels",
            "data": "eels",
            "weight": 0.5,
            "forward": {"type": "elements", "elements": ["O"]},
        },
        {"type": "tv", "weight": 0.3},
        "nonnegative",
    ],
    "solver": {"type": "chambolle_pock", "max_iterations": 20},
    "engine": "numpy",
}
SCAN = {"type": "scan", "shape": [12, 16]}


def record_of(folder: Path, coarse: bool) -> RunRecord:
    random = np.random.default_rng(0)
    shape = (12, 16) if coarse else (24, 32)
    eels, image = random.poisson(9.0, (1, 24, 32)), random.uniform(50, 60, (24, 32))
    np.savez(folder / "a.npz", haadf=image, eels=eels, Co=random.poisson(20.0, shape), O=random.poisson(20.0, shape))
    config = CONFIG
    if coarse:
        config = {**CONFIG, "data": {**CONFIG["data"], "grid": "haadf"}}
        config["terms"] = [CONFIG["terms"][0], {**CONFIG["terms"][1], "forward": SCAN}, *CONFIG["terms"][2:]]
    (folder / "c.yaml").write_text(yamlio.dump(config), encoding="utf-8")
    job = prepare(folder / "c.yaml")
    return job.record(job.solve())


def test_counts_of_a_second_stack_are_judged_as_counts(tmp_path: Path) -> None:
    section = residual_section(record_of(tmp_path, coarse=False))
    assert section is not None
    notes = {chart.title: chart.note for chart in section.charts}
    assert list(notes) == ["HAADF", "Co", "O", "eels"]
    assert all("Poisson noise" in notes[name] for name in ("Co", "O", "eels"))


def test_raw_maps_on_other_pixels_have_their_own_scale(tmp_path: Path) -> None:
    for coarse, called in ((False, "raw"), (True, "raw (its own pixels)")):
        record = record_of(tmp_path, coarse)
        panel = gallery(record).panels[0]
        raw, fused = panel.layers[:2]
        assert (raw.name, fused.name) == (called, "fused")
        assert (raw.limits == fused.limits) == (not coarse)
        assert (raw.profile is None) == coarse
        titles = [axes.get_title() for axes in maps_figure(record).axes]
        assert ("Co raw, its own pixels" in titles) == coarse


def test_error_bars_that_are_there_are_not_missed() -> None:
    message = "ended before its error bars"
    job = prepare("cos_nanoparticle", ("data.phantom.size=24", "uncertainty.method=curvature", "engine=numpy"))
    result = job.solve()
    whole, cut = job.record(result), job.record(result, stop_requested=lambda: True)
    assert whole.uncertainty is not None
    assert not any(message in each.text for each in whole.diagnostics)
    assert (cut.uncertainty is None) == any(message in each.text for each in cut.diagnostics)
