"""RosettaSciIO on files that may be damaged: every failure becomes one line that names the file.

`mend` and `bound_memory` change the process for good. They are meant for a process that reads one file and ends, see
`fusionkit.microscope.reader_process`.
"""

import math
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import h5py
import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.readers import check_claim
from fusionkit.data.readers.hdf5_safety import heaps_are_sound, refuse_links
from fusionkit.errors import IO, UserError, printable
from fusionkit.machine import available
from fusionkit.microscope.corrections import scan_shape

# values per byte of the file above which a shape is damaged: streams of single counts need few bytes for many channels
MOST_VALUES_PER_BYTE = 2_000
ALWAYS_ALLOWED = 2**25  # bytes that need no check

_SPARE = 2**28  # bytes of address space that are not memory yet: stacks of threads, pages of libraries
_MEMORY = 250_000_000  # bytes that reading any file may take: libraries are most of them
_MOST_TO_OPEN = 500  # bytes of memory for each of the file, of which some readers keep the values
_STACK = 2**23  # bytes of address space for the stack of a thread
# of the processor: the Python code for Bruker's maps takes 2 s a MB of a file, 10 if that is compressed
_SECONDS, _SECONDS_PER_MB = 45, 60
_MOST_FILES = 100_000  # beside a file, whose folder may be a home
_END_OF_PIXEL = 65535  # in a stream of events of Velox
_MISSING_PACKAGE = re.compile(r"requires the '(\w+)' package")  # tifffile, about compressions

T = TypeVar("T")


def guarded(path: Path, read: Callable[[], T], what: str = "the file") -> T:
    """``read()``, code of RosettaSciIO and the libraries below it, on a file that may be damaged.

    `UserError` if a library is not installed, the file asks for more memory than there is, or it cannot be read.

    Parameters
    ----------
    path : the file, for messages.
    read : function without arguments.
    what : the object of the reading, for messages.
    """
    try:
        return read()
    except UserError:
        raise
    except ImportError as error:
        problem, remedy = f"needs a library that is not installed ({_first_line(error)})", IO
    except MemoryError:
        problem = f"{what} asks for more memory than there is"
        remedy = "it is damaged, or needs a machine with more: copy it again"
    # two dozen parsers of binary formats raise all kinds of errors on damaged bytes (struct.error, KeyError,
    # RecursionError, AssertionError, bare Exception); they are not ours to mend
    except Exception as error:  # noqa: BLE001 the one place that catches everything, from code that is not ours
        package = _MISSING_PACKAGE.search(str(error))
        if package:
            problem = f"{what} needs the package '{package[1]}', which is not installed"
            remedy = f"pip install {package[1]}, or save it without this compression"
        else:
            problem = f"{what} is not readable ({_first_line(error)})"
            remedy = "it is damaged, cut off or of another format: copy or save it again"
    raise UserError(str(path), problem, remedy) from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0][:100] if lines else "") or type(error).__name__


def bound(size: int, whole: bool = True) -> None:
    """Limit the memory and the processor time of this process for reading a file, if the system supports it.

    A damaged header may ask for terabytes, which the system would grant until it kills the process on access, and a
    damaged table of contents may lead a parser in a circle.

    Parameters
    ----------
    size : bytes of the file and those beside it, see `bytes_of`.
    whole : whether values are read, not only what there is.
    """
    if sys.platform == "win32":  # pragma: no cover  # it refuses what it does not have
        return
    import resource

    import psutil

    process, threads = psutil.Process(), _STACK * (os.cpu_count() or 1)
    limits = {
        resource.RLIMIT_AS: process.memory_info().vms + available() + _SPARE,
        resource.RLIMIT_CPU: math.ceil(sum(os.times()[:2]) + _SECONDS + _SECONDS_PER_MB * size / 1e6),
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # elsewhere it limits the heap only
        most = (MOST_VALUES_PER_BYTE if whole else _MOST_TO_OPEN) * size
        limits[resource.RLIMIT_DATA] = process.memory_info().data + threads + _MEMORY + most
    for kind, most in limits.items():
        own = [limit for limit in _limits(kind) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(most, *own) if own else most, _limits(kind)[1]))


@cache
def _limits(kind: int) -> tuple[int, int]:
    """The limits that this process started with."""
    import resource

    return resource.getrlimit(kind)


def bytes_of(path: Path) -> int:
    """Bytes of a folder, or of a file and those beside it that share its name: an .rpl has its values in a .raw."""
    leads = path.is_dir() or path.suffix.lower() == ".asw"  # JEOL's .asw leads to files in folders beside it
    files = (path if path.is_dir() else path.parent).rglob("*") if leads else path.parent.glob("*")
    stem = "" if leads else path.stem
    return sum(
        file.stat().st_size for file in islice(files, _MOST_FILES) if file.name.startswith(stem) and file.is_file()
    )


def mend(module: str) -> None:
    """Replace the faulty compiled loops of an imported RosettaSciIO reader.

    Parameters
    ----------
    module : name of the reader's module (``rsciio.bruker``).
    """
    mending = {"bruker": _mend_bruker, "jeol": _mend_jeol, "emd": _mend_velox, "phenom": _mend_phenom}
    if (reader := module.removeprefix("rsciio.")) in mending:
        mending[reader](sys.modules[f"{module}._api"])


@cache
def _mend_bruker(api: Any) -> None:
    """Read maps with the Python code, since the compiled code crashes on damaged maps.

    It takes about 40 µs per pixel and gives the same numbers.
    """
    api.fast_unbcf, api.warn_once = False, False


@cache
def _mend_jeol(api: Any) -> None:
    """Give the loops over the events of a sweep a square brightness image with the map's longer edge.

    They write the brightness of pixel (y, x) into an array (nx, ny), and the lazy one drops the rows of a map that is
    higher than wide beyond its width: 8 rows of 4 pixels kept 101 of 208 counts. Events outside of the map are dropped
    later.
    """
    unsafe_lazy: Callable[..., Any] = api._readframe_lazy
    unsafe_dense: Callable[..., Any] = api._readframe_dense

    def lazy(events: Array, sign: int, cube: Array, image: Array, nx: int, ny: int, *rest: Any) -> Any:
        side = max(nx, ny)
        return unsafe_lazy(events, sign, cube, np.zeros((side, side), image.dtype), side, side, *rest)

    def dense(events: Array, sign: int, cube: Array, image: Array, nx: int, ny: int, *rest: Any) -> Any:
        side = max(nx, ny)
        return unsafe_dense(events, sign, cube, np.zeros((side, side), image.dtype), nx, ny, *rest)

    api._readframe_lazy, api._readframe_dense = lazy, dense


@cache
def _mend_velox(_: Any) -> None:
    """Lay the events of a stream on the pixels of its own scan: RosettaSciIO takes those of the last image."""
    from rsciio.emd import _emd_velox as velox

    stream: Any = velox.FeiSpectrumStream
    read: Callable[..., None] = stream.__init__

    def on_own_pixels(self: Any, group: Any, reader: Any) -> None:
        shape = scan_shape(velox._parse_sub_data_group_metadata(group))
        marks = int(np.count_nonzero(group["Data"][:] == _END_OF_PIXEL)) if shape is not None else 0
        if shape is not None and marks and marks % prod(shape) == 0:
            reader.spatial_shape = shape
        read(self, group, reader)

    stream.__init__ = on_own_pixels


@cache
def _mend_phenom(api: Any) -> None:
    """End at a compressed stream that is cut off, for whose rest RosettaSciIO waits forever."""

    def read(self: Any, size: int = 1) -> bytes:
        data: bytes = self._decompressor.decompress(b"", size)
        while self._decompressor.needs_input:
            block = self._file.read(self._block_size)
            if not block:
                raise EOFError("its compressed values are cut off")
            data += self._decompressor.decompress(block, size - len(data))
        return data

    api.ElidReader._read = read


_MOST_DEFLATED = 1100  # bytes of values per byte of deflate
_SMALL_CHUNK = 2**24  # bytes
_SPECTRA = "/Spectrum"  # of all pixels of an .h5oina, most of them without a count


def check_hdf5(path: Path) -> None:
    """Raise ``ValueError`` if damaged texts or chunks would make libhdf5 (1.14) loop forever or take gigabytes.

    Parameters
    ----------
    path : any file or folder; what is not HDF5 passes.
    """
    if path.is_dir() or not h5py.is_hdf5(path):
        return
    if not heaps_are_sound(path):
        raise ValueError("its texts are damaged")
    size = path.stat().st_size

    def visit(_: str | bytes, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.chunks is not None:
            if item.ndim == 2 and not str(item.name).endswith(_SPECTRA):  # an image, which is read as a whole
                what, stored = f"'{printable(str(item.name))}'", item.id.get_storage_size()
                check_claim(path, what, item.shape, item.dtype, stored, size)
            if prod(item.chunks) * item.dtype.itemsize > _MOST_DEFLATED * size + _SMALL_CHUNK:
                raise ValueError("a chunk claims more than the file can hold")
            item.id.chunk_iter(check_chunk)

    def check_chunk(chunk: Any) -> None:
        if chunk.byte_offset is not None and chunk.byte_offset + chunk.size > size:
            raise ValueError("a chunk claims more than the file holds")

    with h5py.File(path, "r") as file:
        refuse_links(file, path)
        file.visititems(visit)


_MOST_SHRINKAGE, _MOST_VALUES = 50, 2**23  # values of the images per byte of a file, and of any file
_ORDERS = {b"II": "<", b"MM": ">", b"EP": "<"}  # those that tifffile knows
_BIG = 43  # the version of files beyond 4 GB
_MOST_TAGS = 4096  # of a directory; tifffile stops there
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # types of values
_WIDTH, _LENGTH, _SAMPLES, _DEPTH, _TILE_WIDTH, _TILE_LENGTH = 256, 257, 277, 32997, 322, 323


def check_tiff(path: Path) -> None:
    """Raise ``ValueError`` if a directory of a TIFF occurs twice or claims too much.

    tifffile follows circular directories forever: it looks for circles when it counts all pages, but not when it reads
    one after the other.

    Parameters
    ----------
    path : any file or folder; what is not TIFF passes.
    """
    if path.is_dir():
        return
    size, seen, values = path.stat().st_size, set[int](), 0
    with path.open("rb") as file:
        for offset, tags in _directories(file, size):
            if offset in seen:
                raise ValueError("its directories lead in a circle")
            seen.add(offset)
            values += _values(tags)
            if values > _MOST_SHRINKAGE * size + _MOST_VALUES:
                raise ValueError(f"an image claims {values:.3g} values, far more than the file can hold")


def _directories(file: BinaryIO, size: int) -> Iterator[tuple[int, dict[int, int]]]:
    """The offset of each directory, which holds that of the next, and its tags that are one whole number."""
    head = file.read(4)
    order = _ORDERS.get(head[:2])
    if order is None or len(head) < 4:
        return
    big = struct.unpack(f"{order}H", head[2:])[0] == _BIG
    count, tag = (struct.Struct(order + form) for form in (("Q", "HHQ8s") if big else ("H", "HHI4s")))
    place = struct.Struct(f"{order}Q" if big else f"{order}I")
    file.seek(8 if big else 4)
    offset = _number(file, place)
    while 0 < offset < size:
        file.seek(offset)
        tags = _number(file, count)
        if tags > _MOST_TAGS:
            return
        content = file.read(tags * tag.size)
        if len(content) < tags * tag.size:
            return
        yield offset, _whole_numbers(tag.iter_unpack(content), order)
        offset = _number(file, place)


def _whole_numbers(entries: Iterator[tuple[int, int, int, bytes]], order: str) -> dict[int, int]:
    numbers: dict[int, int] = {}
    for code, kind, count, value in entries:
        form = struct.Struct(order + _WHOLE_NUMBERS.get(kind, "B"))
        if kind in _WHOLE_NUMBERS and count == 1 and form.size <= len(value):
            numbers.setdefault(code, form.unpack_from(value)[0])  # of a repeated tag, tifffile takes the first
    return numbers


def _values(tags: dict[int, int]) -> int:
    """How many values an image, or one of its tiles, has."""
    pixels = max(tags.get(_WIDTH, 0) * tags.get(_LENGTH, 0), tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_LENGTH, 0))
    return pixels * max(1, tags.get(_SAMPLES, 1)) * max(1, tags.get(_DEPTH, 1))


def _number(file: BinaryIO, kind: struct.Struct) -> int:
    """The next number; 0, which no directory has, at the end of the file."""
    content = file.read(kind.size)
    return kind.unpack(content)[0] if len(content) == kind.size else 0
