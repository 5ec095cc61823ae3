"""How many threads the libraries underneath may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limit_threads(threads: int | None) -> Iterator[None]:
    """Linear algebra and cosine transforms use at most ``threads`` threads within the context; None: no change."""
    if threads is None:
        yield
        return
    import scipy.fft
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads), scipy.fft.set_workers(threads):
        yield
