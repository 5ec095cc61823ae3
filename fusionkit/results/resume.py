"""Which checkpoint belongs to a run: the same configuration, files and source give the same bits.

Input files are known by size and checksum: their times tell neither whether they changed nor when.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from importlib.util import find_spec
from os.path import exists
from pathlib import Path
from typing import Any

from fusionkit.checkpoint.folder import Checkpoint, beside
from fusionkit.config import LoadedConfig
from fusionkit.config.overrides import INIT_WORDS
from fusionkit.config.resolved import resolved
from fusionkit.data.readers import FOLDERS
from fusionkit.errors import UserError, file_errors
from fusionkit.registry import plugins
from fusionkit.results.saved import read_summary
from fusionkit.results.summary import INCOMPLETE
from fusionkit.weights.cache import source_checksum

_LOG = logging.getLogger("fusionkit")


def checkpoint_of(loaded: LoadedConfig, folder: Path, resume: bool = False, data: str = "") -> Checkpoint | None:
    """The checkpoint beside the output folder of a run; None where the configuration leaves it out.

    The log tells whether the run goes on from it; with ``resume`` also that it starts from the beginning. ``data`` is
    the checksum of data that the configuration does not name.
    """
    options = loaded.config.checkpoint
    if options is None:
        return None
    checkpoint = Checkpoint(beside(folder), _key(loaded, data), options.every)
    state = checkpoint.state()
    if state == "usable" and (is_unfinished(folder) or not (folder / "summary.json").is_file()):
        _LOG.info("an earlier run of this config was not finished; going on with it")
    elif state == "foreign":
        _LOG.warning("%s is of another config, other data or another version; not used", checkpoint.folder)
    elif not state and resume:
        _LOG.info("there is no checkpoint in %s; starting from the beginning", checkpoint.folder)
    return checkpoint


def is_unfinished(folder: Path) -> bool:
    """Whether the output folder holds a run that was interrupted, or killed after its solve."""
    with suppress(UserError):
        summary = read_summary(folder / "summary.json", "")
        return bool(summary.get(INCOMPLETE)) or summary.get("status") == "interrupted"
    return False


def _key(loaded: LoadedConfig, data: str) -> str:
    """A checksum of all that a run depends on."""
    config = {name: value for name, value in resolved(loaded).items() if name != "output"}
    total = blake2b(source_checksum() + data.encode(), digest_size=16)
    total.update(json.dumps([config, fingerprints(config)], default=str, sort_keys=True).encode())
    for path in sorted(set(_plugin_files())):
        with suppress(OSError):
            total.update(Path(path).read_bytes())
    return total.hexdigest()


def _plugin_files() -> Iterator[str]:
    """The files of the modules that define the factories of plug-ins."""
    for plugin in plugins():
        for factory in (factory for names in plugin.tables.values() for factory in names.values()):
            spec = find_spec(factory.partition(":")[0] if isinstance(factory, str) else factory.__module__)
            if spec is not None and spec.origin is not None:
                yield spec.origin


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
    if path.is_dir():  # no reader takes another folder, which may be as large as a home
        return sorted(each for each in path.rglob("*") if each.is_file()) if path.suffix.lower() in FOLDERS else []
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
