"""The hidden folder of checkpoints beside the output of an unfinished run: one whole and synced file for each name."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.arrays import Array
from fusionkit.checkpoint.encode import decode, encode
from fusionkit.data.new_file import whole_file
from fusionkit.errors import UserError, printable

_LOG = logging.getLogger("fusionkit")
_COST = 0.02  # most of the time that is spent on checkpoints
_RATE, _LATENCY = 2e8, 0.01  # bytes a second and seconds of a file
_HEAD = "head"  # member of a file: the key of the run, the tree of values and the kinds of the arrays as JSON
_KINDS = {np.dtype(kind).str for kind in "?efdbhiqBHIQ"}
_PIECE, _SUM = 1 << 20, 16  # bytes
# what a damaged file raises
_DAMAGED = (OSError, ValueError, TypeError, LookupError, AttributeError, MemoryError, OverflowError, RuntimeError)
_DAMAGED += (EOFError, zipfile.BadZipFile)


class Checkpoint:
    """What a run has computed so far, by name.

    Parameters
    ----------
    folder : of its files.
    key : checksum of everything that the run depends on; files with another key are not used.
    every : seconds between two states of a solve; more where writing would take over 2 % of the time.
    part : what else a value depends on, such as chosen weights.
    stage : number of the solver in a course of several.
    """

    def __init__(self, folder: Path, key: str, every: float, part: str = "", stage: int = 1) -> None:
        self.folder, self.key, self.every, self.part, self.stage = folder, key, every, part, stage
        self._is_failing, self._took, self._last = False, 0.0, time.monotonic()

    def of_part(self, part: str) -> Checkpoint:
        """The same for values that also depend on ``part``."""
        return Checkpoint(self.folder, self.key, self.every, part)

    def next_stage(self) -> Checkpoint:
        """The same for the next solver of a course, beside the values of those before."""
        return Checkpoint(self.folder, self.key, self.every, self.part, self.stage + 1)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{f'-{self.stage}' if self.stage > 1 else ''}.zip"

    def due(self, size: int) -> bool:
        """Whether to save a state of ``size`` bytes now."""
        seconds = max(self.every, self._took / _COST, _seconds(size) / _COST)
        return not self._is_failing and time.monotonic() - self._last >= seconds

    def is_worth(self, seconds: float, size: int) -> bool:
        """Whether to save ``size`` bytes that took ``seconds`` to compute."""
        return not self._is_failing and seconds >= _seconds(size) / _COST

    def save(self, name: str, value: Any) -> None:
        """Save a value of dataclasses, arrays and numbers; a failure costs the checkpoint, not the run."""
        if self._is_failing:
            return
        started, arrays = time.monotonic(), list[Array]()
        try:
            tree = encode(value, arrays)
            if self.state() == "foreign":
                self.remove()
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path(name)) as partial, zipfile.ZipFile(partial, "w") as archive:
                kinds = [[array.dtype.str, array.shape] for array in arrays]
                head = json.dumps({"key": self.key, "part": self.part, "tree": tree, "arrays": kinds}).encode()
                archive.writestr(_HEAD, _sum(head) + head)
                for place, array in enumerate(arrays):
                    with archive.open(str(place), "w", force_zip64=True) as member:
                        member.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        except (UserError, OSError, TypeError) as error:
            self._is_failing = True
            _LOG.warning("there are no checkpoints: %s", error)
        self._last = time.monotonic()
        self._took = self._last - started

    def load(self, name: str, template: Any = None, kinds: Mapping[str, type] | None = None) -> Any:
        """The value saved under a name, see `fusionkit.checkpoint.encode.decode`; None if there is none to use."""
        path = self._path(name)
        try:
            with zipfile.ZipFile(path) as archive:
                head = _head(archive)
                if (head["key"], head["part"]) != (self.key, self.part):
                    return None
                arrays = {place: _array(archive, str(place), *kind) for place, kind in enumerate(head["arrays"])}
            return decode(head["tree"], arrays, template, kinds)
        except FileNotFoundError:
            return None
        except _DAMAGED as error:
            _LOG.warning("the checkpoint %s is damaged (%s); it is not used", path, printable(str(error)))
            return None

    def state(self) -> str:
        """``usable``; ``foreign``, if the files are of another run; or empty, without any."""
        state = ""
        for path in self.folder.glob("[!.]*.zip"):
            with suppress(*_DAMAGED), zipfile.ZipFile(path) as archive:
                if _head(archive)["key"] == self.key:
                    return "usable"
            state = "foreign"
        return state

    def remove(self) -> None:
        """Remove all files: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _seconds(size: int) -> float:
    """About how long it takes to write so many bytes."""
    return _LATENCY + size / _RATE


def beside(output: Path) -> Path:
    """The folder of the checkpoints of a run with this output folder."""
    target = Path(os.path.realpath(output))
    return target.with_name(f".{target.name[:100]}.checkpoint")


def _head(archive: zipfile.ZipFile) -> dict[str, Any]:
    text = _stored(archive, _HEAD).read()
    if text[:_SUM] != _sum(text[_SUM:]):
        raise ValueError("its checksum differs")
    return json.loads(text[_SUM:])


def _sum(text: bytes) -> bytes:
    return blake2b(text, digest_size=_SUM).digest()


def _array(archive: zipfile.ZipFile, name: str, kind: str, shape: list[int]) -> Array:
    """An array of the archive; `ValueError` if it is not as large as it claims."""
    if kind not in _KINDS or archive.getinfo(name).file_size != prod(shape) * np.dtype(kind).itemsize:
        raise ValueError("an array is not as large as it claims")
    array = np.empty(shape, kind)
    rest = memoryview(array.reshape(-1).view(np.uint8).data)
    with _stored(archive, name) as member:
        while part := member.read(_PIECE):  # to the end, where the checksum is compared
            rest[: len(part)] = part
            rest = rest[len(part) :]
    return array


def _stored(archive: zipfile.ZipFile, name: str) -> Any:
    """The open member; `ValueError` if it is compressed, so that it is no larger than the file."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed")
    return archive.open(name)
