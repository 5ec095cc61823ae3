"""The process that reads microscope files: it changes nothing outside, and ends with its parent."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from microscope_files import FORMATS, spectra

from fusionkit.data.readers import open_recording
from fusionkit.errors import UserError
from fusionkit.microscope.reader_process import ReaderProcess

resource = pytest.importorskip("resource", reason="this system has no limits on memory")
bruker = pytest.importorskip(
    "rsciio.bruker._api", reason="RosettaSciIO is not installed: pip install 'fusionkit-em[io]'"
)
jeol = pytest.importorskip("rsciio.jeol._api")

PRINT_CHILD = """
import sys, time
from pathlib import Path
from fusionkit.microscope.reader_process import ReaderProcess
process = ReaderProcess()
process.open(Path(sys.argv[1]))
print(process.pid, flush=True)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A spectrum image."""
    path = tmp_path / "a.hspy"
    FORMATS["hspy"][0](path)
    return path


def state() -> list[Any]:
    """The state that reading in this process would change."""
    loggers = [logging.getLogger(name) for name in ("rsciio", "hyperspy", "exspy", "tifffile")]
    modules = [bruker.fast_unbcf, bruker.warn_once, jeol._readframe_lazy, jeol._readframe_dense]
    levels = [(logger.level, logger.disabled, list(logger.handlers)) for logger in loggers]
    return [resource.getrlimit(resource.RLIMIT_AS), logging.root.manager.disable, levels, modules]


def has_ended(pid: int) -> bool:
    """Whether the process has ended, or soon will."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_overlapping_reads_leave_the_process_as_it_was(file: Path) -> None:
    before, seen, arrays = state(), [state()], []
    going = threading.Event()

    def watch() -> None:
        while not going.is_set():
            seen.append(state())
            time.sleep(0.001)

    def read() -> None:
        (one,) = ReaderProcess().open(file)
        arrays.append(one.data.read())

    watcher, readers = threading.Thread(target=watch), [threading.Thread(target=read) for _ in range(2)]
    for thread in (watcher, *readers):
        thread.start()
    for thread in readers:
        thread.join()
    going.set()
    watcher.join()
    assert len(arrays) == 2
    assert all(np.array_equal(one, spectra()) for one in arrays)
    assert all(one == before for one in [*seen, state()])


def test_threads_share_a_recording(file: Path) -> None:
    (one,) = ReaderProcess().open(file)
    totals: list[float] = []
    threads = [threading.Thread(target=lambda: totals.append(one.data.total())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [spectra().sum()] * 4


def test_values_are_those_of_the_file(file: Path) -> None:
    (one,) = ReaderProcess().open(file)
    np.testing.assert_array_equal(one.data.read(), spectra())
    first, second = one.data.sums(2, [(0, 3), (5, 9)])
    np.testing.assert_array_equal(first, spectra()[..., :3].sum(axis=2))
    np.testing.assert_array_equal(second, spectra()[..., 5:9].sum(axis=2))


@pytest.mark.parametrize("before", [False, True], ids=["at the request", "before it"])
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGXCPU])
def test_a_crash_is_one_line_about_the_file(file: Path, number: signal.Signals, before: bool) -> None:
    process = ReaderProcess()
    (one,) = process.open(file)
    os.kill(process.pid, number)
    while before and psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    for _ in range(2):
        with pytest.raises(UserError, match=rf"a\.hspy: reading 'spectra' crashed \({number.name}"):
            one.data.read()


def test_it_ends_with_its_recording(file: Path) -> None:
    process = ReaderProcess()
    signals, pid = process.open(file), process.pid
    del process
    assert psutil.pid_exists(pid)
    del signals
    assert has_ended(pid)


@contextmanager
def child_of_script(script: str, file: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A script without a main guard that reads a file, and the pid of its child."""
    (folder / "script.py").write_text(script)
    command = [sys.executable, str(folder / "script.py"), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout is not None
        try:
            yield parent, int(parent.stdout.readline())
        finally:
            parent.kill()


def test_it_ends_when_the_program_does(file: Path, tmp_path: Path) -> None:
    with child_of_script(PRINT_CHILD, file, tmp_path) as (parent, pid):
        assert parent.wait(60) == 0
        assert has_ended(pid)


def interrupt(parent: subprocess.Popen[str]) -> None:
    os.killpg(parent.pid, signal.SIGINT)  # as Ctrl-C does


@pytest.mark.parametrize("end", [subprocess.Popen.kill, interrupt])
def test_it_ends_with_a_program_that_is_ended(end: Callable[[Any], None], file: Path, tmp_path: Path) -> None:
    with child_of_script(PRINT_CHILD + "time.sleep(600)\n", file, tmp_path) as (parent, pid):
        end(parent)
        assert parent.wait(60) != 0
        assert has_ended(pid)


def test_modules_of_the_working_directory_stay_out(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queue.py").write_text("raise RuntimeError('not the module of the standard library')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert len(ReaderProcess().open(file)) == 1


def test_an_index_file_is_not_measured_alone(tmp_path: Path) -> None:
    """A Ripple file is a short text next to the file of its values."""
    values = np.zeros((64, 64, 8192), np.uint16)
    values[1, 2, 3] = 5
    keys = {"width": 64, "height": 64, "depth": 8192, "offset": 0, "data-length": 2, "data-type": "unsigned"}
    keys |= {"byte-order": "little-endian", "record-by": "vector"}
    text = "".join(f"{key}\t{value}\n" for key, value in keys.items())
    (tmp_path / "a.rpl").write_text(f"key\tvalue\n{text}")
    values.tofile(tmp_path / "a.raw")
    (one,) = ReaderProcess().open(tmp_path / "a.rpl")
    assert one.shape == values.shape
    assert one.data.total() == 5


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="the test is about the absence of imagecodecs")
def test_a_missing_decompressor_is_named(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.eye(64, dtype=np.uint8)).save(tmp_path / "a.tif", compression="tiff_lzw")
    with pytest.raises(UserError, match=r"needs the package 'imagecodecs', .*; pip install imagecodecs"):
        open_recording(tmp_path / "a.tif")
