"""A new file that fusionkit writes for the user: a config, a page, a phantom."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusionkit.errors import UserError, file_errors

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
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path for a file or a folder that replaces ``path`` at the end: it appears whole or not at all."""
    partial = path.with_name(f".{path.stem[:60]}.partial-{os.getpid()}{path.suffix}")
    with file_errors(str(path), remedy="choose another name"):
        try:
            yield partial
            if path.is_dir():
                shutil.rmtree(path)
            partial.replace(path)
        finally:
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            partial.unlink(missing_ok=True)


def write_new(path: Path, text: str, overwrite: bool, suffixes: tuple[str, ...] = YAML) -> None:
    """Write the text as a `new_file`."""
    with new_file(path, overwrite, suffixes) as partial:
        partial.write_text(text, encoding="utf-8")
