"""What the library logs, on stderr, a line each."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Lines(logging.Handler):
    """Prints to whatever stderr is at the time, since a progress bar replaces it while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"fusionkit: {record.getMessage()}", file=sys.stderr, flush=True)


@contextmanager
def shown_log(quiet: bool) -> Iterator[None]:
    """Show messages of the level INFO and above within the context, none where ``quiet``."""
    if quiet:
        yield
        return
    logger, handler = logging.getLogger("fusionkit"), _Lines(logging.INFO)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
