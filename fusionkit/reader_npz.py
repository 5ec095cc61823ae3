"""NumPy archives (``.npz``), without pickles."""

from __future__ import annotations

import io
import lzma
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

from fusionkit.errors import UserError
from fusionkit.readers import RawArray, calibration, damage

# what zipfile, the decompressors and numpy's header parser raise on damaged bytes (RuntimeError: a flipped bit of
# the encryption flag)
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    SyntaxError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
    RuntimeError,
)


@dataclass(frozen=True)
class NpzRecording:
    """The arrays of an npz archive; ``pixel_size`` and ``units`` are arrays among them.

    Parameters
    ----------
    path : the archive.
    headers : shape and dtype of each array.
    """

    path: Path
    headers: dict[str, tuple[tuple[int, ...], np.dtype[Any]]]

    def names(self) -> list[str]:
        """The arrays, without the calibration."""
        return [name for name in self.headers if name not in ("pixel_size", "units")]

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of the array ``name``; None where there is none."""
        return self.headers[name][0] if name in self.headers else None

    def read(self, name: str) -> RawArray:
        """The array ``name`` with the archive's pixel size."""
        size, units, notes = calibration(self._value("pixel_size"), self._value("units"))
        return RawArray(self._load(name), size, units, notes)

    def _value(self, name: str) -> npt.NDArray[Any] | None:
        known = name in self.headers and not self.headers[name][1].hasobject
        return self._load(name) if known else None

    def _load(self, name: str) -> npt.NDArray[Any]:
        if self.headers[name][1].hasobject:
            raise UserError(str(self.path), f"array '{name}' holds Python objects", "save it as numbers")
        with _opened(self.path, f"array '{name}'") as archive:
            # the whole member is read, since only then is its checksum compared
            return npy.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)


class NpzReader:
    """NumPy archives."""

    suffixes: ClassVar[tuple[str, ...]] = (".npz",)

    def open(self, path: Path) -> NpzRecording:
        """The recording in the archive."""
        headers = {}
        with _opened(path, "the file") as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as stream:
                        headers[member.removesuffix(".npy")] = _header(stream)
        return NpzRecording(path, headers)


@contextmanager
def _opened(path: Path, what: str) -> Iterator[zipfile.ZipFile]:
    with damage(path, "an npz archive", _DAMAGE, what), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # numpy's remark on headers that Python 2 wrote
        with zipfile.ZipFile(path) as archive:
            yield archive


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype
