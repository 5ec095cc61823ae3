"""Sweeps: values, names of points, runs, repeats, refusals, and survival of crashes."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweeps import CONFIG, children, start, statuses, table, wait_for, write_config

from fusionkit.cli import main
from fusionkit.config import Source, check_source
from fusionkit.config import yaml as yamlio
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.report.metrics import nrmse
from fusionkit.results.result_file import read_result
from fusionkit.sweep import processes
from fusionkit.sweep import run as carry_out
from fusionkit.sweep.axes import assignment, axes_of, axis, join, slug
from fusionkit.sweep.plan import Point, _read_names
from fusionkit.sweep.processes import run_here
from fusionkit.sweep.table import Row, write_table
from fusionkit.sweep.worker import LastRead, Task, run_task

HERE = Path("/configs")
WEIGHTS = {"terms.tv.weight": [50.0, 100.0], "terms.haadf.gamma": [1.6, 1.7]}
NAMES = [f"tv.weight={w},haadf.gamma={g}" for w in (50.0, 100.0) for g in (1.6, 1.7)]
SLOW = "solver.max_iterations=1500"  # seconds, in which a worker can be killed
ENDED = {"max_iterations", "stalled"}


@pytest.mark.parametrize(
    ("given_values", "values"),
    [
        ([0.1, 0.2], (0.1, 0.2)),
        (["chambolle_pock", "admm"], ("chambolle_pock", "admm")),
        ({"linear": [0, 1, 5]}, (0.0, 0.25, 0.5, 0.75, 1.0)),
        ({"linear": [10, 50, 5]}, (10, 20, 30, 40, 50)),
        ({"linear": [100000.0, 100001.0, 5]}, (100000.0, 100000.25, 100000.5, 100000.75, 100001.0)),
        ({"linear": [1, -1, 3]}, (1, 0, -1)),
        ({"log": [0.01, 1, 3]}, (0.01, 0.1, 1.0)),
        ({"log": [0.01, 1, 5]}, (0.01, 0.0316228, 0.1, 0.316228, 1.0)),
        ({"log": [1, 1000, 4]}, (1, 10, 100, 1000)),
    ],
)
def test_values(given_values: Any, values: tuple[Any, ...]) -> None:
    found = axis("terms.tv.weight", given_values, "sweep", HERE).values
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("terms.tv.weight=0.1,0.2", "terms.tv.weight", (0.1, 0.2)),
        ("terms.tv.weight=log:0.01:1:3", "terms.tv.weight", (0.01, 0.1, 1.0)),
        ("solver.max_iterations = linear:10:30:3", "solver.max_iterations", (10, 20, 30)),
        ("solver={log: [1, 100, 3]}", "solver", (1, 10, 100)),
        ("solver=[{type: admm}, lbfgsb]", "solver", ({"type": "admm"}, "lbfgsb")),
        ("engine=numba", "engine", ("numba",)),
    ],
)
def test_over(text: str, key: str, values: tuple[Any, ...]) -> None:
    (found,) = axes_of(None, [text], HERE)
    assert (found.key, found.values) == (key, values)


def test_over_replaces_an_axis_of_the_config_in_its_place() -> None:
    axes = axes_of({"a": [1, 2], "b": [3]}, ["a=7"], HERE)
    assert [(one.key, one.values) for one in axes] == [("a", (7,)), ("b", (3,))]


REFUSED: list[tuple[str, Any, list[str], list[str]]] = [
    ("nothing", None, [], ["nothing to sweep", "--over"]),
    ("empty", {}, [], ["nothing to sweep"]),
    ("no mapping", [1], [], ["sweep", "not a mapping"]),
    ("a number", {"a": 0.1}, [], ["sweep.a", "neither a list nor a range", "{log: "]),
    ("an empty list", {"a": []}, [], ["sweep.a", "no values"]),
    ("twice", {"a": [1, 2, 1.0]}, [], ["sweep.a", "1.0 twice"]),
    ("a number and its text", {"a": [0.1, "0.1"]}, [], ["sweep.a", "0.1 twice"]),
    ("an unknown range", {"a": {"cubic": [1, 2, 3]}}, [], ["sweep.a.cubic", "no such range"]),
    ("two ranges", {"a": {"log": [1, 2, 3], "linear": [1, 2, 3]}}, [], ["sweep.a", "neither"]),
    ("two numbers", {"a": {"log": [1, 2]}}, [], ["sweep.a.log", "[first, last, count]"]),
    ("text", {"a": {"log": [1, "x", 2]}}, [], ["sweep.a.log", "three finite numbers"]),
    ("infinite", {"a": {"linear": [1, float("inf"), 2]}}, [], ["sweep.a.linear", "three finite numbers"]),
    ("log of zero", {"a": {"log": [0, 1, 3]}}, [], ["sweep.a.log", "above 0", "linear"]),
    ("one point", {"a": {"log": [1, 10, 1]}}, [], ["sweep.a.log", "count 1"]),
    ("half a point", {"a": {"log": [1, 10, 2.5]}}, [], ["sweep.a.log", "count 2.5"]),
    ("nowhere to go", {"a": {"log": [1, 1, 3]}}, [], ["sweep.a.log", "the same value"]),
    ("output", {"output.directory": ["a", "b"]}, [], ["sweep.output.directory", "cannot be swept"]),
    ("too many", {"a": {"linear": [0, 1, 200]}, "b": {"linear": [0, 1, 200]}}, [], ["40000 points", "10000"]),
    ("no assignment", None, ["a"], ["--over a", "has no values"]),
    ("no values", None, ["a="], ["--over a=", "has no values"]),
    ("half a range", None, ["a=log:1:2"], ["--over a.log", "[first, last, count]"]),
    ("broken YAML", None, ["a=[1"], ["--over a", "line 1"]),
]


@pytest.mark.parametrize(("sweep", "over", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(sweep: Any, over: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        axes_of(sweep, over, HERE)
    assert all(word in str(error.value) for word in words), error.value


@given(
    st.sampled_from(["linear", "log"]),
    st.floats(1e-9, 1e9),
    st.floats(1e-9, 1e9),
    st.integers(2, 30),
)
def test_ranges_are_even_and_end_where_they_should(kind: str, first: float, last: float, count: int) -> None:
    if abs(first - last) < 1e-3 * max(first, last):
        return
    values = np.array(axis("a", {kind: [first, last, count]}, "a", HERE).values)
    assert (values[0], values[-1], values.size) == (first, last, count)
    steps = np.diff(np.log(values) if kind == "log" else values)
    assert np.allclose(steps, steps.mean(), rtol=1e-3)


@given(st.lists(st.text(max_size=80), unique=True, min_size=2, max_size=6))
def test_different_values_have_different_names_that_file_systems_take(texts: list[str]) -> None:
    names = [slug(text) for text in texts]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9.+_=-]{0,48}", name) and not name.startswith(".") for name in names)
    pairs = [join([f"a={one}", f"b={two}"]) for one, two in itertools.product(names, names)]
    assert len(set(pairs)) == len(pairs)
    assert all(len(pair) <= 160 for pair in pairs)


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("terms.tv.weight", 0.1, "tv.weight=0.1"),
        ("terms.haadf.gamma", -1e-5, "haadf.gamma=-1e-05"),
        ("data.phantom.size", 64, "phantom.size=64"),
        ("solver.type", "admm", "solver.type=admm"),
        ("terms[0].weight", 1, "terms.0.weight=1"),
        ("solver.restart", True, "solver.restart=true"),
        ("data.path", "in/a b.npz", "path=in-a-b.npz-c1077de9"),
    ],
)
def test_names(key: str, value: Any, part: str) -> None:
    """The names must not change: a resumed sweep looks for them."""
    assert axis(key, [value], "sweep", HERE).parts == (part,)


def test_paths_of_a_config_start_in_its_folder() -> None:
    assert axis("data.path", ["a.npz", "/b.npz"], "sweep", HERE).values == (str(HERE / "a.npz"), "/b.npz")
    assert axis("init", ["auto", "x/result.h5"], "sweep", HERE).values == ("auto", str(HERE / "x/result.h5"))


@pytest.mark.parametrize("value", [0.1, 1e-12, 1e300, 3, True, None, "a 'b' \"c\": #", {"type": "admm"}, [1, "x"]])
def test_an_assignment_is_read_back_as_it_was(value: Any) -> None:
    key, _, text = assignment("a.b", value).partition("=")
    assert (key, yamlio.parse(text, "test")) == ("a.b", value)


def test_nrmse_is_relative_to_the_truth() -> None:
    truth = np.array([3.0, 4.0])
    assert nrmse(truth, truth) == 0.0
    assert nrmse(np.zeros(2), truth) == 1.0
    assert nrmse(1.1 * truth, truth) == pytest.approx(0.1)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A config and the folder of its finished sweep."""
    folder = tmp_path_factory.mktemp("sweep")
    config = write_config(folder, WEIGHTS)
    assert main(["sweep", str(config), "--output", str(folder / "out"), "--workers", "2", "--quiet"]) == 0
    return config, folder / "out"


def stamps(folder: Path) -> dict[str, int]:
    """The time of each result file."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/result.h5")}


def test_a_point_is_the_run_of_its_values(done: tuple[Path, Path], tmp_path: Path) -> None:
    _, out = done
    assert sorted(path.name for path in out.iterdir()) == sorted([*NAMES, "index.html", "sweep.yaml", "table.csv"])
    single = write_config(tmp_path)
    values = ["--set", "terms.tv.weight=50.0", "--set", "terms.haadf.gamma=1.6"]
    assert main(["run", str(single), "--output", str(tmp_path / "run"), "--quiet", *values]) == 0
    point, run = out / NAMES[0], tmp_path / "run"
    assert {path.name for path in point.iterdir()} == {path.name for path in run.iterdir()}
    assert (point / "config.resolved.yaml").read_text() == (run / "config.resolved.yaml").read_text()
    with h5py.File(point / "result.h5") as one, h5py.File(run / "result.h5") as two:
        # the number of threads orders the sums
        np.testing.assert_allclose(np.asarray(one["maps"]), np.asarray(two["maps"]), rtol=1e-5)


def test_the_table_has_a_row_a_point(done: tuple[Path, Path]) -> None:
    rows = table(done[1])
    assert [row["point"] for row in rows] == NAMES
    assert [(row["terms.tv.weight"], row["terms.haadf.gamma"]) for row in rows[:2]] == [
        ("50.0", "1.6"),
        ("50.0", "1.7"),
    ]
    for row in rows:
        summary = json.loads((done[1] / row["point"] / "summary.json").read_text())
        assert float(row["seconds"]) == summary["seconds"]["solve"]
        assert row["status"] == "max_iterations"
        assert int(row["iterations"]) == 20
        terms = sum(float(row[f"term.{name}"]) for name in ("haadf", "poisson", "tv"))
        assert float(row["objective"]) == pytest.approx(terms, rel=1e-5)
        assert 0 < float(row["nrmse"]) < 1
        assert {"nrmse.Co", "nrmse.S", "nrmse.O", "seconds", "optimality", "error"} <= set(row)


def test_the_page_holds_every_map_and_asks_for_nothing(done: tuple[Path, Path]) -> None:
    page = (done[1] / "index.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 4 * 3
    assert page.count("data:image/png;base64,") == 4 * 3
    assert not re.search(r"(src|href)=\"?(https?:)?//|<script|@import|url\(", page)
    for link in re.findall(r'href="([^"]+)"', page):
        target = link.replace("%3D", "=").replace("%2C", ",")
        assert (done[1] / target).exists(), link


def test_the_page_says_what_its_colours_mean(done: tuple[Path, Path]) -> None:
    page = (done[1] / "index.html").read_text(encoding="utf-8")
    scales = re.findall(r'class="scale element(\d)">(\w+) <b>([\d.]+)</b><i></i><b>([\d.]+)</b> counts<', page)
    assert [(index, name) for index, name, *_ in scales] == [("0", "Co"), ("1", "S"), ("2", "O")]
    for _, name, low, high in scales:
        maps = [read_result(done[1] / point).maps[name] for point in NAMES]
        assert float(low) == 0.0
        assert float(high) == pytest.approx(max(np.percentile(one, 99.9) for one in maps), rel=1e-3)


def test_finished_points_are_not_run_again(done: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    config, out = done
    before = stamps(out)
    shutil.rmtree(out / NAMES[2])
    assert main(["sweep", str(config), "--output", str(out)]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"1/1  {NAMES[2]}  max_iterations after 20 iterations")
    assert "4 (2 unusable, 2 caution), 3 of them already finished" in said.out
    after = stamps(out)
    assert {name for name in NAMES if after[name] != before[name]} == {NAMES[2]}


def test_its_own_config_gives_the_same_points(done: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, out = done
    before = stamps(out)
    assert main(["sweep", str(out / "sweep.yaml"), "--output", str(out)]) == 0
    assert "4 of them already finished" in capsys.readouterr().out
    assert stamps(out) == before


@pytest.mark.usefixtures("in_this_process")
def test_a_changed_configuration_is_refused_or_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = write_config(tmp_path, {"terms.tv.weight": [50.0]}), tmp_path / "out"
    command = ["sweep", str(config), "--output", str(out), "--quiet"]
    assert main(command) == 0
    before = stamps(out)
    command += ["--set", "solver.max_iterations=5"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in ("tv.weight=50.0", "old against new: solver.max_iterations 20 against 5", "--overwrite"):
        assert word in said
    assert stamps(out) == before
    assert main([*command, "--overwrite"]) == 0
    assert table(out)[0]["iterations"] == "5"


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("changed", "later", "status"), [(True, 0, 2), (True, -9999, 2), (False, 9999, 0), (False, -9999, 0)]
)
def test_inputs_are_known_by_their_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: bool, later: float, status: int
) -> None:
    """Whatever their time says: data that were swapped are refused, data that were only touched are not run again."""
    config, out, data = tmp_path / "mine.yaml", tmp_path / "out", tmp_path / "data.npz"
    for seed in (1, 2):
        sets = ["--set", "size=16", "--set", f"seed={seed}"]
        assert main(["simulate", "--output", str(tmp_path / f"{seed}.npz"), *sets]) == 0
    (tmp_path / "1.npz").rename(data)
    maps = {"Co": "Co", "S": "S", "O": "O"}
    write_config(tmp_path, {"terms.tv.weight": [50.0]}, data={"path": "data.npz", "haadf": "HAADF", "maps": maps})
    command = ["sweep", str(config), "--output", str(out), "--quiet"]
    assert main(command) == 0
    before, written = stamps(out), data.stat().st_mtime
    if changed:
        (tmp_path / "2.npz").rename(data)
    os.utime(data, (written + later, written + later))
    capsys.readouterr()
    assert main(command) == status
    assert (f"'{data}' has changed since this run" in capsys.readouterr().err) is changed
    assert stamps(out) == before


@pytest.mark.usefixtures("in_this_process")
def test_a_failed_point_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of two points is not a result, which only their runs discover."""
    monkeypatch.chdir(tmp_path)
    config, out = write_config(tmp_path), tmp_path / "out"
    (tmp_path / "no.h5").write_bytes(b"nothing")
    changes = ["--over", "data.phantom.size=32,24", "--over", "init=auto,no.h5"]
    assert main(["sweep", str(config), "--output", str(out), *changes]) == 4
    assert statuses(out) == ["max_iterations", "failed"] * 2
    errors = [row["error"] for row in table(out)]
    assert "no.h5: is damaged or not an HDF5 file" in errors[1]
    said = capsys.readouterr()
    assert f"fusionkit: phantom.size=32,init=no.h5 failed: {errors[1]}" in said.err
    assert "4 (2 unusable, 2 failed)" in said.out
    assert not [path for path in out.iterdir() if "no.h5" in path.name]
    assert "is damaged" in (out / "index.html").read_text()


@pytest.mark.usefixtures("in_this_process")
def test_a_diverged_point_ends_with_status_3(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["sweep", "linear_regression", "--output", str(out), "--quiet", "--set", "output.figures=false"]
    assert main([*command, "--over", "solver=[{type: condat_vu, tau: 100.0}, condat_vu]"]) == 3
    assert statuses(out)[0] == "diverged"


BAD: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("no such key", {"terms.tw.weight": [1.0]}, [], ["sweep terms.tw.weight", "'terms' has no 'tw'"]),
    ("a bad value", {"terms.haadf.gamma": [1.6, -1.0]}, [], ["terms[0].gamma", "at terms.haadf.gamma = -1.0"]),
    ("no such option", {"solver.speed": [1, 2]}, [], ["solver.speed", "at solver.speed = 1"]),
    ("workers", WEIGHTS, ["--workers", "0"], ["--workers", "'0' is not a whole number >= 1"]),
    ("workers of a cluster", WEIGHTS, ["--workers", "2", "--scheduler", "a:1"], ["--workers", "with --scheduler"]),
    ("no scheduler file", WEIGHTS, ["--scheduler", "no.json"], ["--scheduler", "no file 'no.json'"]),
    ("output is a file", WEIGHTS, ["--output", "mine.yaml"], ["mine.yaml", "is a file"]),
    ("output is here", WEIGHTS, ["--output", "."], ["something other than a former sweep"]),
]


@pytest.mark.parametrize(("sweep", "more", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sweep: dict[str, Any],
    more: list[str],
    words: list[str],
) -> None:
    config = write_config(tmp_path, sweep)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["sweep", str(config), *more]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(word in said for word in words), said
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.is_file()] == []


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_single_run_refuses_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, str(write_config(tmp_path, WEIGHTS))]) == 2
    assert "'fusionkit sweep'" in capsys.readouterr().err


def test_a_worker_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    write_config(tmp_path, WEIGHTS)
    with start("sweep", "mine.yaml", "--output", "out", "--workers", "2", "--set", SLOW, folder=tmp_path) as running:
        assert running.stderr is not None
        first = running.stderr.readline()  # a point has ended: both workers are in the middle of others
        assert first.startswith("1/4"), first
        workers = children(running.pid, "fusionkit.sweep.worker")
        workers[0].send_signal(signal.SIGKILL)
        assert wait_for(lambda: set(children(running.pid, "fusionkit.sweep.worker")) - set(workers))  # a new one
        said = running.stderr.read()
        assert running.wait() == 0, said
    assert set(statuses(tmp_path / "out")) <= ENDED
    assert not list((tmp_path / "out").glob(".*"))


def test_a_point_that_was_written_but_not_heard_of_is_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupt comes after the first point's last file and before its process has reported it."""

    def interrupted(processes: int | None, tasks: Sequence[Task]) -> Iterator[tuple[Task, str]]:
        assert run_task(tasks[0], LastRead()) == ""
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(carry_out, "run_here", interrupted)
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, {"terms.tv.weight": [10, 100]})
    assert main(["sweep", "mine.yaml", "--output", "out"]) == 130
    first, second = statuses(tmp_path / "out")
    assert first in ENDED
    assert second == "not run"


DEADLY = """
from fusionkit.sweep import worker
run_task = worker.run_task
worker.run_task = lambda task, read: sys.exit("TypeError: dead") if task.name == "deadly" else run_task(task, read)
worker.main()
"""


def test_a_point_whose_workers_die_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker of a point dies twice; a third one does the next point."""
    monkeypatch.setattr(processes, "_COMMAND", processes._COMMAND.partition("from")[0] + DEADLY)
    raw = yamlio.read(write_config(tmp_path))
    tasks = [Task(name, raw, str(tmp_path), "mine", False, str(tmp_path / name), False) for name in ("deadly", "good")]
    outcomes = {task.name: error for task, error in run_here(1, tasks)}
    assert outcomes["good"] == ""
    assert (tmp_path / "good" / "result.h5").is_file()
    assert outcomes["deadly"].startswith("its process ended with status 1: TypeError: ")
    assert outcomes["deadly"].endswith(", twice")


def test_an_interrupt_leaves_what_is_finished(tmp_path: Path) -> None:
    write_config(tmp_path, {"terms.tv.weight": {"linear": [10, 100, 10]}})
    command = ("sweep", "mine.yaml", "--output", "out", "--workers", "2")
    with start(*command, "--set", SLOW, folder=tmp_path) as running:
        assert running.stderr is not None
        running.stderr.readline()
        workers = wait_for(lambda: children(running.pid, "fusionkit.sweep.worker"))
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
        assert running.wait() == 130
    assert "finished points stay in out; repeat the command to run the others" in said
    assert "Traceback" not in said
    assert not any(worker.is_running() for worker in workers)
    found = statuses(tmp_path / "out")
    assert set(found) <= {*ENDED, "not run"}
    assert 1 <= found.count("not run") < 10
    summaries = [json.loads(file.read_text()) for file in (tmp_path / "out").glob("*/summary.json")]
    # an interrupt between the result and the report of a point leaves it unfinished
    assert 10 - found.count("not run") == sum("incomplete" not in summary for summary in summaries)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_scheduler_without_workers_is_said_so() -> None:
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    from fusionkit.sweep.cluster import connect

    empty = distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None)
    with empty, pytest.warns(FusionkitWarning, match="has no workers yet"):
        connect(empty.scheduler_address).close()


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
def test_a_table_holds_no_formulas(tmp_path: Path, value: str) -> None:
    """A file of a batch may be called like a formula of a spreadsheet."""
    source = Source(CONFIG, tmp_path, "mine")
    point = Point(value, (0,), {"data.path": value}, source, check_source(source), tmp_path)
    write_table([Row(point, "failed", error=value)], tmp_path / "table.csv")
    (row,) = table(tmp_path)
    assert {row["point"], row["data.path"], row["error"]} == {f"'{value}"}
    assert _read_names(tmp_path / "table.csv") == [value]
