"""Threads for the compiled kernels, each with its share of the image rows.

The kernels release the GIL and one call does all of a thread's work, so Python's threads suffice. Numba's parallel
loops optimise the same code three times (16 s of compilation instead of 5), and on busy cores their OpenMP threads spin
while they wait for one that is not running.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

from fusionkit.machine import thread_limit

_LEAST_ROWS = 8  # of a share
_LEAST_SAMPLE = 32  # rows of a sample; fewer are computed by one thread


def thread_count(threads: int | None = None) -> int:
    """``threads``, else the config's, else OMP_NUM_THREADS or NUMBA_NUM_THREADS, else the cores of this process."""
    threads = threads if threads is not None else thread_limit()
    if threads is not None:
        return max(1, threads)
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shares(rows: int, threads: int) -> list[tuple[int, int]]:
    """Slices (first, last) of the rows in order, at most one for each thread, none shorter than is worthwhile."""
    count = max(1, min(threads, rows // _LEAST_ROWS))
    edges = [rows * index // count for index in range(count + 1)]
    return list(pairwise(edges))


def spread(shares: list[tuple[int, int]], every: int) -> list[tuple[int, int, int]]:
    """Ranges (first, end, step) of the rows of a sample in each share; the rows do not depend on the shares."""
    middle, rows = every // 2, shares[-1][1]
    if every > 1 and rows // every < _LEAST_SAMPLE:
        return [(middle, rows, every)]
    return [(first + (middle - first) % every, end, every) for first, end in shares]


def run(kernel: Callable[..., None], calls: list[tuple[Any, ...]]) -> None:
    """Call ``kernel`` with each tuple of arguments, concurrently; this thread takes the first."""
    waiting = [_pool(len(calls) - 1).submit(kernel, *arguments) for arguments in calls[1:]]
    kernel(*calls[0])
    for call in waiting:
        call.result()


def run_in_order(kernel: Callable[..., None], calls: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Call ``kernel`` with each tuple of arguments, concurrently; yields the tuples in order, each after its call."""
    waiting, threads = deque[tuple[tuple[Any, ...], Future[None]]](), thread_count()
    for arguments in calls:
        waiting.append((arguments, _pool(threads).submit(kernel, *arguments)))
        if len(waiting) > threads:  # one more than there are threads, so that none waits
            waiting[0][1].result()
            yield waiting.popleft()[0]
    for arguments, call in waiting:
        call.result()
        yield arguments


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="fusionkit")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not live on in a forked process
