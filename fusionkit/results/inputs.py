"""The input files of a run, known by size and checksum: their times tell neither whether they changed nor when."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from os.path import exists
from pathlib import Path
from typing import Any

from fusionkit.config.overrides import INIT_WORDS
from fusionkit.errors import file_errors

_WITH_RAW = (".rpl", ".xml")  # headers of a .raw file beside them


def fingerprints(config: Mapping[str, Any], folder: Path = Path()) -> dict[str, dict[str, Any]]:
    """Size and checksum of each file that a configuration reads, by path; without files that are gone.

    Paths are relative to the folder, unless the configuration is resolved.
    """
    found = {}
    for name in filter(exists, (str(folder / Path(name).expanduser()) for name in _files(config))):
        with file_errors(name, "cannot be read", "check its permissions"):
            parts = [_fingerprint(str(path), *_stamp(path)) for path in _parts(Path(name))]
        text = "".join(part for _, part in parts)
        digest = parts[0][1] if len(parts) == 1 else hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        found[name] = {"size": sum(size for size, _ in parts), "blake2b": digest}
    return found


def _parts(path: Path) -> list[Path]:
    if path.is_dir():  # .zspy
        return sorted(each for each in path.rglob("*") if each.is_file())
    raw = path.with_suffix(".raw")
    parts = [path, raw] if path.suffix.lower() in _WITH_RAW else [path]
    return [part for part in parts if part.is_file()]  # a pipe would never end


def _stamp(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


@lru_cache(maxsize=10_000)  # a process that runs many points reads each file once
def _fingerprint(path: str, size: int, modified: int, inode: int) -> tuple[int, str]:
    with open(path, "rb") as file:
        return size, hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _files(config: Mapping[str, Any]) -> Iterator[str]:
    """The paths of the files that a configuration reads."""
    data = config["data"]
    stacks = (stack for key in ("maps", "spectra") for stack in (data.get(key) or {}).values())
    for source in (data, data.get("haadf"), *stacks):
        if isinstance(source, Mapping) and isinstance(source.get("path"), str):
            yield source["path"]
    if config["init"] not in INIT_WORDS:
        yield config["init"]
