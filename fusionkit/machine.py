"""Memory and threads: what a run needs and uses, what the machine has, and a limit on threads."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import psutil

from fusionkit.errors import UserError

# bytes of libraries that a run loads after its data, with the kernels and a figure
_LIBRARIES = {"numba": 120_000_000, "matplotlib": 50_000_000}
_FIGURES = 40_000_000  # bytes of the figures beside their library
_REPORT = 10  # bytes per pixel of each image in a report, measured at 1024^2 and 2048^2
_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# of cgroups version 2, then 1: limit, usage, and the lines of memory.stat of the cache of files and of memory in it
_VERSIONS = (
    ("memory.max", "memory.current", "file", "shmem"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache", "total_shmem"),
)
_GIB = 2**30
_STATUS = Path("/proc/self/status")
_thread_limit: ContextVar[int | None] = ContextVar("fusionkit_threads", default=None)


@dataclass(frozen=True)
class Held:
    """The most arrays that a solve holds at once: its own, the starting point and the best iterate."""

    unknowns: float  # arrays of the shape and dtype of x
    duals: float  # sets of all dual variables and auxiliary unknowns; for TV a set has twice the size of x


def library_bytes(compiled: bool = True, figures: bool = True) -> int:
    """Bytes of the libraries for kernels and figures that are not yet loaded."""
    names = ("numba",) * compiled + ("matplotlib",) * figures
    return sum(_LIBRARIES[name] for name in names if name not in sys.modules)


def run_bytes(libraries: int, solve: int, result: int = 0, pixels: int = 0, elements: int = 0) -> int:
    """Bytes that the rest of a run needs beside what is loaded, at its peak: the solve, or the report of its result.

    Parameters
    ----------
    libraries : see `library_bytes`.
    solve : bytes of the solve, see `fusionkit.solver.solve_bytes`.
    result : bytes that it leaves behind.
    pixels, elements : of the maps in the report; 0 without one.
    """
    # raw and fused map of each element, and the image
    return libraries + max(solve, result + _FIGURES + _REPORT * pixels * (2 * elements + 1))


def require(bytes_needed: int, where: str) -> None:
    """Refuse a run that needs more memory than is available, in the name of the config key ``where``."""
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
    """Bytes that this process may still use, limited by the machine, ``ulimit -v`` and its cgroup and all above it."""
    free = [int(psutil.virtual_memory().available), *_left_in_cgroups()]
    if sys.platform != "win32":
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            # libraries take twice as many addresses as memory
            free.append(limit - int(psutil.Process().memory_info().vms) - library_bytes())
    return max(0, min(free))


def _left_in_cgroups() -> Iterator[int]:
    """What is left of each limit: the cache of files counts as used but can be evicted, except for memory in it."""
    for line in _OWN_CGROUPS.read_text().splitlines() if _OWN_CGROUPS.is_file() else []:
        _, controllers, own = line.split(":", 2)
        names = _VERSIONS[0 if controllers == "" else 1]
        if controllers and "memory" not in controllers.split(","):
            continue
        root = _CGROUPS / ("memory" if controllers else "")
        for group in (own, *map(str, Path(own).parents)):
            folder = root / group.lstrip("/")
            limit, used = (folder / name for name in names[:2])
            if limit.is_file() and used.is_file() and (text := limit.read_text().strip()) != "max":
                rows = (row.split() for row in (folder / "memory.stat").read_text().splitlines())
                stat = {row[0]: int(row[1]) for row in rows}
                yield int(text) - int(used.read_text()) + stat.get(names[2], 0) - stat.get(names[3], 0)


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
