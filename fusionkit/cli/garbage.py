"""Garbage collection in a process that ends soon: seldom, and not at its end."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# imports make some 300,000 objects that stay: going through them every 700 took 0.2 s of a small run
_SELDOM = (100_000, 50, 100)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Collect garbage seldom within the context, and leave it to the system when the process ends."""
    former = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # the last collections would free, one by one, what goes with the process anyway: 0.2 s
    try:
        yield
    finally:
        gc.set_threshold(*former)
