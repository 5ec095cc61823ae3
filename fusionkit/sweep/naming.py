"""Names of points as folders: readable, the same for the same values, and fit for every file system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256

_LONGEST_PART, _LONGEST_NAME = 48, 160
_DROPPED = re.compile(r"^(?:terms|data)\.(?!\d)")  # most keys begin so


def title(key: str) -> str:
    """A key as it begins a part of a name: ``terms.tv.weight`` is ``tv.weight``."""
    return slug(_DROPPED.sub("", re.sub(r"\[(\d+)\]", r".\1", key)))


def slug(text: str) -> str:
    """The text with what no file name should hold replaced; a checksum keeps what was lost apart."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()  # a for ä
    kept = re.sub(r"[^A-Za-z0-9.+_-]+", "-", plain).strip(".")
    return kept if kept == text and len(kept) <= _LONGEST_PART else _cut(kept, text, _LONGEST_PART)


def joined(parts: Sequence[str]) -> str:
    """The name of a point from its parts, one an axis."""
    name = ",".join(parts)
    return name if len(name) <= _LONGEST_NAME else _cut(name, name, _LONGEST_NAME)


def _cut(kept: str, whole: str, longest: int) -> str:
    checksum = sha256(whole.encode()).hexdigest()[:8]
    return f"{kept[: longest - 9]}-{checksum}"
