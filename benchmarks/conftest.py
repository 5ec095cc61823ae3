"""Options of the benchmarks, and the parameters that they share: engines and sizes."""

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
    group.addoption("--engines", default="auto,numpy", help="engines to measure, as the config key 'engine' has them")
    group.addoption("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of all kernels")


def pytest_configure(config: pytest.Config) -> None:
    """Threads have to be set before the libraries that use them are loaded."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(config.getoption("threads"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``engine`` runs over the option, ``size`` and ``work`` over the module's SIZES and WORK."""
    run = "quick" if metafunc.config.getoption("quick") else "full"
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", str(metafunc.config.getoption("engines")).split(","))
    if "size" in metafunc.fixturenames:
        metafunc.parametrize("size", vars(metafunc.module)["SIZES"][run])
    if "work" in metafunc.fixturenames:
        metafunc.parametrize("work", vars(metafunc.module)["WORK"][run], ids=lambda work: "-".join(map(str, work)))


@pytest.fixture
def quick(pytestconfig: pytest.Config) -> bool:
    """Whether small sizes are asked for."""
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
