"""Writers of other programs' formats: their protocol, finding one by name or suffix, and writing a file."""

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from os.path import isdir
from pathlib import Path
from typing import ClassVar, Protocol

from fusionkit.data.new_file import check_new, whole_file
from fusionkit.errors import IO, UserError
from fusionkit.export.content import Content
from fusionkit.registry import lookup, table

STEM = "maps"  # of the file in a run folder


class Writer(Protocol):
    """A file format.

    ``suffixes`` select it, the usual one first; ``libraries`` are the modules that it needs.
    """

    suffixes: ClassVar[tuple[str, ...]]
    libraries: ClassVar[tuple[str, ...]]

    def write(self, content: Content, path: Path) -> None:
        """Write a new file, or a new folder if the format is one."""
        ...


def writer_of(name: str, where: str) -> Writer:
    """The writer of a format; `UserError` under the key ``where`` if there is none or it lacks a library."""
    writer = lookup("writers", name, where)()
    missing = [library for library in writer.libraries if find_spec(library) is None]
    if missing:
        raise UserError(where, f"'{name}' needs {' and '.join(missing)}, which is not installed", IO)
    return writer


def writer_for(path: Path) -> Writer:
    """The writer for the suffix of a file; `UserError` if there is none."""
    suffixes: list[str] = []
    for name in table("writers"):
        suffixes += lookup("writers", name, str(path)).suffixes
        if path.suffix.lower() in suffixes:
            return writer_of(name, str(path))
    raise UserError(str(path), "no writer has this suffix", f"end the name with one of {', '.join(suffixes)}")


def check_formats(formats: Sequence[str], where: str) -> None:
    """`UserError` if one of the formats of a config cannot be written; called before anything is computed."""
    for index, name in enumerate(formats):
        writer_of(name, f"{where}[{index}]")


def check_target(path: Path, writer: Writer, overwrite: bool) -> None:
    """`UserError` if no file of this name can be written, or if one exists that must not be replaced."""
    if path.suffix.lower() not in writer.suffixes or not isdir(path):
        check_new(path, overwrite, writer.suffixes)
    elif not overwrite:
        raise UserError(str(path), "exists already", "choose another name, or replace it with --overwrite")
    elif not (path / ".zgroup").is_file():  # only an exported folder is replaced
        raise UserError(str(path), "is a folder that holds something else", "choose another name")


def export(content: Content, path: Path, writer: Writer, overwrite: bool = False) -> None:
    """Write one file, whole or not at all; `UserError` as `check_target`, or if the disk cannot be written."""
    check_target(path, writer, overwrite)
    with whole_file(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library about its own dependencies
        writer.write(content, partial)
