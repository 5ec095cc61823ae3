"""Names of points as folders: readable, the same for the same values, and fit for every file system."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

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


def names_of_files(paths: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to call each file, for a reader and as a folder; those that would share a folder get longer names.

    Parameters
    ----------
    paths : absolute, no two equal.
    """
    longer = [_names_of_file(Path(path)) for path in paths]
    level = [0] * len(paths)
    while True:
        chosen = [names[at] for names, at in zip(longer, level, strict=True)]
        # some file systems take A and a for one name
        shared = Counter(part.lower() for _, part in chosen)
        again = [index for index, (_, part) in enumerate(chosen) if shared[part.lower()] > 1]
        if not again:
            return tuple(label for label, _ in chosen), tuple(part for _, part in chosen)
        for index in again:  # the last names are whole paths, and all different
            level[index] = min(level[index] + 1, len(longer[index]) - 1)


def _names_of_file(path: Path) -> list[tuple[str, str]]:
    """What a file may be called, for a reader and as a folder: its stem, its name, with its folder, with more, all."""
    ends = ["/".join(path.parts[-count:]) for count in range(1, len(path.parts))]
    names = [(label, slug(label.replace("/", "_"))) for label in (path.stem, *ends)] + [(str(path), slug(str(path)))]
    # a folder that begins with a dash would be an option of every program
    return [(label, f"_{part}" if part.startswith("-") else part) for label, part in names]


def _cut(kept: str, whole: str, longest: int) -> str:
    checksum = sha256(whole.encode()).hexdigest()[:8]
    return f"{kept[: longest - 9]}-{checksum}"
