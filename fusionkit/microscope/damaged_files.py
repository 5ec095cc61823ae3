"""The boundary to RosettaSciIO: whatever it does with a damaged file ends in one line that names the file."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from fusionkit.errors import UserError
from fusionkit.machine import available
from fusionkit.microscope.mended import mended

EXTRA = "pip install 'fusionkit-em[io]'"
_SPARE = 2**28  # bytes of address space that are no memory yet: stacks of threads, pages of libraries
_LOGGERS = ("rsciio", "hyperspy", "exspy", "tifffile")

T = TypeVar("T")


def guarded(path: Path, read: Callable[[], T], what: str = "the file") -> T:
    """``read()``, code of RosettaSciIO and what it is built on, on a file that may be damaged.

    Parameters
    ----------
    path : the file, for messages.
    read : takes no arguments.
    what : what is read, for messages.

    Raises
    ------
    UserError : a library is not installed, the file asks for more memory than there is, or it cannot be read.
    """
    with warnings.catch_warnings(), _quiet(), _bounded_memory(), mended():
        warnings.simplefilter("ignore")  # remarks of the format's library on what it does not know
        found, failure = _attempt(path, read, what)
    if failure is not None:
        raise failure
    return cast(T, found)


def _attempt(path: Path, read: Callable[[], T], what: str) -> tuple[T | None, UserError | None]:
    """What ``read()`` gives, or the error that it comes to, without the frames that hold the library's open files."""
    try:
        return read(), None
    except UserError as error:
        return None, error
    except ImportError as error:
        return None, UserError(str(path), f"needs a library that is not installed ({_said(error)})", EXTRA)
    except MemoryError:
        remedy = "it is damaged, or needs a machine with more: copy it again"
        return None, UserError(str(path), f"{what} asks for more memory than there is", remedy)
    # two dozen parsers of binary formats raise whatever damaged bytes lead them into (struct.error, KeyError,
    # RecursionError, AssertionError, bare Exception), and none of it is ours to mend
    except Exception as error:  # noqa: BLE001 the one place that catches everything, of code that is not ours
        remedy = "it is damaged, cut off or of another format: copy or save it again"
        return None, UserError(str(path), f"{what} is not readable ({_said(error)})", remedy)


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0][:100] if lines else "") or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """The libraries' loggers silent: what matters ends in an exception, and ours is the one line."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """An address space of what is in use and what is free, where the system can bound it.

    A damaged header may ask for terabytes; the system would grant them and kill the process when they are touched.
    """
    if sys.platform == "win32":  # pragma: no cover  # it refuses what it does not have
        yield
        return
    import resource

    import psutil

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = psutil.Process().memory_info().vms + available() + _SPARE
    if hard != resource.RLIM_INFINITY:
        bound = min(bound, hard)
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
