"""Terminal output: colours, and warnings and log messages in one line each.

It respects NO_COLOR, FORCE_COLOR and TERM=dumb.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

from fusionkit.errors import FusionkitWarning, printable

_CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
_OF_STATUS = {"converged": "green", "good": "green"} | dict.fromkeys(("diverged", "failed", "unusable"), "red")


def is_coloured(stream: TextIO) -> bool:
    """Whether text on the stream may be coloured: on a terminal, unless the environment overrides that."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or has_cursor(stream)


def has_cursor(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor, as a progress bar needs."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: TextIO) -> str:
    """The text in ``red``, ``green``, ``yellow`` or ``bold``, if the stream shows colours."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if is_coloured(stream) else text


def painted_status(status: str, stream: TextIO) -> str:
    """The status or verdict of a run: green if it is good, red if the result is useless, else yellow."""
    return painted(status, _OF_STATUS.get(status, "yellow"), stream)


class Stream:
    """A standard stream (descriptor 1 or 2) that drops what cannot be written and, if wanted, escapes the rest."""

    def __init__(self, stream: TextIO | None, descriptor: int, escape: bool = True) -> None:
        self.error = None if stream is not None else OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._stream: TextIO = stream if stream is not None else open(os.devnull, "w")  # noqa: SIM115 - for the process
        self._descriptor, self._escape = descriptor, escape

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def unescaped(self) -> Stream:
        """The stream for text with sequences for the cursor."""
        return Stream(self._stream, self._descriptor, escape=False)

    def write(self, text: str) -> int:
        """Write the text as far as the stream takes it."""
        if self._escape:
            text = printable(text, is_coloured(self._stream))
        if self._stream.encoding:
            text = text.encode(self._stream.encoding, "backslashreplace").decode(self._stream.encoding)
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._attempt(self._stream.flush)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            self.error = self.error or error
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), self._descriptor)  # else Python fails at exit


@contextmanager
def standard_streams() -> Iterator[tuple[Stream, Stream]]:
    """Standard output and error as `Stream` within the context; descriptors that were closed lead nowhere.

    A file that is opened on descriptor 2 would otherwise receive messages.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    out, err = Stream(sys.stdout, 1), Stream(sys.stderr, 2)
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, err)):
        yield out, err


@contextmanager
def one_line_warnings() -> Iterator[list[str]]:
    """Print each warning on stderr once, as one line; yields the list of them."""
    shown: list[str] = []

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in shown:
            shown.append(text)
            prefix = painted("fusionkit: warning:", "yellow", sys.stderr)
            print(f"{prefix} {text}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", FusionkitWarning)
        warnings.showwarning = show
        yield shown


class _LogLines(logging.Handler):
    """Prints to the current stderr, which a progress bar replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"fusionkit: {record.getMessage()}", file=sys.stderr, flush=True)


@contextmanager
def shown_log(quiet: bool, after: float = 0.0) -> Iterator[None]:
    """Show log messages of level INFO and above within the context from ``after`` seconds on; none if ``quiet``."""
    if quiet:
        yield
        return
    logger, handler = logging.getLogger("fusionkit"), _LogLines(logging.INFO)
    level, first = logger.level, time.time() + after
    handler.addFilter(lambda record: record.created >= first)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
