"""Settings of hypothesis, threads and paths; options; shared fixtures."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

MOST_WORKERS = 8  # each may take a GiB
# files that compile kernels: those of most tests first, those of no other test last
COMPILING = ("test_fast_", "test_engine", "test_auto", "test_joint_nonlocal", "test_accuracy_rivals", "test_scalars")
# kernels of other tests, in a process or by names of their own
CACHED = {"test_notebook.py", "test_gpu_kernels.py", "test_extending.py"}
SOLVING = {"fk", "main", "make_solver", "prepare", "solve", "solved"}  # names in modules whose tests solve problems

# Read when NumPy and SciPy load. On small matrices the threads of BLAS mostly wait: 30 times slower on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["FUSIONKIT_CACHE"] = "off"  # each test searches
# A background job of a shell ignores SIGINT, and with it the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No deadlines: a busy machine is no defect.
settings.register_profile("fusionkit", deadline=None, max_examples=25)
settings.load_profile("fusionkit")
# The benchmarks are not installed. Last, so that the tests see the installed fusionkit and not the checkout's
sys.path.append(str(Path(__file__).parents[1]))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the long forms of some tests."""
    group = parser.getgroup("fusionkit")
    group.addoption(
        "--damages", type=int, default=30, help="damaged copies of each microscope format (default: 30; long run: 500)"
    )


@pytest.hookimpl(optionalhook=True)  # for pytest without xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole suite uses all cores; selected tests run in this process, because workers take seconds to start."""
    whole = config.args_source is config.ArgsSource.TESTPATHS and not config.option.keyword
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS) if whole and cores > 1 else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that compile kernels come first, then those that use them; the others begin the second half.

    Two workers begin with a half each: one compiles and caches the kernels while the other one needs none.
    """
    items.sort(key=_turn)
    solving, half = sum(_turn(item) <= len(COMPILING) for item in items), len(items) // 2
    items[:] = items[: min(solving, half)] + items[solving:] + items[min(solving, half) : solving]


def _turn(item: pytest.Item) -> int:
    for turn, start in enumerate(COMPILING):
        if item.path.name.startswith(start):
            return turn
    if item.path.name in CACHED or not isinstance(item, pytest.Function):
        return len(COMPILING)
    return len(COMPILING) + (not SOLVING & vars(item.module).keys())


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the points of a sweep in this process, for tests that are not about workers, which take seconds to start."""
    from fusionkit.sweep import run
    from fusionkit.sweep.worker import LastRead, Task, run_task

    def run_here(processes: int | None, tasks: Sequence[Task]) -> Iterator[tuple[Task, str]]:
        read = LastRead()
        for task in tasks:
            yield task, run_task(task, read)

    monkeypatch.setattr(run, "run_here", run_here)


@pytest.fixture(scope="session", autouse=True)
def _shared_reader_processes() -> Iterator[None]:
    """One child process reads the files of all tests, one after the other."""
    from reader_pool import Pool

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusionkit.microscope.reader.ReaderProcess", Pool())
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for reports; its tests skip if there is none."""
    from opened_reports import launched

    with launched() as one:
        yield one
