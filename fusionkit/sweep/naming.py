"""Folder names of points: readable, determined by the values, and valid on every file system."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

_LONGEST_PART, _LONGEST_NAME = 48, 160
_COMMON_PREFIX = re.compile(r"^(?:terms|data)\.(?!\d)")


def title(key: str) -> str:
    """The short form of a key in a name: ``terms.tv.weight`` is ``tv.weight``."""
    return slug(_COMMON_PREFIX.sub("", re.sub(r"\[(\d+)\]", r".\1", key)))


def slug(text: str) -> str:
    """The text without characters that file names should not have; a checksum marks texts that were changed."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()  # a for ä
    safe = re.sub(r"[^A-Za-z0-9.+_-]+", "-", plain).strip(".")
    return safe if safe == text and len(safe) <= _LONGEST_PART else _cut(safe, text, _LONGEST_PART)


def join(parts: Sequence[str]) -> str:
    """The name of a point from its parts, one for each axis."""
    name = ",".join(parts)
    return name if len(name) <= _LONGEST_NAME else _cut(name, name, _LONGEST_NAME)


def names_of_files(paths: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Label and folder name of each file, given by absolute paths; files that would share a folder get longer names."""
    candidates = [_names_of_file(Path(path)) for path in paths]
    level = [0] * len(paths)
    while True:
        chosen = [names[at] for names, at in zip(candidates, level, strict=True)]
        # some file systems ignore the case of letters
        counts = Counter(part.lower() for _, part in chosen)
        ambiguous = [index for index, (_, part) in enumerate(chosen) if counts[part.lower()] > 1]
        if not ambiguous:
            return tuple(label for label, _ in chosen), tuple(part for _, part in chosen)
        for index in ambiguous:  # the last candidates are whole paths, and distinct
            level[index] = min(level[index] + 1, len(candidates[index]) - 1)


def _names_of_file(path: Path) -> list[tuple[str, str]]:
    """Labels and folder names for a file, from short to long: stem, name, with parent folders, whole path."""
    ends = ["/".join(path.parts[-count:]) for count in range(1, len(path.parts))]
    names = [(label, slug(label.replace("/", "_"))) for label in (path.stem, *ends)] + [(str(path), slug(str(path)))]
    # programs would take a folder name that begins with a dash for an option
    return [(label, f"_{part}" if part.startswith("-") else part) for label, part in names]


def _cut(text: str, original: str, longest: int) -> str:
    checksum = sha256(original.encode()).hexdigest()[:8]
    return f"{text[: longest - 9]}-{checksum}"
