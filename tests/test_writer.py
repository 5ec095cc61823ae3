"""The output folder: complete or absent, its content, and reading it back."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionkit import writer
from fusionkit.certificate import Certificate
from fusionkit.config.yaml import dump
from fusionkit.data import new_file
from fusionkit.data.dataset import Dataset
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.report import diagnostics
from fusionkit.result import Result, Status
from fusionkit.results import result_file
from fusionkit.results.record import Diagnostic, RunRecord
from fusionkit.results.result_file import read_result
from fusionkit.results.summary import summarise, to_json

CONFIG = {"version": 1, "data": {"maps": {"No": "No"}}, "solver": {"type": "chambolle_pock", "tolerance": 1e-4}}


def make_run(x: np.ndarray | None = None, **changes: object) -> RunRecord:
    """A run on random maps of two elements, 6 x 8 pixels; ``changes`` are fields of its result."""
    rng = np.random.default_rng(0)
    x = rng.random((2, 6, 8), dtype=np.float32) if x is None else x
    labels = ("Co", "O") if x.ndim == 3 else tuple(f"w{index}" for index in range(x.size))
    trace = {"iteration": np.array([0.0, 10.0]), "objective": np.array([3.0, 2.0]), "optimality": np.array([1.0, 0.1])}
    result = Result(
        x=x,
        labels=labels,
        status=Status.MAX_ITERATIONS,
        message="stopped after 10 iterations",
        iterations=10,
        objective=2.0,
        terms={"haadf": 1.5, "tv": 0.5},
        certificate=Certificate(0.1, 0.02, 0.0),
        trace={**trace, "term.a/b": np.array([1.0, 2.0])},
        steps={"tau": float(np.float32(0.5))},
        seconds=0.2,
        notes=("a note of the solver",),
        duals={"tv": np.ones((2, *x.shape), np.float32)},
    )
    haadf = rng.random((6, 8))
    arrays = {"haadf": haadf, "maps": rng.poisson(3.0, (2, 6, 8)).astype(np.float32), "100% /x": np.arange(4.0)}
    dataset = Dataset(arrays, ("Co", "O"), 0.25, "nm", x + 1.0, "phantom cos", 7, ("a note of the data",))
    return RunRecord(
        result=dataclasses.replace(result, **changes),
        dataset=dataset,
        resolved_config=CONFIG,
        model_haadf=haadf + 0.1,
        predictions={"100% /x": np.arange(4.0) + 1.0},
        seconds={"setup": 0.1, "solve": 0.2},
        warnings=("a warning",),
        term_weights={"haadf": 1.0, "tv": 0.1},
        memory=85_000_000,
        diagnostics=(Diagnostic("warning", "a diagnosis"),),
    )


RUN = make_run()
FILES = {"result.h5", "summary.json", "config.resolved.yaml"}


@pytest.mark.parametrize(
    ("figures", "report", "files"),
    [
        (False, False, FILES),
        (True, False, FILES | {"maps.png", "convergence.png"}),
        (False, True, FILES | {"report.html"}),
    ],
)
def test_files(tmp_path: Path, figures: bool, report: bool, files: set[str]) -> None:
    writer.write(RUN, tmp_path / "runs" / "one", overwrite=False, figures=figures, report=report)
    assert {path.name for path in (tmp_path / "runs" / "one").iterdir()} == files
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["one"]
    assert (tmp_path / "runs/one/config.resolved.yaml").read_text(encoding="utf-8") == dump(CONFIG)


DATASETS = {
    "maps": RUN.result.x,
    "inputs/haadf": RUN.dataset.arrays["haadf"],
    "inputs/maps": RUN.dataset.arrays["maps"],
    "inputs/100%25 %2Fx": RUN.dataset.arrays["100% /x"],
    "model/haadf": RUN.model_haadf,
    "model/100%25 %2Fx": RUN.predictions["100% /x"],
    "truth": RUN.dataset.truth,
    "trace/iteration": RUN.result.trace["iteration"],
    "trace/objective": RUN.result.trace["objective"],
    "trace/optimality": RUN.result.trace["optimality"],
    "trace/term.a%2Fb": RUN.result.trace["term.a/b"],
    "duals/tv": RUN.result.duals["tv"],
    "steps/tau": np.float64(RUN.result.steps["tau"]),
}
ATTRIBUTES = {
    "status": "max_iterations",
    "objective": 2.0,
    "optimality": 0.1,
    "config": dump(CONFIG),
    "pixel_size": 0.25,
    "units": "nm",
}


def test_result_file_holds_what_the_design_lists(tmp_path: Path) -> None:
    result_file.write_result(RUN, dump(CONFIG), tmp_path / "result.h5")
    with h5py.File(tmp_path / "result.h5") as file:
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        assert set(found) == set(DATASETS)
        for name, array in DATASETS.items():
            stored = file[name]
            assert isinstance(stored, h5py.Dataset)
            np.testing.assert_array_equal(stored[()], array)
            assert array is not None
            assert stored.dtype == array.dtype
        assert {name: file.attrs[name] for name in ATTRIBUTES} == ATTRIBUTES
        np.testing.assert_array_equal(file.attrs["elements"], ["Co", "O"])
        assert file.attrs["fusionkit_version"]


def test_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        result_file.write_result(RUN, "config", tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("of", ["file", "folder"])
def test_reading_back(tmp_path: Path, of: str) -> None:
    result_file.write_result(RUN, dump(CONFIG), tmp_path / "result.h5")
    saved = read_result(tmp_path / "result.h5" if of == "file" else tmp_path)
    np.testing.assert_array_equal(saved.x, RUN.result.x)
    assert list(saved.maps) == ["Co", "O"]
    assert (saved.labels, saved.elements) == (("Co", "O"), ("Co", "O"))
    assert (saved.status, saved.objective, saved.optimality) == ("max_iterations", 2.0, 0.1)
    assert (saved.pixel_size, saved.units, saved.config) == (0.25, "nm", dump(CONFIG))
    for group, arrays in (
        (saved.inputs, RUN.dataset.arrays),
        (saved.model, RUN.models),
        (saved.trace, RUN.result.trace),
        (saved.duals, RUN.result.duals),
    ):
        assert set(group) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(group[name], array)
    np.testing.assert_array_equal(saved.truth, RUN.dataset.truth)


def test_vector_unknown_is_a_solution_without_elements(tmp_path: Path) -> None:
    run = make_run(np.array([1.0, 2.0, 3.0]))
    result_file.write_result(run, "", tmp_path / "result.h5")
    saved = read_result(tmp_path)
    assert (saved.labels, saved.elements) == (("w0", "w1", "w2"), ())
    np.testing.assert_array_equal(saved.x, run.result.x)
    with h5py.File(tmp_path / "result.h5") as file:
        assert "solution" in file
        assert "maps" not in file


def test_little_known(tmp_path: Path) -> None:
    run = dataclasses.replace(RUN, dataset=Dataset({}), model_haadf=None, predictions={})
    result_file.write_result(run, "x" * 200_000, tmp_path / "result.h5")  # more than an attribute's header holds
    saved = read_result(tmp_path)
    assert (saved.pixel_size, saved.units, saved.truth) == (None, None, None)
    assert (dict(saved.inputs), dict(saved.model), len(saved.config)) == ({}, {}, 200_000)


@settings(deadline=None, max_examples=25)
@given(name=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_name_survives(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    path = tmp_path_factory.mktemp("name") / "result.h5"
    run = dataclasses.replace(RUN, dataset=Dataset({name: np.arange(3.0)}))
    result_file.write_result(run, "", path)
    assert set(read_result(path).inputs) == {name}


def _text(path: Path) -> None:
    path.write_text("not HDF5", encoding="utf-8")


def _foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["maps"] = np.zeros((1, 2, 2))


def _no_maps(path: Path) -> None:
    result_file.write_result(RUN, "", path)
    with h5py.File(path, "a") as file:
        del file["maps"]


def _text_maps(path: Path) -> None:
    _no_maps(path)
    with h5py.File(path, "a") as file:
        file["maps"] = "text"


def _labels(path: Path) -> None:
    result_file.write_result(RUN, "", path)
    with h5py.File(path, "a") as file:
        file.attrs["labels"] = ["Co"]


def _objective(path: Path) -> None:
    result_file.write_result(RUN, "", path)
    with h5py.File(path, "a") as file:
        file.attrs["objective"] = "much"


def _no_interval(path: Path) -> None:
    result_file.write_result(RUN, "", path)
    with h5py.File(path, "a") as file:
        file.create_group("uncertainty")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_no_interval, "is damaged"),
        (lambda path: None, "there is no such file"),
        (Path.touch, "is damaged or not an HDF5 file"),
        (_text, "is damaged or not an HDF5 file"),
        (_foreign, "lacks the attribute 'elements'"),
        (_no_maps, "lacks '/maps'"),
        (_text_maps, "does not hold real numbers"),
        (_labels, "has 1 labels for an unknown of shape (2, 6, 8)"),
        (_objective, "attribute 'objective' is not a number"),
    ],
)
def test_wrong_result_files(tmp_path: Path, spoil: Callable[[Path], None], says: str) -> None:
    path = tmp_path / "some.h5"
    spoil(path)
    with pytest.raises(UserError) as error:
        read_result(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_truncated_result_files(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "result.h5"
    result_file.write_result(RUN, "", path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=r"truncated|damaged"):
        read_result(path)


def test_summary(tmp_path: Path) -> None:
    writer.write(RUN, tmp_path / "run", overwrite=False, figures=False, report=False)
    summary = json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))
    write_seconds = summary["seconds"].pop("write")
    assert write_seconds > 0.0
    memory = summary.pop("memory")
    assert memory["estimate"] == 85_000_000
    assert memory["peak"] > 1e7  # of this process
    versions = summary.pop("versions")
    assert set(versions) >= {"python", "fusionkit", "numpy", "numba", "scipy", "pylops", "pyproximal", "h5py"}
    assert versions["numpy"] == np.__version__
    assert summary == {
        "status": "max_iterations",
        "message": "stopped after 10 iterations",
        "verdict": None,
        "iterations": 10,
        "objective": 2.0,
        "terms": {"haadf": 1.5, "tv": 0.5},
        "weights": {"haadf": 1.0, "tv": 0.1},
        "weights_auto": {},
        "parameters": {},
        "optimality": 0.1,
        "certificate": {"stationarity": 0.1, "alignment": 0.02, "feasibility": 0.0, "calibration": 0.0},
        "counts": {},
        "uncertainty": None,
        "composition": {},
        "steps": {"tau": 0.5},
        "seconds": {"setup": 0.1, "solve": 0.2},
        "seed": 7,
        "source": "phantom cos",
        "files": {},
        "pixel_size": 0.25,
        "units": "nm",
        "origin": None,
        "metadata": {},
        "elements": ["Co", "O"],
        "labels": ["Co", "O"],
        "shape": [2, 6, 8],
        "precision": "float32",
        "engine": "numpy",
        "device": None,
        "notes": ["a note of the data", "a note of the solver"],
        "warnings": ["a warning"],
        "diagnostics": ["a diagnosis"],
    }


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, np.float32("nan")])
def test_json_is_strict(value: float) -> None:
    run = make_run(objective=value, terms={"tv": value, "haadf": np.float32(1.5)})

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is no JSON")

    read = json.loads(to_json(summarise(run, 0.1)), parse_constant=refuse)
    assert read["objective"] is None
    assert read["terms"] == {"tv": None, "haadf": 1.5}
    assert read["notes"][-2:] == [
        f"{key} is {float(value)}, which JSON cannot hold; it is null here" for key in ("objective", "terms.tv")
    ]


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError, UserError])
@pytest.mark.parametrize("fails", ["write_result", "to_json", "_put"])
@pytest.mark.parametrize("former", [False, True])
def test_a_result_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], fails: str, former: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if former:
        writer.write(RUN, tmp_path / "deep/run", overwrite=False, figures=False, report=False)
    before, entries = _tree(tmp_path), set(tmp_path.rglob("*"))

    def fail(*given: object, **options: object) -> None:
        raise error("no", "space") if error is UserError else error("no space")

    place = {"write_result": result_file, "to_json": writer, "_put": new_file}[fails]
    monkeypatch.setattr(place, fails, fail)
    with pytest.raises(UserError if error is OSError else error, match="no"):
        writer.write(RUN, tmp_path / "deep/run", overwrite=True, figures=False, report=False)
    assert _tree(tmp_path) == before
    assert set(tmp_path.rglob("*")) == entries


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (OSError(28, "No space left on device"), "no space left on device"),
        (MemoryError(), "too little memory"),
        (UserError("here", "is wrong"), "is wrong"),
    ],
)
@pytest.mark.parametrize(
    ("fails", "lost"),
    [
        ("fusionkit.report.figures.save.maps_figure", {"maps.png"}),
        ("fusionkit.report.figures.save.figures_of", {"maps.png", "convergence.png"}),
        ("fusionkit.report.html.render", {"report.html"}),
        ("fusionkit.export.tiff.TiffWriter.write", {"maps.tif"}),
        ("complete", set[str]()),
    ],
)
def test_what_fails_after_the_result_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str, fails: str, lost: set[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fail(*_: object) -> RunRecord:
        raise error

    if fails != "complete":
        monkeypatch.setattr(fails, fail)
    folder, complete = tmp_path / "run", fail if fails == "complete" else None
    drawn = "figures" in fails
    with pytest.warns(FusionkitWarning) as caught:
        writer.write(RUN, folder, False, drawn, report=True, formats=["tiff"], complete=complete)
    assert len(caught) == 1
    assert words in str(caught[0].message)
    every = FILES | {"report.html", "maps.tif"} | ({"maps.png", "convergence.png"} if drawn else set())
    assert {path.name for path in folder.iterdir()} == every - lost
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["warnings"] == ["a warning", str(caught[0].message)]
    assert "incomplete" not in summary
    assert np.array_equal(read_result(folder).x, RUN.result.x)


def test_the_result_is_there_before_anything_else(tmp_path: Path) -> None:
    seen = list[tuple[set[str], bool]]()

    def complete(run: RunRecord) -> RunRecord:
        summary = json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))
        seen.append(({path.name for path in (tmp_path / "run").iterdir()}, summary["incomplete"]))
        return run

    writer.write(RUN, tmp_path / "run", overwrite=False, figures=False, report=False, complete=complete)
    assert seen == [(FILES, True)]


def test_a_failing_diagnostic_costs_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def bad(run: RunRecord) -> list[Diagnostic]:
        raise ZeroDivisionError("float division by zero")

    def good(run: RunRecord) -> list[Diagnostic]:
        return [Diagnostic("note", "good")]

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(diagnostics, "_checks", lambda: (bad, good))
    texts = [each.text for each in diagnostics.diagnose(RUN)]
    assert any(text.startswith("The check of bad failed: ") and "division by zero" in text for text in texts)
    assert texts[-1] == "good"


@pytest.mark.parametrize("size", [64, 400])
def test_hdf5_survives_a_file_that_cannot_grow(tmp_path: Path, size: int) -> None:
    """A limit on the size of files stands for a full disk; libhdf5 itself crashes when a write fails."""
    run, former = make_run(np.zeros((2, size, size))), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, former[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            result_file.write_result(run, "x" * 50_000, tmp_path / "result.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_overwrite_never_leaves_a_moment_without_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    """A process that is killed at any system call of the replacement leaves one whole result."""
    folder = tmp_path / "run"
    writer.write(RUN, folder, overwrite=False, figures=False, report=True)
    if not can_exchange:
        monkeypatch.setattr(new_file, "_exchange", lambda one, other: False)
    objectives = list[float]()

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
            objectives.append(read_result(folder).objective)

    watching = True
    sys.addaudithook(watch)
    writer.write(make_run(objective=1.0), folder, overwrite=True, figures=False, report=False)
    watching = False
    assert objectives[0] == 2.0
    assert set(objectives) == {1.0, 2.0}
    assert {path.name for path in folder.iterdir()} == FILES


def test_overwrite_replaces_a_former_run_whole(tmp_path: Path) -> None:
    writer.write(RUN, tmp_path / "run", overwrite=False, figures=True, report=False)
    writer.write(make_run(objective=1.0), tmp_path / "run", overwrite=True, figures=False, report=False)
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    assert read_result(tmp_path / "run").objective == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def _former(folder: Path) -> None:
    writer.write(RUN, folder, overwrite=False, figures=False, report=False)


def _other(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work", encoding="utf-8")


def _half(folder: Path) -> None:
    _other(folder)
    shutil.copy(folder / "thesis.tex", folder / "summary.json")


@pytest.mark.parametrize(
    ("make", "overwrite", "says"),
    [
        (_former, False, "holds a former run"),
        (_other, False, "holds something other than a former run"),
        (_other, True, "holds something other than a former run"),
        (_half, True, "holds something other than a former run"),
        (Path.touch, False, "is a file"),
        (Path.touch, True, "is a file"),
    ],
)
def test_refused_folders(tmp_path: Path, make: Callable[[Path], None], overwrite: bool, says: str) -> None:
    folder = tmp_path / "run"
    make(folder)
    before = _tree(tmp_path)
    with pytest.raises(UserError, match=says) as error:
        writer.check_output(folder, overwrite)
    assert error.value.where == str(folder)
    assert _tree(tmp_path) == before
    with pytest.raises(UserError, match=f"{says}; the result is in {tmp_path}/run-2"):
        writer.write(RUN, folder, overwrite, figures=False, report=False)
    kept = {name: content for name, content in _tree(tmp_path).items() if not name.startswith("run-2/")}
    assert kept == before
    assert read_result(tmp_path / "run-2").objective == 2.0


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("make", [lambda folder: None, Path.mkdir])
def test_accepted_folders(tmp_path: Path, make: Callable[[Path], None], overwrite: bool) -> None:
    make(tmp_path / "run")
    writer.check_output(tmp_path / "run", overwrite)
    writer.write(RUN, tmp_path / "run", overwrite, figures=False, report=False)
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    writer.write(RUN, tmp_path / "run", overwrite=False, figures=False, report=False)
    assert (tmp_path / "run").is_symlink()
    assert (tmp_path / "disk/result.h5").is_file()


def test_the_current_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path("."), Path("..")):
        with pytest.raises(UserError, match="is the current folder or one above it"):
            writer.check_output(folder, overwrite=True)


@pytest.mark.parametrize("name", ["file/run", "x" * 300, "nul\0"])
def test_impossible_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be"):
        writer.check_output(tmp_path / name, overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_parent(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="is not writable"):
        writer.check_output(tmp_path / "deep/run", overwrite=False)
    tmp_path.chmod(0o700)


def test_a_wrong_origin_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.h5"
    placed = dataclasses.replace(RUN, dataset=dataclasses.replace(RUN.dataset, origin=(1.5, -2.0)))
    result_file.write_result(placed, "", path)
    assert read_result(path).origin == (1.5, -2.0)
    with h5py.File(path, "a") as file:
        file.attrs["origin"] = [1.0, 2.0, 3.0]
    with pytest.raises(UserError, match="attribute 'origin' is not a pair of numbers"):
        read_result(path)
