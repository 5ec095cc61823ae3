"""The solver ``auto``: float64 where float32 ends, and another solver where one makes no progress."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusionkit as fk
from fusionkit.certificate import rounding_floor
from fusionkit.report.trace import interpolate_trace
from fusionkit.result import Result, Status

Z = {"O": 0.6, "Ti": 1.4}


def posed(counts: float, tv: float, noise: float = 0.02) -> tuple[fk.Problem, np.ndarray]:
    """Two maps with an image."""
    random, (yy, xx) = np.random.default_rng(0), np.mgrid[:24, :24] / 24
    truth = counts * np.stack([(xx - 0.5) ** 2 + (yy - 0.5) ** 2 < 0.12, yy > 0.6])
    image = ((np.array(list(Z.values()))[:, None, None] * truth) ** 1.7).sum(axis=0)
    deviation = noise * image.max()
    image += random.normal(0.0, deviation, image.shape)
    data = fk.Dataset({"haadf": image, "maps": random.poisson(truth).astype(float)}, elements=tuple(Z))
    haadf = {"type": "haadf", "weight": deviation**-2, "gamma": 1.7, "z": Z}
    problem = fk.compose(data, [haadf, "poisson", {"type": "tv", "weight": tv}, "nonnegative"])
    return problem, fk.starting_point("auto", problem, data)


def solved(problem: fk.Problem, start: np.ndarray, solver: str, **options: Any) -> Result:
    return fk.solve(problem, fk.make_solver(solver, **options), start)


def test_float64_goes_on_where_float32_ends() -> None:
    problem, start = posed(0.03, 0.3, 0.001)
    single = solved(problem, start, "chambolle_pock", max_iterations=1000)
    assert single.status is not Status.CONVERGED
    floor = rounding_floor(problem.terms, single.x)
    assert 0.3 * floor < single.optimality < 3.0 * floor
    assert f"float32 cannot go below an optimality of about {floor:.0e}" in single.message
    seen: list[int] = []
    made = fk.make_solver("auto", max_iterations=1000)
    result = fk.solve(problem, made, start, lambda check: seen.append(check.iteration))
    assert (result.status, result.x.dtype) == (Status.CONVERGED, np.float64)
    assert any("chambolle_pock handed over to float64: float32 cannot go below" in note for note in result.notes)
    assert list(result.trace["iteration"]) == sorted(set(seen))
    between = interpolate_trace(result.trace, result.looks)
    assert between.keys() == result.trace.keys()
    assert set(between["iteration"]) == set(seen) | set(result.looks["iteration"])
    assert np.all(np.diff(between["iteration"]) > 0)
    assert seen[-1] == result.iterations
    assert np.all(np.diff(result.trace["seconds"]) >= 0.0)
    assert problem.value(result.x) == pytest.approx(result.objective, rel=1e-6)


def test_another_solver_goes_on_without_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionkit.solvers.chambolle_pock.flat_start", lambda *_: None)
    problem, start = posed(20.0, 1000.0)
    result = solved(problem, start, "auto", max_iterations=600)
    assert result.status is Status.CONVERGED
    assert any("chambolle_pock handed over to proximal_gradient" in note for note in result.notes)
    again = solved(problem, start, "proximal_gradient", max_iterations=600)
    assert result.objective == pytest.approx(again.objective, rel=1e-3)


def test_an_ordinary_problem_is_solved_as_by_the_first_solver() -> None:
    problem, start = posed(20.0, 0.3)
    first, auto = (solved(problem, start, solver) for solver in ("chambolle_pock", "auto"))
    np.testing.assert_array_equal(auto.x, first.x)
    assert (auto.iterations, auto.notes) == (first.iterations, first.notes)
