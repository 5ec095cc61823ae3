"""Whether the global heaps of an HDF5 file can be walked: libhdf5 (1.14) loops for ever on a damaged one.

Texts of variable length lie in a global heap. Format: HDF5 File Format Specification 3.0, section III.E.
"""

import mmap
import struct
from pathlib import Path

_SIGNATURE = b"GCOL\x01\x00\x00\x00"
_HEADER = 16  # of a heap and of an object in it


def heaps_are_sound(path: Path) -> bool:
    """Whether every global heap in the file is a chain of objects that ends where the heap ends."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_SIGNATURE)
        while start >= 0:
            if not _is_chain(content, start):
                return False
            start = content.find(_SIGNATURE, start + 1)
    return True


def _is_chain(content: mmap.mmap, start: int) -> bool:
    if start + _HEADER > len(content):
        return False
    end = start + struct.unpack_from("<Q", content, start + 8)[0]
    if end > len(content):
        return False
    position = start + _HEADER
    while position + _HEADER <= end:
        index, size = struct.unpack_from("<H6xQ", content, position)
        # free space (index 0) counts its header, objects do not and are padded to 8 bytes
        step = size if index == 0 else _HEADER + (size + 7) // 8 * 8
        if step < 1 or position + step > end:
            return False
        position += step
    return True
