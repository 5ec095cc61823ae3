"""Colours on a terminal, and the terminal itself: NO_COLOR, FORCE_COLOR and TERM=dumb are heeded."""

from __future__ import annotations

import os
from typing import TextIO

_CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
_OF_STATUS = {"converged": "green", "diverged": "red", "failed": "red"}


def is_coloured(stream: TextIO) -> bool:
    """Whether text on the stream may have colours: on a terminal, unless the user's environment says otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or has_cursor(stream)


def has_cursor(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor, as a bar needs."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour where the stream shows colours.

    Parameters
    ----------
    text : what is written.
    colour : ``red``, ``green``, ``yellow``, or ``bold``.
    stream : where it is written.
    """
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if is_coloured(stream) else text


def painted_status(status: str, stream: TextIO) -> str:
    """The status of a run: green where it converged, red where there is nothing to use, else yellow."""
    return painted(status, _OF_STATUS.get(status, "yellow"), stream)
