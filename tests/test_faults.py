"""Faults of fusionkit are reported as its own: exit status 70, one line, and the traceback in a file."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sweeps import CONFIG, table, write_config

from fusionkit.cli import FAULT, main
from fusionkit.cli.parser import COMMANDS
from fusionkit.errors import UserError, describe_fault, file_errors
from fusionkit.sweep import processes

LINE = r"fusionkit: this is a fault of fusionkit \({what}.*\); please report it with the traceback in (.*\.txt)\n"


def wrong_import(*_: Any, **__: Any) -> NoReturn:
    import fusionkit.no_such_module  # pyright: ignore[reportMissingImports] - the fault

    raise AssertionError(fusionkit)


def no_such_file(*_: Any, **__: Any) -> NoReturn:
    raise FileNotFoundError(2, os.strerror(2), str(Path(processes.__file__).with_name("page.html")))


def wrong_value(*_: Any, **__: Any) -> NoReturn:
    raise ValueError("several\nlines")


FAULTS = {
    wrong_import: "ModuleNotFoundError: No module named 'fusionkit.no_such_module'",
    no_such_file: "FileNotFoundError: ",
    wrong_value: "ValueError: several lines",
}
# a function that the command calls, and its arguments
PLACES = {
    "run": ("fusionkit.reconstruct.fit", ["CONFIG", "--output", "OUT"]),
    "validate": ("fusionkit.reconstruct.fit", ["CONFIG"]),
    "sweep": ("fusionkit.sweep.plan.check_source", ["CONFIG", "--over", "terms.tv.weight=1,2", "--output", "OUT"]),
    "batch": ("fusionkit.sweep.plan.check_source", ["CONFIG", "FILE", "--output", "OUT"]),
    "compare": ("fusionkit.results.saved.read_result", ["FOLDER", "OTHER"]),
    "export": ("fusionkit.results.saved.read_result", ["FOLDER", "--format", "tiff"]),
    "inspect": ("fusionkit.data.readers.lookup", ["FILE"]),
    "list": ("fusionkit.cli.list.descriptions", ["terms"]),
    "simulate": ("fusionkit.data.phantoms.simulate", ["films", "--output", "OUT.npz"]),
    "completion": ("fusionkit.cli.completion._quoted", ["bash"]),
}


@pytest.fixture(autouse=True)
def _faults_are_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of worker processes


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[[str], list[str]]:
    """The arguments of a command whose files exist."""
    for name in ("FOLDER", "OTHER"):
        (tmp_path / name).mkdir()
    (tmp_path / "FILE.npz").write_bytes(b"not read")
    places = {name: str(tmp_path / name) for name in ("FOLDER", "OTHER", "OUT", "OUT.npz")}
    places |= {"FILE": str(tmp_path / "FILE.npz"), "CONFIG": str(write_config(tmp_path))}
    return lambda command: [command, *(places.get(word, word) for word in PLACES[command][1])]


def test_every_command_is_tested() -> None:
    assert set(PLACES) == set(COMMANDS)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", PLACES)
def test_a_fault_ends_any_command_with_status_70(
    command: str,
    fault: Callable[..., NoReturn],
    arguments: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(PLACES[command][0], fault)
    assert main(arguments(command)) == FAULT == 70
    actual = re.fullmatch(LINE.format(what=re.escape(FAULTS[fault])), capsys.readouterr().err)
    assert actual is not None
    text = Path(actual[1]).read_text(encoding="utf-8")
    assert "Traceback (most recent call last):" in text
    assert f"in {fault.__name__}\n" in text


def test_debug_prints_the_traceback(
    arguments: Callable[[str], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(PLACES["validate"][0], wrong_value)
    assert main([*arguments("validate"), "--debug"]) == FAULT
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last):\n")
    assert error.endswith("\nfusionkit: this is a fault of fusionkit; please report it with the traceback above\n")
    assert not list(tmp_path.glob("fusionkit-fault-*"))


def test_a_traceback_that_cannot_be_saved_is_no_second_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", no_such_file)
    line = describe_fault(ValueError("why"))
    assert line.startswith("this is a fault of fusionkit (ValueError: why); its traceback could not be saved (no such")


def test_too_little_memory_is_no_fault(
    arguments: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> NoReturn:
        raise MemoryError("Unable to allocate 1 EiB")

    monkeypatch.setattr(PLACES["run"][0], full)
    assert main(arguments("run")) == 2
    assert capsys.readouterr().err.startswith("fusionkit: memory: the machine has too little (Unable to allocate 1 EiB")


def test_errors_of_the_system_are_the_users_on_the_users_files_only(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^here: cannot be written: no such file or directory; "), file_errors("here"):
        (tmp_path / "none" / "file").write_text("")
    with pytest.raises(FileNotFoundError), file_errors("here"):
        no_such_file()


WORKER = """
import sys, json; sys.path[:] = json.loads(sys.argv[1])
from fusionkit.sweep import worker
prepare = worker.prepare
def faulty(loaded, **options):
    if loaded.config.terms[2].options["weight"] == 2.0:
        import fusionkit.no_such_module
    return prepare(loaded, **options)
worker.prepare = faulty
worker.main()
"""


def test_a_fault_in_one_point_spares_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "_COMMAND", WORKER)
    config, out = write_config(tmp_path, {"terms.tv.weight": [1.0, 2.0, 3.0]}), tmp_path / "out"
    assert main(["sweep", str(config), "--output", str(out), "--workers", "1", "--quiet"]) == 4
    assert [row["status"] for row in table(out)] == ["max_iterations", "failed", "max_iterations"]
    error = table(out)[1]["error"]
    assert error.startswith("this is a fault of fusionkit (ModuleNotFoundError: No module named 'fusionkit.no_such_mod")
    assert "in faulty\n" in Path(error.rpartition(" ")[2]).read_text(encoding="utf-8")
    assert capsys.readouterr().err == f"fusionkit: tv.weight=2.0 failed: {error}\n"


def test_a_fault_on_a_cluster_is_told_as_ours() -> None:
    from fusionkit.sweep.cluster import _receive
    from fusionkit.sweep.worker import Task

    task = Task("point", CONFIG, "", "", False, "", False)
    try:
        wrong_value()
    except ValueError as fault:
        line = _receive(task, (ValueError, fault, fault.__traceback__))
    assert line.startswith("this is a fault of fusionkit (ValueError: several lines); ")
    assert "in wrong_value\n" in Path(line.rpartition(" ")[2]).read_text(encoding="utf-8")
