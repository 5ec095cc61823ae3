"""Velox: ready maps, spectra from a stream of events, and its own metadata: elements, microscope, beam."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from microscope_files import windows_in
from velox_files import LINES, PART, SHAPE, SURVEY, WIDTH, counts, spectra, write_velox_spectra

from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.data.field_of_view import fields
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.data.readers import open_recording
from fusionkit.microscope.propose.listing import entries
from fusionkit.microscope.reader import MicroscopeRecording
from fusionkit.microscope.rosettasciio import metadata_of, read_signals
from fusionkit.options import parse
from fusionkit.results.result_file import read_result

pytest.importorskip("rsciio", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'")
pytest.importorskip("exspy", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")


@pytest.fixture
def velox(tmp_path: Path) -> Path:
    path = tmp_path / "a.emd"
    write_velox_spectra(path)
    return path


def test_what_is_in_it(velox: Path) -> None:
    actual = {one.name: one for one in entries(open_recording(velox))}
    assert {name: one.elements for name, one in actual.items()} == {
        "HAADF": (),
        "Co": ("Co",),
        "O": ("O",),
        "EDS": ("Co", "O"),
    }
    assert actual["EDS"].kind == "EDX spectrum image"
    assert actual["EDS"].total == spectra().sum()
    assert all(one.edges == pytest.approx((0.4, 0.4)) for one in actual.values())


def test_ready_maps_are_used_as_they_are(velox: Path) -> None:
    options = parse(DataOptions, {"path": str(velox), "haadf": "HAADF", "maps": {"Co": "Co", "O": "O"}}, "data")
    data = load(options, velox.parent)
    np.testing.assert_array_equal(data.arrays["maps"], np.stack([*counts().values()]))
    assert (data.pixel_size, data.units) == (pytest.approx(0.4), "nm")
    assert (data.metadata["beam_energy_keV"], data.metadata["microscope"]) == (200.0, "a microscope")


def test_inspect_counts_its_events_in_windows_of_its_elements(velox: Path) -> None:
    config = velox.parent / "c.yaml"
    assert main(["inspect", str(velox), "--write-config", str(config)]) == 0
    source = yamlio.read(config)["data"]["spectra"]["maps"]
    assert source["elements"] == [*LINES]
    assert main(["run", str(config), "--output", str(velox.parent / "run"), "--quiet"]) == 0
    result = read_result(velox.parent / "run")
    assert result.x.shape == (2, *SHAPE)
    summary = json.loads((velox.parent / "run/summary.json").read_text(encoding="utf-8"))
    for index, ends in enumerate(windows_in(summary["notes"]).values()):
        first, last = (round(1000 * end / WIDTH) for end in ends)
        np.testing.assert_array_equal(result.inputs["maps"][index], spectra()[..., first:last].sum(-1))


def test_a_scan_within_a_survey_has_its_own_pixels_and_place(tmp_path: Path) -> None:
    write_velox_spectra(tmp_path / "a.emd", survey=True)
    recording = MicroscopeRecording(tmp_path, {one.name: one for one in read_signals(tmp_path / "a.emd")})
    np.testing.assert_array_equal(recording.read("EDS").values, spectra())
    assert {one.name: one.pixels for one in entries(recording)} == {
        "HAADF": SURVEY,
        **dict.fromkeys(("Co", "O", "EDS"), SHAPE),
    }
    scans = {one.name: one.scan for one in entries(recording)}
    both = fields(scans["HAADF"], scans["EDS"])
    assert both is not None
    assert both.part() == ("haadf", *((one.start, one.stop) for one in PART))


MAPPED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"metadata": {"A": {"b": 1}}}, {"A": {"b": 1}}),
    ({"original_metadata": {"V": "2"}, "mapping": {"V": ("A.b", float)}}, {"A": {"b": 2.0}}),
    ({"original_metadata": {"V": "2"}, "mapping": {"W": ("A.b", float)}}, {}),
    (
        {"original_metadata": {"V": "2"}, "mapping": {"V": ("A.b", None)}, "metadata": {"A": {"c": 3}}},
        {"A": {"b": "2", "c": 3}},
    ),
    ({"original_metadata": {"V": "2"}, "mapping": {"V": ("A.b", lambda _: None)}}, {}),
    ({"original_metadata": {"V": {"u": [1]}}, "mapping": {"V": ("A", lambda d: d[d.keys()[0]])}}, {"A": [1]}),
    ({"original_metadata": {"V": 1}, "mapping": {"V": ("A.b", None)}, "metadata": {"A": "text"}}, {"A": {"b": 1}}),
]


@pytest.mark.parametrize(("entry", "expected"), MAPPED)
def test_places_in_the_metadata(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    before = repr(entry.get("metadata"))
    assert metadata_of(entry) == expected
    assert repr(entry.get("metadata")) == before
