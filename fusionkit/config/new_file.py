"""A config that fusionkit writes for the user: a new file, or one that may be replaced."""

from __future__ import annotations

import os
from pathlib import Path

from fusionkit.errors import UserError


def check_new(path: Path, overwrite: bool) -> None:
    """`UserError` where ``path`` is no name of a new YAML file, or is one that must not be replaced."""
    where = str(path)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise UserError(where, "is no name of a config", "end it with .yaml")
    if path.is_dir():
        raise UserError(where, "is a folder", "name a file in it")
    if path.exists() and not overwrite:
        raise UserError(where, "exists", "choose another name, or replace it with --overwrite")
    if not path.absolute().parent.is_dir():
        raise UserError(where, "lies in a folder that does not exist", "make the folder first")


def write_new(path: Path, text: str, overwrite: bool) -> None:
    """Write the text; the file appears whole or not at all."""
    check_new(path, overwrite)
    partial = path.with_name(f".{path.name[:60]}.partial-{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise UserError(str(path), f"cannot be written: {error.strerror}", "choose another folder") from None
    finally:
        partial.unlink(missing_ok=True)
