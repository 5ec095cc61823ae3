"""Memory and threads: what a run needs and uses, what the machine has, and a limit on threads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import psutil

from fusionkit.errors import UserError

# bytes of libraries that a run loads after its data: Numba with the kernels, matplotlib with a figure
_LIBRARIES = 170_000_000
# limit of a container: cgroups version 2, then version 1
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_GIB = 2**30
_STATUS = Path("/proc/self/status")
_thread_limit: ContextVar[int | None] = ContextVar("fusionkit_threads", default=None)


@dataclass(frozen=True)
class Held:
    """The most arrays that a solve holds at once: its own, the starting point and the best iterate.

    Parameters
    ----------
    unknowns : arrays of the shape and dtype of x.
    duals : sets of all dual variables and auxiliary unknowns; for TV a set has twice the size of x.
    """

    unknowns: float
    duals: float


def run_bytes(solve: int, start: int) -> int:
    """Peak resident memory of this process until the end of the run, in bytes; data and starting point are loaded.

    Parameters
    ----------
    solve : bytes that the solve needs beside the data, see `fusionkit.solver.solve_bytes`.
    start : bytes of the starting point, which are part of ``solve``.
    """
    return resident() + _LIBRARIES + solve - start


def require(bytes_needed: int, where: str) -> None:
    """Refuse a run that needs more memory than is available.

    Parameters
    ----------
    bytes_needed : see `fusionkit.solver.solve_bytes`.
    where : config key to blame in the message.

    Raises
    ------
    UserError : names both figures, in GiB.
    """
    free = available()
    if bytes_needed > free:
        raise UserError(
            where,
            f"the run needs about {_gib(bytes_needed)} GiB of memory, but {_gib(free)} GiB are available",
            "use a smaller image, fewer elements or 'precision: single'",
        )


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn a failed allocation into a `UserError`."""
    try:
        yield
    except MemoryError as error:
        problem = f"the machine has too little ({error})"
        raise UserError("memory", problem, "use smaller data or close other programs") from error


def available() -> int:
    """Bytes of memory that this process may still use, limited by the machine and by its container."""
    free = int(psutil.virtual_memory().available)
    for file in _LIMITS:
        limit = file.read_text().strip() if file.is_file() else "max"
        if limit.isdecimal():  # "max" means no limit
            # the usage of a container includes cached files, which can be evicted: count this process alone
            free = min(free, max(0, int(limit) - resident()))
    return free


def resident() -> int:
    """Resident memory of this process, in bytes."""
    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """Peak resident memory of this process, in bytes."""
    if _STATUS.is_file():  # Linux, where getrusage includes the peak of the parent process
        line = next((line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
        return max(1024 * int(line.split()[1]), resident())
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS


def spell(size: int) -> str:
    """The size as text: ``85 MB``, ``2.3 GB``."""
    return f"{size / 1e6:.0f} MB" if size < 999.5e6 else f"{size / 1e9:.1f} GB"


def _gib(size: int) -> str:
    return f"{size / _GIB:.3g}" if size < 1000 * _GIB else f"{float(size / _GIB):,.4g}"


def thread_limit() -> int | None:
    """The number of threads that the config allows; None for no limit."""
    return _thread_limit.get()


@contextmanager
def limit_threads(threads: int | None) -> Iterator[None]:
    """Kernels, linear algebra and cosine transforms use at most ``threads`` threads; None changes nothing."""
    if threads is None:
        yield
        return
    import scipy.fft
    from threadpoolctl import threadpool_limits

    token = _thread_limit.set(threads)
    try:
        with threadpool_limits(limits=threads), scipy.fft.set_workers(threads):
            yield
    finally:
        _thread_limit.reset(token)
