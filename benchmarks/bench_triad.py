"""Memory bandwidth: a = b + s c in float32, the unit of the other numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from benchmarks.harness import Timer

SIZES = {"full": [2**26], "quick": [2**24]}  # values; larger than any cache
_BYTES = 12  # per value: two reads, one write


def compiled(threads: int) -> Callable[..., None]:
    """The triad on all threads."""
    numba.set_num_threads(threads)
    prange: Any = numba.prange

    def triad(a: Any, b: Any, c: Any, s: Any) -> None:
        for i in prange(a.size):
            a[i] = b[i] + s * c[i]

    return numba.njit(parallel=True)(triad)


@pytest.mark.benchmark(group="triad")
def test_triad(benchmark: Timer, size: int, threads: int) -> None:
    a, b, c = (np.full(size, value, np.float32) for value in (0.0, 1.0, 2.0))
    benchmark.pedantic(compiled(threads), (a, b, c, np.float32(3.0)), rounds=20, warmup_rounds=2)
    assert a[0] == a[-1] == 7.0
    benchmark.extra_info.update(bytes=_BYTES * size, threads=threads)
