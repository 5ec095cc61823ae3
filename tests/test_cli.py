"""The command line: commands, exit statuses, warnings, interrupts and imports."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fusionkit import interrupts
from fusionkit.cli import main
from fusionkit.cli.list import KINDS, descriptions, first_sentence
from fusionkit.config import yaml as yamlio
from fusionkit.errors import FusionkitWarning, UserError, printable
from fusionkit.terminal import Stream, one_line_warnings

CONFIG: dict[str, Any] = {
    "version": 1,
    "data": {"phantom": {"preset": "cos_nanoparticle", "size": 24, "seed": 1}},
    "terms": [
        "haadf",
        {"type": "poisson", "weight": 0.24, "epsilon": 0.1},
        {"type": "tv", "weight": 0.1},
        "nonnegative",
    ],
    "solver": {"type": "chambolle_pock", "max_iterations": 20, "check_every": 5},
}
ENDLESS = ["solver.max_iterations=10000000", "solver.tolerance=0", "solver.check_every=1"]


def write(folder: Path, config: dict[str, Any]) -> Path:
    """The config in a file."""
    path = folder / "problem.yaml"
    path.write_text(yamlio.dump(config), encoding="utf-8")
    return path


def maps(folder: Path) -> np.ndarray:
    """The fused maps of a run."""
    with h5py.File(folder / "result.h5", "r") as file:
        dataset = file["maps"]
        assert isinstance(dataset, h5py.Dataset)
        return dataset[()]


def process(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "fusionkit", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_run_writes_its_files_and_says_what_came_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["run", str(write(tmp_path, CONFIG)), "--output", str(out)]) == 0
    captured = capsys.readouterr()
    summary = json.loads((out / "summary.json").read_text())
    rows = dict(line.split(":", 1) for line in captured.out.splitlines())
    assert rows["status"].strip() == summary["status"]
    assert int(rows["iterations"]) == summary["iterations"]
    assert float(rows["objective"]) == pytest.approx(summary["objective"])
    assert rows["output"].strip() == str(out)
    lines = [line for line in captured.err.splitlines() if line.startswith("iteration ")]
    assert 1 <= len(lines) <= 11
    assert "objective" in lines[-1]
    assert "optimality" in lines[-1]
    assert {file.name for file in out.iterdir()} >= {"result.h5", "summary.json", "config.resolved.yaml"}


def test_quiet_run_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(write(tmp_path, CONFIG)), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_resolved_config_gives_the_same_maps_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, elsewhere = tmp_path / "first", tmp_path / "second", tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert main(["run", str(write(tmp_path, CONFIG)), "--output", str(first), "--quiet"]) == 0
    monkeypatch.chdir(elsewhere)
    assert main(["run", str(first / "config.resolved.yaml"), "--output", str(second), "--quiet"]) == 0
    assert maps(first).tobytes() == maps(second).tobytes()
    assert (first / "config.resolved.yaml").read_text() == (second / "config.resolved.yaml").read_text()


def test_set_changes_what_runs(tmp_path: Path) -> None:
    config, out = write(tmp_path, CONFIG), tmp_path / "out"
    changes = ["--set", "solver.max_iterations=3", "--set", "terms.tv.weight=1e-2", "--set", "output.figures=false"]
    assert main(["run", str(config), "--output", str(out), "--quiet", *changes]) == 0
    written = yamlio.read(out / "config.resolved.yaml")
    assert written["solver"]["max_iterations"] == 3
    assert written["terms"][2]["weight"] == 0.01
    assert not (out / "maps.png").exists()


def test_output_goes_to_runs_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--set", "data.phantom.size=16", "--set", "solver.max_iterations=2", "--set", "output.figures=false"]
    assert main(["run", "cos_nanoparticle", "--quiet", *small]) == 0
    assert (tmp_path / "runs" / "cos_nanoparticle" / "result.h5").is_file()


def test_validate_says_what_would_run_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, CONFIG)
    assert main(["validate", str(config), "--set", "solver.max_iterations=7"]) == 0
    said = capsys.readouterr().out
    for word in ("cos_nanoparticle", "haadf", "poisson", "tv", "nonnegative", "chambolle_pock", "7 iterations"):
        assert word in said
    assert list(tmp_path.iterdir()) == [config]


LISTED = {
    "terms": ["haadf", "poisson", "tv", "nonnegative", "least_squares", "penalty"],
    "forwards": ["power_sum", "identity", "affine"],
    "functionals": ["l21", "l1"],
    "operators": ["gradient", "pylops"],
    "penalties": ["functionals:", "l21", "operators:", "gradient"],
    "solvers": ["chambolle_pock"],
    "readers": ["npz", "hdf5"],
    "preparations": ["crop", "bin", "register"],
    "writers": ["hspy", "zspy", "tiff"],
    "configs": ["cos_nanoparticle", "dysco3", "linear_regression"],
    "phantoms": ["cos_nanoparticle"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_list(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line} >= set(LISTED[kind])
    # a sentence each, of more than its name
    assert all(re.search(r":$|^\s*(\w+)  +(?!The forward model \1\.)\S+ .*[.)]$", line) for line in lines if line), (
        lines
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_option_is_explained(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    parts = {"penalties": ("functionals", "operators")}.get(kind, (kind,))
    for name in [name for part in parts for name in descriptions(part)]:
        assert main(["list", kind, name]) == 0
        said = capsys.readouterr().out
        assert said.strip()
        assert kind == "configs" or not [block for block in said.split("\n\n")[1:] if len(block.splitlines()) < 2], name
    assert main(["list", kind, "nothing"]) == 2
    assert "there is no" in capsys.readouterr().err


def test_list_without_a_kind_shows_all_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(f"{kind}:\n" in said for kind in KINDS if kind != "penalties")


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("One thing. And more.", "One thing."),
        ("Over two\nlines.\n\nMore.", "Over two lines."),
        ("The term ``tv``: x. See below.", "x."),
        ("The sum: :math:`x_1 + x_2` (see `Thing`).", "The sum (see Thing)."),
        ("", ""),
    ],
)
def test_first_sentence(docstring: str, sentence: str) -> None:
    assert first_sentence(docstring) == sentence


def test_simulate_writes_a_recording_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "phantom.npz"
    assert main(["simulate", "--output", str(file), "--set", "size=16"]) == 0
    assert str(file) in capsys.readouterr().out
    before = file.read_bytes()
    assert main(["simulate", "--output", str(file)]) == 2
    assert file.read_bytes() == before
    with np.load(file) as arrays:
        assert all(array.shape[-2:] == (16, 16) for array in arrays.values() if array.ndim >= 2)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    heavy = ("numpy", "scipy", "matplotlib", "h5py", "pylops", "pydantic", "rich", "yaml")
    code = (
        "import sys; from fusionkit.cli import main; status = main(sys.argv[1:]);"
        f"loaded = [name for name in {heavy!r} if name in sys.modules]; sys.exit(str(loaded) if loaded else status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fusionkit" in done.stdout


def test_reader_of_the_output_may_leave_early(tmp_path: Path) -> None:
    with process("list", folder=tmp_path) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait() == 0


def test_warnings_are_one_line_each_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    with one_line_warnings() as said:
        for _ in range(3):
            warnings.warn("the step\nis too long", FusionkitWarning, stacklevel=1)
    assert capsys.readouterr().err == "fusionkit: warning: the step is too long\n"
    assert said == ["the step is too long"]


def test_diverged_run_is_written_and_ends_with_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert (
        main(["run", "linear_regression", "--output", str(out), "--set", "solver={type: condat_vu, tau: 100.0}"]) == 3
    )
    assert json.loads((out / "summary.json").read_text())["status"] == "diverged"
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("needs about ")
    assert said[1].startswith("fusionkit: warning: ")
    assert said[-1].startswith("fusionkit: diverged after ")


def test_interrupt_during_the_solve_writes_the_result(tmp_path: Path) -> None:
    changes = [part for assignment in ENDLESS for part in ("--set", assignment)]
    with process("run", str(write(tmp_path, CONFIG)), "--output", "out", *changes, folder=tmp_path) as running:
        assert running.stderr is not None
        first = next(line for line in running.stderr if line.startswith("iteration 0"))
        running.send_signal(signal.SIGINT)
        said = first + running.stderr.read()
        assert running.wait() == 130
    assert "Traceback" not in said
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["status"] == "interrupted"
    assert np.all(np.isfinite(maps(tmp_path / "out")))


SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("stage", ["read", "search", "solve"])
def test_a_signal_writes_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, stage: str
) -> None:
    """In the solve the best iterate, in a search the best weight so far, before them nothing."""
    from fusionkit.cli.progress import SolveProgress
    from fusionkit.weights.search import Task

    trials = list[float]()
    solve = Task.solve

    def searched(task: Task, problem: Any, weight: float, *rest: Any) -> Any:
        if len(trials) == 2:
            signal.raise_signal(number)
        result = solve(task, problem, weight, *rest)
        trials.append(weight)
        return result

    if stage == "read":
        monkeypatch.setattr("fusionkit.reconstruct.check_formats", lambda config: signal.raise_signal(number))
    elif stage == "search":
        monkeypatch.setattr(Task, "solve", searched)
    else:
        monkeypatch.setattr(SolveProgress, "show", lambda bar, check: signal.raise_signal(number))
    changes = ["solver.max_iterations=500", *(["terms.tv.weight=auto"] if stage == "search" else [])]
    sets = [part for change in changes for part in ("--set", change)]
    out = tmp_path / "out"
    assert main(["run", str(write(tmp_path, CONFIG)), "--output", str(out), "--quiet", *sets]) == SIGNALS[number]
    assert out.exists() is (stage != "read")
    if stage == "solve":
        assert json.loads((out / "summary.json").read_text())["status"] == "interrupted"
    if stage == "search":
        chosen = json.loads((out / "summary.json").read_text())["weights_auto"]["tv"]
        assert len(chosen["curve"]["weights"]) == len(trials) == 2
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def test_only_ctrl_c_aborts_the_writing() -> None:
    """Schedulers and closed terminals send their signals more than once."""
    with interrupts.interruptible() as stop_requested:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
        assert stop_requested.number == signal.SIGHUP
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_nohup_is_respected() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.interruptible() as stop_requested, interrupts.terminable():
            signal.raise_signal(signal.SIGHUP)
        assert not stop_requested()
    finally:
        signal.signal(signal.SIGHUP, former)


@pytest.mark.parametrize("streams", [">/dev/full 2>&1", ">&- 2>&-", "2>&1 | head -1; exit ${PIPESTATUS[0]}"])
def test_output_that_nobody_takes_ends_no_run(tmp_path: Path, streams: str) -> None:
    config = write(tmp_path, {**CONFIG, "engine": "numpy", "output": {"figures": False, "report": False}})
    command = f"{sys.executable} -m fusionkit run {config} --output out {streams}"
    assert subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False, capture_output=True).returncode == 0
    assert np.all(np.isfinite(maps(tmp_path / "out")))


@pytest.mark.parametrize(
    ("text", "coloured", "shown"),
    [
        ("\x1b[2J\x1b]0;mine\x07Co", False, r"\x1b[2J\x1b]0;mine\x07Co"),
        ("\x1b[31mfusionkit:\x1b[0m \x1b[9;9H", True, "\x1b[31mfusionkit:\x1b[0m \\x1b[9;9H"),
        ("\x1b[31mred", False, r"\x1b[31mred"),
        ("a\x00b\x9bc\u202ed\r", True, r"a\x00b\x9bc\u202ed\r"),
        ("Co\tµm\n", False, "Co\tµm\n"),
    ],
)
def test_control_characters_reach_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, coloured: bool, shown: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1" if coloured else "")
    monkeypatch.delenv("NO_COLOR", raising=False)
    path = tmp_path / "terminal"
    with path.open("w", encoding="utf-8") as file:
        print(text, end="", file=Stream(file, file.fileno()))  # type: ignore[arg-type]  # all that print needs
    assert path.read_text(encoding="utf-8") == shown
    assert str(UserError("file", text)) == "file: " + " ".join(printable(" ".join(text.split())).split())


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"\\xb5m"), ("latin-1", b"\xb5m")])
def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path, encoding: str, shown: bytes) -> None:
    with (tmp_path / "terminal").open("w", encoding=encoding) as file:
        Stream(file, file.fileno()).write("µm")
    assert (tmp_path / "terminal").read_bytes() == shown


def test_second_interrupt_aborts() -> None:
    with interrupts.interruptible() as stop_requested:
        assert not stop_requested()
        signal.raise_signal(signal.SIGINT)
        assert stop_requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_is_held_back_and_not_lost() -> None:
    done = []

    def work() -> None:
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("after it")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["after it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with interrupts.held_back():
        pass


@pytest.mark.parametrize("library", [False, True])
def test_interrupt_outside_the_solve_has_no_traceback(
    library: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that a C extension turned into an error of its import."""
    from fusionkit import reconstruct

    def interrupted(*_: Any, **__: Any) -> None:
        if library:
            raise ImportError("initialization failed") from KeyboardInterrupt()
        raise KeyboardInterrupt

    monkeypatch.setattr(reconstruct, "prepare", interrupted)
    assert main(["run", str(write(tmp_path, CONFIG)), "--output", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "fusionkit: interrupted\n"
    assert not (tmp_path / "out").exists()


def test_in_another_thread_there_is_no_signal_to_catch() -> None:
    found: list[Callable[[], bool]] = []

    def work() -> None:
        with interrupts.interruptible() as stop_requested:
            found.append(stop_requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not found[0]()


def test_a_full_disk_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fusionkit.results import result_file

    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28), "somewhere")

    monkeypatch.setattr(result_file, "write_result", full)
    folder = tmp_path / "out"
    assert main(["run", str(write(tmp_path, CONFIG)), "--output", str(folder), "--quiet"]) == 2
    assert capsys.readouterr().err.startswith(f"fusionkit: {folder}: cannot be written: no space left on device; ")
