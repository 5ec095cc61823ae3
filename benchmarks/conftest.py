"""Options of the benchmarks, and their common parameters: engines and sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from fusionkit.machine import limit_threads


def pytest_addoption(parser: pytest.Parser) -> None:
    """Size of the run, engines and threads."""
    group = parser.getgroup("fusionkit")
    group.addoption("--quick", action="store_true", help="small sizes: everything in less than two minutes")
    group.addoption("--engines", default="auto,numpy", help="values of the config key 'engine' to measure")
    group.addoption("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of all kernels")


def pytest_configure(config: pytest.Config) -> None:
    """Threads must be set before the libraries that use them are imported."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(config.getoption("threads"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``engine`` takes the values of the option; ``size`` and ``work`` those of SIZES and WORK in the module."""
    run = "quick" if metafunc.config.getoption("quick") else "full"
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", str(metafunc.config.getoption("engines")).split(","))
    if "size" in metafunc.fixturenames:
        metafunc.parametrize("size", vars(metafunc.module)["SIZES"][run])
    if "work" in metafunc.fixturenames:
        metafunc.parametrize("work", vars(metafunc.module)["WORK"][run], ids=lambda work: "-".join(map(str, work)))


@pytest.fixture
def quick(pytestconfig: pytest.Config) -> bool:
    """Whether to use small sizes."""
    return bool(pytestconfig.getoption("quick"))


@pytest.fixture
def threads(pytestconfig: pytest.Config) -> int:
    """Threads of all kernels."""
    return int(str(pytestconfig.getoption("threads")))


@pytest.fixture(autouse=True)
def as_in_a_run(threads: int) -> Iterator[None]:
    """Threads and floating-point warnings as in a reconstruction."""
    with limit_threads(threads), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        yield
