"""NumPy archives (``.npz``), without pickles."""

import lzma
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

from fusionkit.data.readers import RawArray, calibration, check_claim, damage, oblong
from fusionkit.errors import UserError

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

_MOST_VALUES, _MOST_BYTES = 16, 10_000  # of a pixel size and its units
_ENCRYPTED = 0x1  # flag of a member
# of a member: its signature, then the lengths of name and extra field; APPNOTE.TXT of the zip format, section 4.3.7
_LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True)
class NpzRecording:
    """The arrays of an npz archive; ``pixel_size`` and ``units`` are arrays among them."""

    path: Path  # the archive
    headers: dict[str, tuple[tuple[int, ...], np.dtype[Any]]]  # shape and dtype of each array

    def names(self) -> list[str]:
        """The arrays, without the calibration and without Python objects."""
        objects = [name for name, (_, dtype) in self.headers.items() if dtype.hasobject]
        return [name for name in self.headers if name not in ("pixel_size", "units", *objects)]

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of the array ``name``; None if there is none."""
        return self.headers[name][0] if name in self.headers else None

    def read(self, name: str) -> RawArray:
        """The array ``name`` with the archive's pixel size."""
        given = self._value("pixel_size"), self._value("units")
        return RawArray(self._load(name), *calibration(*given), oblong(*given))

    def _value(self, name: str) -> npt.NDArray[Any] | None:
        shape, dtype = self.headers.get(name, ((), np.dtype(object)))
        is_small = prod(shape) <= _MOST_VALUES and dtype.itemsize <= _MOST_BYTES and not dtype.hasobject
        return self._load(name) if is_small else None

    def _load(self, name: str) -> npt.NDArray[Any]:
        if self.headers[name][1].hasobject:
            raise UserError(str(self.path), f"array '{name}' holds Python objects", "save it as numbers")
        with _opened(self.path, f"array '{name}'") as archive:
            member = archive.getinfo(f"{name}.npy")
            if _is_plain(member, *self.headers[name]):
                return _map_member(self.path, member)
            return read_member(self.path, archive, member, f"array '{name}'")


def read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str) -> npt.NDArray[Any]:
    """The array of a member; `UserError` or ``ValueError`` if it claims more than is stored, or is something else."""
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
    check_claim(path, what, shape, dtype, member.compress_size, path.stat().st_size)
    if prod(shape) * dtype.itemsize > member.file_size:
        raise EOFError("the array ends early")
    with archive.open(member) as stream:
        array = npy.read_array(stream, allow_pickle=False)
        if stream.read(1):  # zipfile compares the checksum at the end
            raise ValueError("the array is followed by something else")
        return array


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


def _is_plain(member: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether the archive holds the array as it is in memory."""
    stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & _ENCRYPTED
    return stored and bool(shape) and 0 not in shape and dtype.itemsize > 0


def _map_member(path: Path, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """The array of an uncompressed member, memory-mapped after its checksum is compared."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(_LOCAL_HEADER.size)
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        if signature != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"bad local header of {member.filename}")
        start = member.header_offset + len(header) + name_length + extra_length
        file.seek(start)
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        first = file.tell()
    if checksum(path, start, member.file_size) != member.CRC:
        raise zipfile.BadZipFile(f"bad checksum of {member.filename}")
    if member.file_size < first - start + prod(shape) * dtype.itemsize:
        raise EOFError("the array ends early")
    return memory_map(path, first, shape, dtype, "F" if by_columns else "C")


@contextmanager
def _opened(path: Path, what: str) -> Iterator[zipfile.ZipFile]:
    with damage(path, "an npz archive", _DAMAGE, what), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # numpy warns about headers that Python 2 wrote
        with zipfile.ZipFile(path) as archive:
            yield archive


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


_PART = 1 << 22  # bytes per read for the checksum


def memory_map(
    path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], order: str = "C"
) -> npt.NDArray[Any]:
    """A read-only array over bytes of the file, stored by rows (``C``) or columns (``F``).

    `ValueError` if the file ends before the array does.
    """
    return np.memmap(path, dtype, "r", offset, shape, "F" if order == "F" else "C")


def checksum(path: Path, offset: int, size: int) -> int:
    """CRC-32 of ``size`` bytes of the file, read a part at a time."""
    crc = 0
    with path.open("rb") as file:
        file.seek(offset)
        while size > 0:
            part = file.read(min(size, _PART))
            if not part:
                raise EOFError("the file ends before the array does")
            crc, size = zlib.crc32(part, crc), size - len(part)
    return crc
