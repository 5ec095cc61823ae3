"""Arrays that lie in a file as they are, mapped into memory: the system reads the parts that are used."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_PART = 1 << 22  # bytes of which the checksum is taken at once


def mapped(path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], order: str = "C") -> npt.NDArray[Any]:
    """A read-only array of what lies in the file.

    Parameters
    ----------
    path : the file.
    offset : where the first value lies, bytes.
    shape, dtype : of the array, which is not empty.
    order : ``C``, or ``F`` for an array that was stored by columns.

    Raises
    ------
    ValueError : the file ends before the array does.
    """
    return np.memmap(path, dtype, "r", offset, shape, "F" if order == "F" else "C")


def checksum(path: Path, offset: int, size: int) -> int:
    """CRC-32 of ``size`` bytes of the file, read a part at a time."""
    found = 0
    with path.open("rb") as file:
        file.seek(offset)
        while size > 0:
            part = file.read(min(size, _PART))
            if not part:
                raise EOFError("the file ends before the array does")
            found, size = zlib.crc32(part, found), size - len(part)
    return found
