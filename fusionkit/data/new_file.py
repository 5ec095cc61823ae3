"""A new file that fusionkit writes for the user: a config, a page, a phantom."""

import ctypes
import glob
import os
import platform
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import psutil

from fusionkit.errors import UserError, file_errors

_HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # of names of partial files
_PROCESS = re.compile(rf"partial-{_HOST}-(\d+)")
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
YAML, HTML = (".yaml", ".yml"), (".html", ".htm")


def check_new(path: Path, overwrite: bool, suffixes: tuple[str, ...] = YAML) -> None:
    """`UserError` if no file of this name can be written, or if one exists that must not be replaced."""
    where = str(path)
    if path.suffix.lower() not in suffixes:
        raise UserError(where, "has no suffix that can be written", f"end it with {' or '.join(suffixes)}")
    with file_errors(where, remedy="choose another name"):
        if path.is_dir():
            raise UserError(where, "is a folder", "name a file in it")
        if path.exists() and not overwrite:
            raise UserError(where, "exists already", "choose another name, or replace it with --overwrite")
        if not path.absolute().parent.is_dir():
            raise UserError(where, f"there is no folder '{path.parent}'", "make it first")


@contextmanager
def new_file(path: Path, overwrite: bool, suffixes: tuple[str, ...] = YAML) -> Iterator[Path]:
    """A `whole_file` after `check_new`."""
    check_new(path, overwrite, suffixes)
    with whole_file(path) as partial:
        yield partial


@contextmanager
def whole_file(path: Path, replace: bool = True) -> Iterator[Path]:
    """Yield a path for a file or a folder that takes the place of ``path`` at the end, synced and whole, or not at all.

    A folder that it replaces changes places with it and is removed; `UserError` if ``replace`` forbids that, or if the
    disk cannot be written. What dead processes left is removed first.
    """
    stem = path.stem[:40]
    clear_leftovers(path.parent, stem)
    partial = path.with_name(f".{stem}.partial-{_HOST}-{os.getpid()}-{token_hex(3)}{path.suffix[:40]}")
    with file_errors(str(path), remedy="choose another name"):
        try:
            yield partial
            for each in (*partial.glob("*"), partial):  # not the chunks of an exported folder
                _sync(each)
            _put(partial, path, replace)
            _sync(path.parent)
        finally:
            _remove(partial)


def _put(partial: Path, path: Path, replace: bool) -> None:
    """Rename the partial; or exchange two folders, or replace the files of one, the largest first."""
    try:
        partial.replace(path)  # also over an empty folder
    except OSError:  # a folder with contents, or a mount point
        if not (partial.is_dir() and path.is_dir()):
            raise
        if not replace and any(path.iterdir()):
            raise UserError(str(path), "holds something by now", "choose another folder") from None
        if _exchange(partial, path):
            return
        new = sorted(partial.iterdir(), key=lambda each: -each.stat().st_size)
        for each in {*path.iterdir()} - {path / each.name for each in new if not each.is_dir()}:
            _remove(each)
        for each in new:
            each.replace(path / each.name)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk; for folders some systems cannot do that."""
    is_folder = path.is_dir()
    with suppress(*([OSError] if is_folder else [])):
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def clear_leftovers(folder: Path, stem: str = "*") -> None:
    """Remove what killed processes of this machine left of a `whole_file` with this stem, or with any, in a folder."""
    for left in folder.glob(f".{stem if stem == '*' else glob.escape(stem)}.partial-{_HOST}-*"):
        process = int(_PROCESS.findall(left.name)[-1])
        with suppress(OSError):  # another process clears it, too
            if not runs_since(process, left.stat().st_mtime):
                _remove(left)


def runs_since(process: int, time: float) -> bool:
    """Whether a process is running and started before ``time`` (seconds since 1970), so that it is the same one."""
    try:
        return psutil.Process(process).create_time() < time + 1.0
    except psutil.NoSuchProcess:
        return False


def write_new(path: Path, text: str, overwrite: bool, suffixes: tuple[str, ...] = YAML) -> None:
    """Write the text as a `new_file`."""
    with new_file(path, overwrite, suffixes) as partial:
        partial.write_text(text, encoding="utf-8")
