"""The lock of an output folder: one process at a time writes there."""

import json
import os
import platform
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fusionkit.data.new_file import clear_leftovers, runs_since
from fusionkit.errors import UserError, file_errors

_PLAIN = str.maketrans("", "", '{}"')  # of JSON in a message
_PAUSE = 0.05  # seconds between two attempts


@contextmanager
def locked(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of an output folder, a hidden file beside it that names process, start and host of its owner.

    The system releases it when the owner ends in whatever way. What dead processes left in the folder is removed.
    `UserError` if another process holds it for longer than ``patience`` seconds, or the file cannot be written.
    """
    target = Path(os.path.realpath(folder))  # also of links in a circle, which are refused later
    name = target.name if len(target.name) < 60 else f"{target.name[:40]}-{zlib.crc32(target.name.encode()):08x}"
    path = target.with_name(f".{name}.lock")
    with parents_of(target):
        with file_errors(str(folder)):
            lock = _acquire(path, str(folder), time.monotonic() + patience)
        try:
            clear_leftovers(target)
            clear_leftovers(target.parent, target.stem[:40])
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(lock)


@contextmanager
def parents_of(path: Path) -> Iterator[None]:
    """Make the parents of a path within the context, and remove them at its end if they are empty."""
    new = [parent for parent in path.parents if not parent.exists()]
    with file_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # they hold the path, or something of another process
            for parent in new:
                parent.rmdir()


def _acquire(path: Path, where: str, until: float) -> int:
    """The descriptor of the locked file."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        owner = os.pread(lock, 1000, 0).decode(errors="replace")
        is_free = _take(lock, owner)
        if is_free and _is_at(lock, path):
            os.ftruncate(lock, 0)
            own = {"process": os.getpid(), "since": time.time(), "host": platform.node()}
            os.pwrite(lock, json.dumps(own).encode(), 0)
            return lock
        os.close(lock)
        if not is_free and time.monotonic() > until:
            problem = f"another run writes there ({owner.translate(_PLAIN)})"
            raise UserError(where, problem, "wait for its end, or choose another folder")
        time.sleep(_PAUSE)


def _take(lock: int, owner: str) -> bool:
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            pass
    try:
        known = json.loads(owner)
        return known["host"] == platform.node() and not runs_since(int(known["process"]), float(known["since"]))
    except (ValueError, KeyError, TypeError):  # new
        return True


def _is_at(lock: int, path: Path) -> bool:
    """Whether the file is still there: its former owner may have removed it."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False
