"""Ctrl-C, SIGTERM and SIGHUP: they end a solve in order, and libraries do not swallow them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FrameType

# effect of a signal at each stage
SEARCHING = "stopping the search, then writing the best weights so far"
SOLVING = "stopping after this iteration, then writing the result"
ASSESSING = "the solve has ended; leaving out the error bars, then writing the result"
WRITING = "the solve has ended; finishing its files"

# of a scheduler or a closed terminal
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_ALL = (signal.SIGINT, *_ENDING)
_Handler = Callable[[int, FrameType | None], None]


class Terminated(KeyboardInterrupt):
    """A signal that ends the process like Ctrl-C, with its own exit status."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """The interrupt itself, or the one that a library turned into ``error``, as C extensions do during their import."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ if error.__suppress_context__ else error.__context__
    return error


class Stop:
    """Whether a signal has asked the process to end; where the printed ``effect`` is empty, it ends at once."""

    def __init__(self, effect: str) -> None:
        self.effect, self.number = effect, 0

    def __call__(self) -> bool:
        return self.number > 0

    def press(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: print its effect; a second Ctrl-C raises `KeyboardInterrupt`."""
        if not self.effect:
            raise Terminated(number)
        if self.number:
            if number == signal.SIGINT:  # schedulers and terminals send the others more than once
                raise KeyboardInterrupt
            return
        self.number = number
        with suppress(OSError):  # the terminal is gone; print() is not safe in a signal handler
            os.write(2, f"\nfusionkit: {self.effect}; Ctrl-C again aborts\n".encode())


_current: ContextVar[Stop | None] = ContextVar("fusionkit_stop", default=None)


@contextmanager
def searching() -> Iterator[None]:
    """Within the context a signal ends a search in order, if a caller is `interruptible`."""
    stop = _current.get()
    if stop is not None:
        stop.effect = SEARCHING
    yield
    if stop is not None:
        stop.effect = ""


def stop_requested() -> bool:
    """Whether a signal has asked the current `interruptible` context to end."""
    stop = _current.get()
    return stop is not None and stop()


def end_if_requested() -> None:
    """Raise `Terminated` if a signal has asked the current `interruptible` context to end."""
    stop = _current.get()
    if stop is not None and stop():
        raise Terminated(stop.number)


@contextmanager
def interruptible(effect: str = SOLVING) -> Iterator[Stop]:
    """Yield a `Stop` that the first signal sets; a second Ctrl-C raises `KeyboardInterrupt`."""
    stop = Stop(effect)
    token = _current.set(stop)
    try:
        with _handled(stop.press, _ALL, but_ignored=_ENDING):
            yield stop
    finally:
        _current.reset(token)


@contextmanager
def terminable() -> Iterator[None]:
    """Within the context SIGTERM and SIGHUP raise `Terminated`, so that the process ends in order."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    with _handled(handle, _ENDING, but_ignored=_ENDING):
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """Delay signals until the end of the context.

    Python drops an exception that a signal raises in the callback of a weak reference. h5py has so many that one
    interrupt in nine was lost while it read a file.
    """
    pressed: list[int] = []
    with _handled(lambda number, frame: pressed.append(number), _ALL, but_ignored=_ALL):
        yield
    if pressed:
        signal.raise_signal(pressed[0])


@contextmanager
def _handled(handler: _Handler, numbers: tuple[int, ...], but_ignored: tuple[int, ...]) -> Iterator[None]:
    """Handle signals within the context, but not those of ``but_ignored`` that the parent ignores, as nohup does."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield
        return
    former = {number: signal.getsignal(number) for number in numbers}
    own = {n: known for n, known in former.items() if known is not signal.SIG_IGN or n not in but_ignored}
    try:
        for number in own:
            signal.signal(number, handler)
        yield
    finally:
        for number, known in own.items():
            signal.signal(number, known)
