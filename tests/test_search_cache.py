"""A search is kept by the checksum of data and objective; a damaged, changed or stopped one is searched again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.compose_problem import Objective
from fusionkit.data.dataset import Dataset
from fusionkit.loop import solving_seconds
from fusionkit.options import Existing, Spec
from fusionkit.terminal import shown_log
from fusionkit.weights import cache
from fusionkit.weights.cache import cached, checksum
from fusionkit.weights.chosen import ChosenWeight, SearchCurve
from fusionkit.weights.progress import Progress

MAPS = np.arange(24.0).reshape(2, 3, 4)
DATA = Dataset({"haadf": MAPS[0], "maps": MAPS}, ("Co", "O"))
TERMS = [Spec.model_validate({"type": "tv", "weight": "auto"})]
OBJECTIVE = Objective(TERMS, Spec(type="chambolle_pock"))
CURVE = SearchCurve((0.1, 0.2), (3.0, 1.0 / 3.0), (0.0, 0.1), (10, 20))
CHOICE = (
    ChosenWeight(
        0,
        "tv",
        0.1 + 0.2,
        "count_splitting",
        "A note.",
        (0.1, 0.7),
        {"solves": 2},
        CURVE,
        {"per_element": {"Co": 1.0}},
        {"Co": (0.1, 0.2)},
        request={"auto": "count_splitting"},
        map_errors={"Co": 0.3},
    ),
)


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Ask for the weights; the number of searches so far, and the notes."""
    monkeypatch.setenv("FUSIONKIT_CACHE", str(tmp_path))
    calls: list[int] = []

    def search(dataset: Dataset, objective: Objective) -> tuple[ChosenWeight, ...]:
        calls.append(1)
        return CHOICE

    def ask(dataset: Dataset = DATA, objective: Objective = OBJECTIVE) -> tuple[int, str]:
        chosen, notes = cached(dataset, objective, search)
        assert chosen == CHOICE
        return len(calls), " ".join(notes)

    return ask


def test_a_second_search_is_not_needed(count: Callable[..., tuple[int, str]]) -> None:
    assert count() == (1, "")
    searches, notes = count()
    assert searches == 1
    assert "earlier search" in notes


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-20], lambda text: text.replace("0.1", "0.9"), lambda text: "{}", lambda text: "[]"]
)
def test_a_damaged_search_is_repeated(
    damage: Callable[[str], str], tmp_path: Path, count: Callable[..., tuple[int, str]]
) -> None:
    count()
    (path,) = tmp_path.glob("*.json")
    path.write_text(damage(path.read_text()))
    searches, notes = count()
    assert (searches, "is damaged" in notes) == (2, True)
    assert count()[0] == 2


CHANGES: dict[str, tuple[Dataset, Objective]] = {
    "a value": (replace(DATA, arrays={"haadf": MAPS[0], "maps": MAPS + (MAPS == 7.0)}), OBJECTIVE),
    "the precision of the data": (replace(DATA, arrays={"haadf": MAPS[0], "maps": MAPS.astype("f4")}), OBJECTIVE),
    "the elements": (replace(DATA, elements=("O", "Co")), OBJECTIVE),
    "an option": (DATA, replace(OBJECTIVE, terms=[Spec.model_validate({"type": "tgv", "weight": "auto"})])),
    "the solver": (DATA, replace(OBJECTIVE, solver=Spec(type="admm"))),
    "the precision": (DATA, replace(OBJECTIVE, precision="double")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_searched(name: str) -> None:
    assert checksum(*CHANGES[name]) != checksum(DATA, OBJECTIVE)


def test_what_is_not_kept(
    tmp_path: Path, count: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    term = fk.compose(DATA, ["nonnegative"]).terms[0]
    made = replace(OBJECTIVE, terms=[Existing(type="mine", made=term)])
    assert [count(DATA, made)[0] for _ in range(2)] == [1, 2]
    monkeypatch.setattr(cache, "stop_requested", lambda: True)
    assert [count()[0] for _ in range(2)] == [3, 4]
    monkeypatch.setenv("FUSIONKIT_CACHE", "off")
    assert count()[0] == 5
    assert list(tmp_path.iterdir()) == []


def test_progress_names_what_is_to_come(caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress([("tv", 3), ("haadf", 5), ("tv", 2)])
    with caplog.at_level(logging.INFO, "fusionkit"):
        for term in ("tv", "haadf", "tv"):
            progress.begin(term)
            progress.tried(term, 0.1, 20)
    lines = [record.getMessage() for record in caplog.records]
    assert "tried 0.1, 20 iterations; 0 s so far, then haadf, then tv" in lines[0]
    assert lines[1].endswith("so far, then tv")
    assert lines[2].endswith("so far")
    now = time.perf_counter()
    late = Progress([("tv", 3)], _started=now - 70.0, _began=solving_seconds() - 10.0)  # 60 s of compiling
    with caplog.at_level(logging.INFO, "fusionkit"):
        late.begin("tv")
        late.tried("tv", 0.1, 20)
    assert caplog.messages[-1].endswith("20 iterations; 70 s so far, about 20 s more")


@pytest.mark.parametrize(("after", "shown"), [(0.0, True), (100.0, False)])
def test_a_short_search_is_quiet(after: float, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with shown_log(False, after):
        Progress().tried("tv", 0.1, 20)
    assert ("search of the weight of tv" in capsys.readouterr().err) is shown
