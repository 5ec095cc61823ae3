"""A look at an HDF5 file before a reader walks through it: what makes libhdf5 (1.14) loop or take gigabytes."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import h5py

from fusionkit.data.readers.hdf5_heap import heaps_are_sound

_MOST_SHRINKAGE = 1100  # of deflate
_HARMLESS = 2**24  # bytes


def check_hdf5(path: Path) -> None:
    """Raise ``ValueError`` where texts or chunks of a file are damaged; nothing for files that are no HDF5.

    Parameters
    ----------
    path : any file or folder.
    """
    if path.is_dir() or not h5py.is_hdf5(path):
        return
    if not heaps_are_sound(path):
        raise ValueError("its texts are damaged")
    size = path.stat().st_size

    def visit(_: str | bytes, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.chunks is not None:
            if prod(item.chunks) * item.dtype.itemsize > _MOST_SHRINKAGE * size + _HARMLESS:
                raise ValueError("a chunk claims more than the file can hold")
            item.id.chunk_iter(claim)

    def claim(chunk: Any) -> None:
        if chunk.byte_offset is not None and chunk.byte_offset + chunk.size > size:
            raise ValueError("a chunk claims more than the file holds")

    with h5py.File(path, "r") as file:
        file.visititems(visit)
