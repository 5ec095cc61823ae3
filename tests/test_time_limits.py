"""Every solve, search and bootstrap ends in time, keeps its best so far and says so."""

from __future__ import annotations

import pytest

import fusionkit as fk
from fusionkit.result import Status
from fusionkit.weights.chosen import OUT_OF_TIME
from fusionkit.weights.progress import OutOfTime, Progress

SMALL = ("data.phantom.size=24", "engine=numpy")


def test_a_solve_keeps_its_best_iterate() -> None:
    result = fk.prepare("cos_nanoparticle", (*SMALL, "solver.time_limit=1e-9", "solver.type=admm")).solve()
    assert (result.status, result.iterations) == (Status.MAX_ITERATIONS, 1)
    assert "stopped after 1 iterations, the limit of time" in result.message


def test_a_search_keeps_the_best_weights_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    solves = iter(range(100))

    def end_after_two(self: Progress, limit: float) -> None:
        self.is_late = next(solves) >= 2
        if self.is_late:
            raise OutOfTime(0)

    monkeypatch.setenv("FUSIONKIT_CACHE", "off")
    monkeypatch.setattr(Progress, "end_if_late", end_after_two)
    (weight,) = [one for one in fk.prepare("cos_auto", SMALL).weights if one.term == "tv"]
    assert weight.facts["solves"] == 2
    assert weight.facts[OUT_OF_TIME]
    assert weight.note.endswith("The search met its time limit.")


def test_a_search_that_may_not_begin_is_refused() -> None:
    with pytest.raises(fk.UserError, match=r"solver\.time_limit: is too short for the search for weights"):
        fk.prepare("cos_auto", (*SMALL, "solver.time_limit=1e-9"))


def test_a_bootstrap_ends_with_the_samples_it_has() -> None:
    overrides = ("uncertainty.method=bootstrap", "uncertainty.samples=40", "uncertainty.workers=1")
    job = fk.prepare("cos_nanoparticle", (*SMALL, *overrides, "solver.time_limit=1e-3"))
    uncertainty = job.assess(job.solve()).uncertainty
    assert uncertainty is not None
    assert uncertainty.facts["samples"] == 5
    assert "The bootstrap met the time limit of 0.001 s after 5 of 40 samples." in uncertainty.notes
