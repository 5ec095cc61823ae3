"""Exported metadata of the recording do not include the title of a single image."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from fuse_data import FAST, HAADF, MAPS, NAMES, STACK, hyperspy, signal

import fusionkit as fk
from fusionkit.data.readers import RawArray
from fusionkit.data.recording import recording_facts

TITLES: list[tuple[list[str | None], str | None]] = [
    (["Co", "O", "HAADF"], None),
    (["Co Ka1"], None),
    (["HAADF", None], None),
    (["particle A", "particle A", "HAADF"], "particle A"),
    (["particle A", None, None], "particle A"),
    (["lines of Co_Ka", "lines of O_Ka", "HAADF"], None),
    (["STEM of particle A", None], "STEM of particle A"),
    ([None], None),
]


@pytest.mark.parametrize(("titles", "kept"), TITLES, ids=str)
def test_titles(titles: list[str | None], kept: str | None) -> None:
    facts = [{"date": str(index)} | ({} if title is None else {"title": title}) for index, title in enumerate(titles)]
    actual = recording_facts([RawArray(np.ones((2, 2)), metadata=one) for one in facts])
    assert actual == {"date": "0"} | ({} if kept is None else {"title": kept})


@pytest.mark.parametrize(("stack", "said"), [(False, None), (True, "Recording: particle A")])
def test_exports(stack: bool, said: str | None, tmp_path: Path) -> None:
    hs = hyperspy()
    maps = signal(STACK, "particle A") if stack else [signal(MAPS[name], name) for name in NAMES]
    fk.fuse(signal(HAADF, "HAADF"), maps, elements=NAMES, **FAST).save(tmp_path / "a.hspy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = hs.load(str(tmp_path / "a.hspy"))
    assert [one.metadata.General.as_dictionary().get("notes") for one in saved] == [said] * 4
