"""JEOL's maps: every count is read, whatever the shape of the map, and RosettaSciIO is unchanged afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jeol_files import KEV, events, write_pts

from fusionkit.cli import main
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.microscope.reader import MicroscopeReader
from fusionkit.options import parse

rsciio = pytest.importorskip("rsciio.jeol._api", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'")


@pytest.mark.parametrize("image", [True, False])
@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (16, 4)])
def test_no_count_is_lost(tmp_path: Path, shape: tuple[int, int], image: bool) -> None:
    loops = rsciio._readframe_lazy, rsciio._readframe_dense
    write_pts(tmp_path / "a.pts", shape, image)
    (signal,) = MicroscopeReader().open(tmp_path / "a.pts").signals.values()
    assert (signal.kind, signal.technique) == ("EDX spectrum image", "EDX")
    np.testing.assert_array_equal(signal.data.read()[..., :1000], events(shape))
    assert (rsciio._readframe_lazy, rsciio._readframe_dense) == loops


def test_maps_are_sums_over_windows(tmp_path: Path) -> None:
    write_pts(tmp_path / "a.pts", (16, 4))
    windows = {"O": [0.4, 0.6], "Ti": [4.4, 4.6], "Co": [6.9, 7.0]}
    options = parse(DataOptions, {"path": "a.pts", "spectra": {"maps": {"windows": windows}}}, "data")
    maps = load(options, tmp_path).arrays["maps"]
    channels = [round(energy / KEV) for energy in (0.52, 4.51, 6.93)]
    np.testing.assert_array_equal(maps, [events((16, 4))[..., channel] for channel in channels])


def test_inspect_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pts(tmp_path / "a.pts")
    assert main(["inspect", str(tmp_path / "a.pts")]) == 0
    output = capsys.readouterr().out
    assert "EDX spectrum image" in output
    assert str(events((4, 8)).sum()) in output
