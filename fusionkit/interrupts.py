"""Ctrl-C where it must not come at any line: while a solve runs, and where a library would swallow it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SAID = b"\nfusionkit: stopping after this iteration, then writing the result; Ctrl-C again aborts\n"


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the user has pressed Ctrl-C once; twice raises `KeyboardInterrupt`."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield lambda: False
        return
    pressed = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        os.write(2, _SAID)  # print() is not safe in a signal handler

    former = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, former)


@contextmanager
def held_back() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at the end instead of within.

    Python drops an exception that a signal raises in the callback of a weak reference. h5py makes so many that one of
    nine interrupts was lost while it read a file.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True

    former = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
    if pressed:
        raise KeyboardInterrupt
