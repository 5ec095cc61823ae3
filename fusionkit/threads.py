"""How many threads the libraries underneath and the compiled kernels may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_limit: ContextVar[int | None] = ContextVar("fusionkit_threads", default=None)


def thread_limit() -> int | None:
    """The number of threads that the config allows; None where it says nothing."""
    return _limit.get()


@contextmanager
def limit_threads(threads: int | None) -> Iterator[None]:
    """Kernels, linear algebra and cosine transforms use at most ``threads`` threads; None changes nothing."""
    if threads is None:
        yield
        return
    import scipy.fft
    from threadpoolctl import threadpool_limits

    token = _limit.set(threads)
    try:
        with threadpool_limits(limits=threads), scipy.fft.set_workers(threads):
            yield
    finally:
        _limit.reset(token)
