"""Ctrl-C during a solve, which must end in order, and in libraries that would swallow it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# effect of Ctrl-C at each stage
SOLVING = "stopping after this iteration, then writing the result"
ASSESSING = "the solve has ended; leaving out the error bars, then writing the result"
WRITING = "the solve has ended; finishing its files"


class Stop:
    """Whether the user has pressed Ctrl-C.

    Attributes
    ----------
    effect : of Ctrl-C, printed for the user.
    """

    def __init__(self) -> None:
        self.effect, self._pressed = SOLVING, False

    def __call__(self) -> bool:
        return self._pressed

    def press(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal: print its effect; a second one raises `KeyboardInterrupt`."""
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True
        # print() is not safe in a signal handler
        os.write(2, f"\nfusionkit: {self.effect}; Ctrl-C again aborts\n".encode())


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Yield a `Stop` that the first Ctrl-C sets; a second one raises `KeyboardInterrupt`."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield stop
        return
    former = signal.signal(signal.SIGINT, stop.press)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, former)


@contextmanager
def held_back() -> Iterator[None]:
    """Delay `KeyboardInterrupt` until the end of the context.

    Python drops an exception that a signal raises in the callback of a weak reference. h5py has so many that one
    interrupt in nine was lost while it read a file.
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
