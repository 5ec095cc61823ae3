"""Formats of other programs by name: what a writer offers, and writing a file that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from os.path import exists, isdir
from pathlib import Path
from typing import ClassVar, Protocol

from fusionkit.errors import UserError
from fusionkit.export.content import Content
from fusionkit.registry import lookup, table

EXTRA = "pip install 'fusionkit-em[io]'"
STEM = "maps"  # of the file in a run folder


class Writer(Protocol):
    """A file format.

    ``suffixes`` are those that ask for it, the usual one first; ``libraries`` are the modules that it needs.
    """

    suffixes: ClassVar[tuple[str, ...]]
    libraries: ClassVar[tuple[str, ...]]

    def write(self, content: Content, path: Path) -> None:
        """Write a new file, or folder where the format is one."""
        ...


def writer_of(name: str, where: str) -> Writer:
    """The writer of that name, its libraries being installed.

    Parameters
    ----------
    name : of the format.
    where : config key or option, for error messages.

    Raises
    ------
    UserError : there is no such writer, or a library is missing.
    """
    writer = lookup("writers", name, where)()
    lacking = [library for library in writer.libraries if find_spec(library) is None]
    if lacking:
        raise UserError(where, f"'{name}' needs {' and '.join(lacking)}, which is not installed", EXTRA)
    return writer


def writer_for(path: Path) -> Writer:
    """The writer that the file's suffix asks for; `UserError` where none does."""
    known: list[str] = []
    for name in table("writers"):
        suffixes = lookup("writers", name, str(path)).suffixes
        if path.suffix.lower() in suffixes:
            return writer_of(name, str(path))
        known += suffixes
    raise UserError(str(path), "no writer has this suffix", f"end the name with one of {', '.join(known)}")


def check_formats(formats: Sequence[str], where: str) -> None:
    """`UserError` at ``where`` for a format that cannot be written, before anything is computed."""
    for index, name in enumerate(formats):
        writer_of(name, f"{where}[{index}]")


def write_formats(content: Content, formats: Sequence[str], folder: Path) -> None:
    """``maps.hspy``, ``maps.tif`` and so on in a folder; `UserError` as `writer_of`."""
    for name in formats:
        writer = writer_of(name, "output.formats")
        _quietly(writer, content, folder / f"{STEM}{writer.suffixes[0]}")


def check_target(path: Path, writer: Writer, overwrite: bool) -> None:
    """`UserError` where no file of this name can be written, or one exists that must stay."""
    where = str(path)
    if path.suffix.lower() not in writer.suffixes:
        raise UserError(where, "has another suffix than the format", f"end the name with {writer.suffixes[0]}")
    if not isdir(path.parent):
        raise UserError(where, f"there is no folder '{path.parent}'", "make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(where, f"the folder '{path.parent}' is not writable", "name a file elsewhere")
    if exists(path) and not overwrite:
        raise UserError(
            where, "exists already", "name another file, or replace it with --overwrite (overwrite=True in Python)"
        )
    if isdir(path) and not (path / ".zgroup").is_file():  # a folder is replaced by its like only
        raise UserError(where, "is a folder that holds something else", "name another file")


def export(content: Content, path: Path, writer: Writer, overwrite: bool = False) -> None:
    """Write one file, which takes its place when it is whole.

    Parameters
    ----------
    content : what it holds.
    path : the file.
    writer : of its format.
    overwrite : whether a former file may be replaced.

    Raises
    ------
    UserError : as `check_target`, or the disk cannot be written.
    """
    check_target(path, writer, overwrite)
    partial = path.with_name(f".{path.stem[:60]}.partial-{os.getpid()}{path.suffix}")
    try:
        _quietly(writer, content, partial)
        if path.is_dir():
            shutil.rmtree(path)
        partial.replace(path)
    except OSError as error:
        raise UserError(str(path), f"cannot be written ({error.strerror or error})", "name another file") from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        partial.unlink(missing_ok=True)


def _quietly(writer: Writer, content: Content, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks of the format's library on its own dependencies
        writer.write(content, path)
