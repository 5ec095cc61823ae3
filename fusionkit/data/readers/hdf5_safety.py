"""What an HDF5 file may not do: lead to files outside its folder, or make libhdf5 (1.14) loop for ever."""

import mmap
import struct
from pathlib import Path
from typing import Any

import h5py

from fusionkit.errors import UserError

_MOST_LINKS = 16  # on the way to an item


def other_files(path: Path, name: str, left: int = _MOST_LINKS) -> list[Path]:
    """The other files that the item ``name`` of a file reads; nothing outside the folder of the file is opened.

    `UserError` if a file is not a regular one in the folder of the file that names it, or more than ``left`` links
    lead to it.
    """
    if left == 0:
        raise UserError(str(path), f"its links to '{name}' do not end", "copy the data into one file")
    parts = [part for part in name.split("/") if part]
    with h5py.File(path, "r") as file:
        for end in range(1, len(parts) + 1):
            link = file.get("/".join(parts[:end]), getlink=True)
            if isinstance(link, h5py.SoftLink):
                start = [] if link.path.startswith("/") else parts[: end - 1]
                return other_files(path, "/".join([*start, link.path, *parts[end:]]), left - 1)
            if isinstance(link, h5py.ExternalLink):
                home = _checked(path, path.parent / link.filename)
                return [home, *other_files(home, "/".join([link.path, *parts[end:]]), left - 1)]
        item = file.get("/".join(parts)) if parts else None
        if not isinstance(item, h5py.Dataset):
            return []
        files = [_checked(path, Path(raw)) for raw, *_ in item.external or ()]  # HDF5 starts at the current folder
        for source in item.virtual_sources() if item.is_virtual else ():
            home = path if source.file_name == "." else _checked(path, path.parent / source.file_name)
            # a missing source counts as fill values
            files += [home, *(other_files(home, source.dset_name, left - 1) if home.is_file() else [])]
    return [file for file in files if file != path]


def refuse_links(file: h5py.File, path: Path) -> None:
    """`UserError` if anything in the file lies in another file, for formats that never do that."""

    def outside(_: str | bytes, item: Any) -> bool | None:
        if isinstance(item, h5py.Group):
            return any(isinstance(item.get(name, getlink=True), h5py.ExternalLink) for name in item) or None
        return (isinstance(item, h5py.Dataset) and bool(item.external or item.is_virtual)) or None

    if outside("", file) or file.visititems(outside):
        raise UserError(str(path), "holds links to other files", "copy the data into one file")


def _checked(path: Path, target: Path) -> Path:
    target = target.resolve()
    if not target.is_relative_to(path.resolve().parent):
        raise UserError(str(path), f"leads to '{target}', outside its own folder", "copy the data into the folder")
    if target.exists() and not target.is_file():
        raise UserError(str(path), f"leads to '{target}', which is not a regular file", "copy the data into the file")
    return target


_SIGNATURE = b"GCOL\x01\x00\x00\x00"
_HEADER = 16  # of a heap and of an object in it


def heaps_are_sound(path: Path) -> bool:
    """Whether every global heap in the file, where texts of variable length lie, is a chain that ends where it ends.

    libhdf5 follows any other for ever. Format: HDF5 File Format Specification 3.0, section III.E.
    """
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
