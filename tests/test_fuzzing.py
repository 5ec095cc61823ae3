"""A short run of the fuzzing harness, and what long runs have found."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from fuzzing.__main__ import fuzz
from fuzzing.kinds import arrays, config, quiet

SHORT = {
    "config": 25,
    "npz": 15,
    "hdf5": 15,
    "tiff": 10,
    "result": 6,
    "sweep": 6,
    "checkpoint": 10,
    "dm3": 6,
    "bcf": 6,
    "hspy": 6,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked processes")
@pytest.mark.parametrize("kind", SHORT)
def test_mutated_inputs_give_a_result_or_one_line(kind: str, tmp_path: Path) -> None:
    assert fuzz(kind, 7, range(SHORT[kind]), time.monotonic() + 120, tmp_path) == []


def test_a_text_that_holds_no_characters(tmp_path: Path) -> None:
    """Units whose code points do not exist made a summary that was not UTF-8, and `SystemError`."""
    units = np.frombuffer(np.array([0x3C0A12BB, 0x110000, 0xD800, 0x41], np.uint32).tobytes(), "<U4")[0:1]
    np.savez(tmp_path / "d.npz", **arrays(), pixel_size=0.1, units=units)  # type: ignore[arg-type]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config()))
    assert quiet(["run", "c.yaml", "--output", "out", "--quiet"], tmp_path)[0] == 0
    assert "A" in json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["units"]
