"""Locks of output folders, what dead processes leave, and workers whose parent is dead."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sweeps import wait_for, write_config

from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.data import new_file
from fusionkit.errors import UserError
from fusionkit.results.lock import locked
from fusionkit.sweep import processes
from fusionkit.sweep.worker import Task, to_line

DEAD = 2**22 + 1  # above the largest number of a process


def test_a_second_owner_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with locked(folder):
        owner = json.loads((tmp_path / "deep/.out.lock").read_text())
        assert (owner["process"], owner["host"]) == (os.getpid(), platform.node())
        with pytest.raises(UserError, match=rf"another run writes there \(process: {os.getpid()}"), locked(folder):
            pass
        with locked(tmp_path / "deep" / "other"):
            pass
    with locked(folder):
        pass
    assert not list(tmp_path.iterdir())


def test_a_patient_owner_waits(tmp_path: Path) -> None:
    order = list[str]()

    def hold(name: str) -> None:
        with locked(tmp_path / "out", patience=30.0):
            order.append(f"{name} begins")
            time.sleep(0.05)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=hold, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.split()[1] for each in order] == ["begins", "ends"] * 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("can_lock", [True, False])
@pytest.mark.parametrize(
    ("process", "host", "is_free"),
    [(DEAD, platform.node(), True), (os.getpid(), platform.node(), False), (DEAD, "elsewhere", False)],
    ids=["dead", "alive", "elsewhere"],  # without the number of this process, which differs between workers
)
def test_owners_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_lock: bool, process: int, host: str, is_free: bool
) -> None:
    """On a file system without locks, the content of the file tells whether its owner lives."""
    if not can_lock:
        monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(95, "not supported")))
    (tmp_path / ".out.lock").write_text(json.dumps({"process": process, "since": time.time(), "host": host}))
    if is_free or can_lock:
        with locked(tmp_path / "out"):
            pass
    else:
        with pytest.raises(UserError, match="another run"), locked(tmp_path / "out"):
            pass


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        (f".out.partial-{new_file._HOST}-{DEAD}-abc", False),
        (f".out.partial-{new_file._HOST}-{os.getpid()}-abc", True),
        (f".out.partial-00000000-{DEAD}-abc", True),
        (f".other.partial-{new_file._HOST}-{DEAD}-abc", True),
        (f"out/.maps.partial-{new_file._HOST}-{DEAD}-abc.png", False),
        (f"out/..maps.partial-{new_file._HOST}-{DEAD}-abc.x", False),
    ],
    ids=["dead", "alive", "another machine", "another name", "inside", "inside, hidden"],
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_leftovers_of_the_dead_are_removed(tmp_path: Path, name: str, stays: bool, is_folder: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / name).mkdir() if is_folder else (tmp_path / name).touch()
    with locked(tmp_path / "out"):
        pass
    assert (tmp_path / name).exists() is stays


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_a_run_into_a_folder_that_is_being_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    out, more = tmp_path / "out", ["--over", "terms.tv.weight=1,2"] if command == "sweep" else []
    with locked(out):
        assert main([command, str(write_config(tmp_path)), "--output", str(out), *more]) == 2
    assert capsys.readouterr().err.startswith(f"fusionkit: {out}: another run writes there ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml"]


def test_a_worker_ends_with_its_parent(tmp_path: Path) -> None:
    slow = {"solver": {"type": "chambolle_pock", "max_iterations": 10**7, "tolerance": 0.0}}
    raw = yamlio.read(write_config(tmp_path, **slow))
    command = [sys.executable, "-c", processes._COMMAND, json.dumps(sys.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        worker.stdin.write(to_line(Task("p", raw, str(tmp_path), "mine", False, str(tmp_path / "p"), False)))
        worker.stdin.flush()
        wait_for((tmp_path / ".p.lock").exists)
        time.sleep(0.5)  # in the solve
        worker.stdin.close()  # as when the parent is killed
        assert worker.wait(30) == 143
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml"]
