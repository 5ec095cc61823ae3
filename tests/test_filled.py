"""The trace of a solve between its checks: estimates from a sample of rows against full checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusionkit.cli import main
from fusionkit.compose_problem import make_solver
from fusionkit.loop import solve
from fusionkit.reconstruct import prepare
from fusionkit.report.trace import interpolate_trace
from fusionkit.results.result_file import read_result

TRACE = {
    "iteration": np.array([0.0, 20.0, 40.0]),
    "seconds": np.array([0.0, 2.0, 4.0]),
    "objective": np.array([100.0, 10.0, 5.0]),
    "optimality": np.array([1.0, 1e-2, 1e-4]),
    "parameter.haadf.gamma": np.array([1.7, 1.7, 1.7]),
}
LOOKS = {
    "iteration": np.array([10.0, 20.0, 30.0, 40.0]),
    "seconds": np.array([1.0, 2.1, 3.0, 4.1]),
    "objective": np.array([22.0, 12.0, 7.0, 5.0]),
    "optimality": np.array([0.2, 2e-2, 2e-3, 1e-4]),
}


def test_checks_stand_as_they_are_and_the_offset_of_the_sample_is_taken_off() -> None:
    found = interpolate_trace(TRACE, LOOKS)
    assert found["iteration"].tolist() == [0, 10, 20, 30, 40]
    assert found["seconds"].tolist() == [0, 1, 2, 3, 4]
    assert found["objective"].tolist() == [100, 20, 10, 6, 5]
    np.testing.assert_allclose(found["optimality"], [1, 0.1, 1e-2, 2e-3 / 2**0.5, 1e-4])
    assert "parameter.haadf.gamma" not in found


@pytest.mark.parametrize("looks", [{}, {"iteration": np.array([30.0]), "objective": np.array([1.0])}])
def test_without_a_check_at_a_look_the_trace_is_all(looks: dict[str, np.ndarray]) -> None:
    assert interpolate_trace(TRACE, looks) == TRACE


@pytest.mark.parametrize("damaged", ["trace", "looks"])
def test_a_column_of_another_length_is_left_out(damaged: str) -> None:
    columns = {"trace": dict(TRACE), "looks": dict(LOOKS)}
    columns[damaged]["objective"] = np.zeros(7)
    assert set(interpolate_trace(**columns)) == {"iteration", "seconds", "optimality"}


def test_a_sample_without_a_logarithm_is_left_alone() -> None:
    still = {**LOOKS, "optimality": np.zeros(4)}
    assert interpolate_trace(TRACE, still)["optimality"].tolist() == [1, 0, 1e-2, 0, 1e-4]


def test_estimates_follow_the_checks_of_every_look() -> None:
    pytest.importorskip("numba", reason="looks take samples by compiled kernels")
    prepared = prepare("cos_nanoparticle", ("data.phantom.size=128",))
    few, every = (
        solve(prepared.problem, make_solver("chambolle_pock", check_every=interval), prepared.start)
        for interval in (None, 10)
    )
    assert few.looks["iteration"].tolist() == every.trace["iteration"].tolist()[1:]
    assert not every.looks
    found, lowest = interpolate_trace(few.trace, few.looks), min(every.trace["objective"])
    ahead = slice(0, -2)  # the last ones differ from the lowest by less than the error of a sample
    gap = (found["objective"] - lowest)[ahead] / (every.trace["objective"] - lowest)[ahead]
    assert np.all((gap > 0.5) & (gap < 2.0)), gap
    np.testing.assert_allclose(found["optimality"], every.trace["optimality"], rtol=0.5)


def test_an_observer_sees_the_looks_between_the_checks() -> None:
    pytest.importorskip("numba", reason="looks take samples by compiled kernels")
    prepared = prepare("cos_nanoparticle", ("data.phantom.size=64",))
    checked: list[int] = []
    seen: dict[int, float] = {}
    result = prepared.solve(
        lambda check: checked.append(check.iteration),
        on_look=lambda iteration, about: seen.update({iteration: about.optimality}),
    )
    assert sorted([*checked, *seen]) == list(range(0, result.iterations + 1, 10))
    assert checked == result.trace["iteration"].tolist()
    assert set(seen.values()) <= set(result.looks["optimality"].tolist())


def test_looks_are_written_and_read_back(tmp_path: Path) -> None:
    pytest.importorskip("numba", reason="looks take samples by compiled kernels")
    assert main(["run", "cos_nanoparticle", "--set", "data.phantom.size=64", "--output", str(tmp_path / "run")]) == 0
    saved = read_result(tmp_path / "run")
    assert set(saved.looks) == set(saved.trace)
    assert "estimates from a sample of the rows" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
