"""The axes of a sweep, each a key of the config and its values, from the config's ``sweep`` or the command line.

The names of points are readable, determined by the values, and valid on every file system.
"""

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from os.path import exists
from pathlib import Path
from typing import Any

from fusionkit.config.overrides import PATHS
from fusionkit.config.yaml import parse
from fusionkit.errors import UserError
from fusionkit.options import repeated

MOST_POINTS = 10_000
_FORMS = "write a list ([0.1, 0.2]), {linear: [first, last, count]} or {log: [first, last, count]}"
_FIXED = ("version", "output", "sweep")


@dataclass(frozen=True)
class Axis:
    """A key of the config and the values that it takes."""

    key: str  # path of the key (``terms.tv.weight``), as for ``--set``
    values: tuple[Any, ...]  # distinct, in order
    labels: tuple[str, ...]  # of the values, for readers; distinct
    parts: tuple[str, ...]  # of the folder names of points with these values; distinct


def axes_of(sweep: Any, over: Sequence[str], folder: Path) -> tuple[Axis, ...]:
    """The axes of a sweep: of the config (mapping keys to lists or ranges), and ``key=values`` of the command line.

    The latter replace axes with the same key; paths of the config are relative to the folder. `UserError` if an axis is
    no list or range, is empty, has a value twice, or is a key that cannot be swept.
    """
    if sweep is not None and not isinstance(sweep, dict):
        raise UserError("sweep", "is not a mapping of keys to values", "write sweep: {terms.tv.weight: [0.1, 0.2]}")
    axes = {key: axis(key, values, f"sweep.{key}", folder) for key, values in (sweep or {}).items()}
    for text in over:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not key or not values:
            raise UserError(f"--over {text}", "has no values", "write --over terms.tv.weight=0.1,0.2,0.4")
        axes[key] = axis(key, _parse_values(values, f"--over {key}"), f"--over {key}", Path.cwd())
    if not axes:
        remedy = "add sweep: {terms.tv.weight: [0.1, 0.2]} to the config, or --over terms.tv.weight=0.1,0.2"
        raise UserError("sweep", "there is nothing to sweep", remedy)
    count = math.prod(len(each.values) for each in axes.values())
    if count > MOST_POINTS:
        raise UserError("sweep", f"has {count} points", f"give fewer values, for at most {MOST_POINTS} points")
    return tuple(axes.values())


def axis(key: str, spec: Any, where: str, folder: Path) -> Axis:
    """One axis from a list or range; paths are relative to ``folder``."""
    if key.partition(".")[0] in _FIXED:
        raise UserError(where, "cannot be swept", "sweep keys of data, terms, solver, init, precision or engine")
    values = _values(spec, where)
    if not values:
        raise UserError(where, "has no values", _FORMS)
    for index, value in enumerate(values):
        if value in values[:index]:
            raise UserError(where, f"names the value {value} twice", "name every value once")
    labels = tuple(_text(value) for value in values)
    for index, label in enumerate(labels):
        if slug(label) in map(slug, labels[:index]):  # 0.1 and '0.1'
            raise UserError(where, f"names {label} twice, as different values", "name every value once")
    if PATHS.fullmatch(key):
        values = [_path(value, key, folder) for value in values]
    return Axis(key, tuple(values), labels, tuple(f"{title(key)}={slug(label)}" for label in labels))


def file_axis(files: Sequence[str]) -> Axis:
    """The axis of a batch: the config's ``data.path``, with points named after their files.

    A missing file gives a point that fails unless it has run before; `UserError` if no file exists.
    """
    paths = [str(Path(file).expanduser().absolute()) for file in files]
    path = repeated(paths)
    if path is not None:
        raise UserError(path, "is named twice", "name every file once")
    if not any(map(exists, paths)):
        raise UserError(files[0], "there is no such file", "check its name")
    labels, parts = names_of_files(paths)
    return Axis("data.path", tuple(paths), labels, parts)


def assignment(key: str, value: Any) -> str:
    """``key=value`` for ``--set``."""
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def _values(spec: Any, where: str) -> list[Any]:
    if isinstance(spec, list):
        return spec
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise UserError(where, "is neither a list nor a range", _FORMS)
    ((kind, ends),) = spec.items()
    if kind not in ("linear", "log"):
        raise UserError(f"{where}.{kind}", "there is no such range", _FORMS)
    return _range(kind, ends, f"{where}.{kind}")


def _range(kind: str, ends: Any, where: str) -> list[Any]:
    numbers = ends if isinstance(ends, list) and len(ends) == 3 and all(map(_is_number, ends)) else None
    if numbers is None:
        raise UserError(where, "is not three finite numbers", f"write {{{kind}: [first, last, count]}}")
    first, last, count = numbers
    if not isinstance(count, int) or not 2 <= count <= MOST_POINTS:
        raise UserError(where, f"has the count {count}", f"give a whole number from 2 to {MOST_POINTS}")
    if first == last:
        raise UserError(where, "begins and ends with the same value", "give two different values")
    shares = [index / (count - 1) for index in range(1, count - 1)]
    if kind == "linear":
        return _rounded([first, *(first * (1 - share) + last * share for share in shares), last])
    if first <= 0 or last <= 0:
        raise UserError(where, "has an end that is not above 0", "use {linear: ...} for such values")
    logs = [math.log(first) * (1 - share) + math.log(last) * share for share in shares]
    return _rounded([first, *map(math.exp, logs), last])


def _rounded(values: list[float]) -> list[Any]:
    """The values with as few digits as keep them accurate to 1e-4 of the smallest gap, for readable names."""
    gap = min(abs(b - a) for a, b in pairwise(values))
    for digits in range(6, 17):
        rounded = [float(f"{value:.{digits}g}") for value in values]
        if all(abs(a - b) <= 1e-4 * gap for a, b in zip(values, rounded, strict=True)):
            break
    else:
        rounded = values
    rounded[0], rounded[-1] = values[0], values[-1]
    whole = isinstance(values[0], int) and isinstance(values[-1], int) and all(v == int(v) for v in rounded)
    return [int(value) if whole else float(value) for value in rounded]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _parse_values(text: str, where: str) -> Any:
    """Parse ``log:0.01:1:9``, ``linear:0:1:5``, values separated by commas, or a list or range in YAML."""
    kind, colon, ends = text.partition(":")
    if colon and kind in ("linear", "log"):
        return {kind: parse(f"[{ends.replace(':', ',')}]", where)}
    return parse(text if text.startswith(("[", "{")) else f"[{text}]", where)


def _path(value: Any, key: str, folder: Path) -> Any:
    is_path = isinstance(value, str) and (key != "init" or value.lower().endswith((".h5", ".hdf5")))
    return str((folder / Path(value).expanduser()).absolute()) if is_path else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
