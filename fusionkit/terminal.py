"""Terminal output: colours, and warnings and log messages in one line each.

It respects NO_COLOR, FORCE_COLOR and TERM=dumb.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from fusionkit.errors import FusionkitWarning

_CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
_OF_STATUS = {"converged": "green", "diverged": "red", "failed": "red"}


def is_coloured(stream: TextIO) -> bool:
    """Whether text on the stream may be coloured: on a terminal, unless the environment overrides that."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or has_cursor(stream)


def has_cursor(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor, as a progress bar needs."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour, if the stream shows colours.

    Parameters
    ----------
    text : the text.
    colour : ``red``, ``green``, ``yellow``, or ``bold``.
    stream : the output stream.
    """
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if is_coloured(stream) else text


def painted_status(status: str, stream: TextIO) -> str:
    """The status of a run: green if it converged, red if the result is useless, else yellow."""
    return painted(status, _OF_STATUS.get(status, "yellow"), stream)


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
def shown_log(quiet: bool) -> Iterator[None]:
    """Show log messages of level INFO and above within the context, or none if ``quiet``."""
    if quiet:
        yield
        return
    logger, handler = logging.getLogger("fusionkit"), _LogLines(logging.INFO)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
