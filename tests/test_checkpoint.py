"""A solve that is killed goes on from its checkpoint with the same bits, with every solver."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import NONNEGATIVE, POISSON, TV, arrays, build, problem_of, taken

import fusionkit as fk
from fusionkit.checkpoint.folder import Checkpoint, _sum, beside
from fusionkit.cli import main
from fusionkit.compose_problem import make_solver
from fusionkit.loop import solve
from fusionkit.registry import table
from fusionkit.result import Result
from fusionkit.results.result_file import read_result
from fusionkit.terms import Array

SOLVERS = list(table("solvers"))
CALIBRATED = [{"type": "haadf", "gain": "auto", "offset": "auto", "data": "haadf_1.6"}, POISSON, TV, NONNEGATIVE]
CASES = [
    *[(solver, "fused", "numpy", np.float32) for solver in SOLVERS],
    ("chambolle_pock", "tgv", "numpy", np.float64),
    ("chambolle_pock", "fused", "numba", np.float32),
    ("condat_vu", "tgv", "numpy", np.float64),
    ("linearized_admm", "tgv", "numpy", np.float32),
    ("chambolle_pock", "calibrated", "numpy", np.float64),
    ("condat_vu", "calibrated", "numpy", np.float64),
]


def assert_same(one: Result, other: Result) -> None:
    np.testing.assert_array_equal(one.x, other.x)
    assert (one.status, one.iterations, one.message, dict(one.steps)) == (
        (other.status, other.iterations, other.message, dict(other.steps))
    )
    for name in ("trace", "looks", "duals", "auxiliary"):
        mine, its = getattr(one, name), getattr(other, name)
        assert mine.keys() == its.keys()
        for key in mine.keys() - {"seconds"}:
            np.testing.assert_array_equal(mine[key], its[key], err_msg=f"{name} {key}")
    assert one.parameters == other.parameters


@pytest.mark.parametrize(("solver", "problem", "engine", "dtype"), CASES)
def test_a_solve_goes_on_with_the_same_bits(solver: str, problem: str, engine: str, dtype: Any, tmp_path: Path) -> None:
    if problem == "calibrated":
        built, start = problem_of(CALIBRATED, dtype), (arrays()["maps"] + 0.1).astype(dtype)
    else:
        built, start = build(taken(solver, problem), dtype)
    built = replace(built, engine=engine)
    options = {"inner_iterations": 3, "smoothing": 1e-2} if solver == "lbfgsb" else {}
    made = make_solver(solver, tolerance=1e-9, max_iterations=67, **options)
    whole = solve(built, made, start)
    ends = sorted(np.random.default_rng(len(solver)).integers(1, whole.iterations, 2))
    for end in ends:
        checkpoint, asked = Checkpoint(tmp_path / "run", "key", 1e9), iter([False] * int(end) + [True])
        solve(built, made, start, stop_requested=asked.__next__, checkpoint=checkpoint)
        checkpoint = Checkpoint(tmp_path / "run", "key", 1e9)
        assert checkpoint.state() == "usable"
        assert_same(solve(built, made, start, checkpoint=checkpoint), whole)
        checkpoint.remove()


SMALL = ["data.phantom.size=24", "solver.tolerance=0", "solver.max_iterations=40", "engine=numpy"]
SMALL += ["output.figures=false", "output.report=false", "uncertainty.method=bootstrap", "uncertainty.samples=10"]


def run(folder: Path, *more: str) -> int:
    sets = [word for value in SMALL for word in ("--set", value)]
    return main(["run", "cos_nanoparticle", "--output", str(folder), *sets, *more])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Array]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert run(folder) == 0
    return contents(folder)


def contents(folder: Path) -> Mapping[str, Array]:
    """The arrays of a result, without times."""
    saved = read_result(folder)
    groups = (saved.trace, saved.looks, saved.duals, saved.uncertainty)
    arrays = {f"{place} {name}": each for place, group in enumerate(groups) for name, each in group.items()}
    return {"x": saved.x} | {name: each for name, each in arrays.items() if "seconds" not in name}


def killed(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: int) -> None:
    """A run that ends at once after it has saved so many values of this name."""
    save, saves = Checkpoint.save, iter([False] * (after - 1) + [True])

    def save_and_end(self: Checkpoint, named: str, value: Any) -> None:
        save(self, named, value)
        if named == name and next(saves):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "due", lambda self, size: True)
        patch.setattr(Checkpoint, "save", save_and_end)
        assert run(folder) == 130


@pytest.mark.parametrize(("name", "after"), [("solve", 1), ("solve", 29), ("bootstrap", 4)])
def test_a_killed_run_goes_on(
    name: str, after: int, whole: Mapping[str, Array], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Killed in the solve or in its error bars; the second run gives the same bits and leaves nothing behind."""
    killed(tmp_path / "run", monkeypatch, name, after)
    assert beside(tmp_path / "run").is_dir()
    assert "repeat the command, with or without --resume, to go on" in capsys.readouterr().err
    assert run(tmp_path / "run", "--resume") == 0
    assert "an earlier run of this config was not finished; going on with it" in capsys.readouterr().err
    result = contents(tmp_path / "run")
    assert result.keys() == whole.keys()
    for key, array in whole.items():
        np.testing.assert_array_equal(result[key], array, err_msg=key)
    assert [each.name for each in tmp_path.iterdir()] == ["run"]
    assert run(tmp_path / "run", "--resume") == 2
    assert "holds a former run" in capsys.readouterr().err


def test_a_run_killed_after_its_last_file_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def end(self: Checkpoint) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "due", lambda self, size: True)
        patch.setattr(Checkpoint, "remove", end)
        assert run(tmp_path / "run") == 130
    assert beside(tmp_path / "run").is_dir()
    capsys.readouterr()
    assert run(tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "holds a former run" in error
    assert "going on" not in error
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("config", "is of another config, other data or another version; not used"),
        ("truncated", "is damaged"),
        ("flipped", "is damaged"),
        ("empty", "is damaged"),
        ("huge", "is damaged"),
        ("none", "there is no checkpoint"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_not_used(
    change: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    killed(tmp_path / "run", monkeypatch, "solve", 9)
    path = beside(tmp_path / "run") / "solve.zip"
    data = path.read_bytes()
    if change == "none":
        path.unlink()
    elif change == "huge":  # an array that claims far more values than there are
        with zipfile.ZipFile(path) as old:
            members = {name: old.read(name) for name in old.namelist()}
        members["head"] = members["head"].replace(b"[3, 24, 24]", b"[3, 24, 24000000000]")
        members["head"] = _sum(members["head"][16:]) + members["head"][16:]
        with zipfile.ZipFile(path, "w") as new:
            for name, content in members.items():
                new.writestr(name, content)
    elif change != "config":
        middle = len(data) // 2
        changed = {"truncated": data[:middle], "empty": b"", "flipped": data[:middle] + bytes(64) + data[middle + 64 :]}
        path.write_bytes(changed[change])
    capsys.readouterr()
    others = ("--set", "terms.tv.weight=0.2") if change == "config" else ()
    assert run(tmp_path / "run", "--resume", *others) == 0
    error = capsys.readouterr().err
    assert message in error
    assert "going on from" not in error
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_a_call_of_fuse_goes_on(
    factor: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After its process has died the same call gives the same bits; one with another image starts anew."""
    random = np.random.default_rng(2)
    maps = {name: random.poisson(4.0, (20, 16)).astype(float) for name in ("Co", "O")}
    image = random.normal(100.0, 5.0, (20, 16))

    def fused(factor: float, **more: Any) -> Result:
        solver = {"type": "auto", "max_iterations": 100}
        return fk.fuse(factor * image, maps, tv=0.3, solver=solver, engine="numpy", progress=False, **more).result

    whole = fused(factor)
    save, saves = Checkpoint.save, iter([False] * 8 + [True])

    def save_and_end(self: Checkpoint, name: str, value: Any) -> None:
        save(self, name, value)
        if next(saves):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "due", lambda self, size: True)
        patch.setattr(Checkpoint, "save", save_and_end)
        with pytest.raises(KeyboardInterrupt):
            fused(1.0, checkpoint=tmp_path / "call")
    assert [each.name for each in tmp_path.iterdir()] == [".call.checkpoint"]
    with caplog.at_level("INFO", "fusionkit"):
        assert_same(fused(factor, checkpoint=tmp_path / "call"), whole)
    assert ("going on from iteration" in caplog.text) == (factor == 1.0)
    assert ("is of another config" in caplog.text) == (factor != 1.0)
    assert list(tmp_path.iterdir()) == []
