"""Recordings by file format: the readers, their protocol, and the choice of one for a file.

A reader is a class without parameters that offers ``suffixes`` and ``open``; a plug-in adds one under its own name.
A file that cannot be read is a `UserError` that names it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from fusionkit.data.field_of_view import Scan, edge_facts, scan_of
from fusionkit.errors import UserError
from fusionkit.registry import lookup, suggestion, table

TABLE = {
    "readers": {
        "npz": "fusionkit.data.readers.npz:NpzReader",
        "hdf5": "fusionkit.data.readers.hdf5:Hdf5Reader",
        "microscope": "fusionkit.microscope.reader:MicroscopeReader",
    }
}


FOLDERS = (".zspy",)  # formats that are folders
# bytes in float64 that any array may claim, and beyond them how often its stored bytes, or those of its file: deflated
# maps of 1 count in 100 pixels grow 240- (float64) to 390-fold (uint8), zeros 1032-fold and more
_HARMLESS, _MOST_GROWTH, _MOST_OF_FILE = 1 << 26, 400, 16
_EVEN = 1e-3  # relative difference below which the edges of a pixel are equal
_SHOWN = 6  # suffixes in a message
_LEFT_OUT = "The file's pixel_size is not one positive number and is left out"
LENGTHS = (1e-100, 1e100)  # in any unit; beyond, areas and fields overflow
_NOT_SQUARE = "The pixels are not square"


@dataclass(frozen=True)
class RawArray:
    """An array of a file, unchanged.

    Parameters
    ----------
    values : any shape and dtype.
    pixel_size : edge of a pixel in ``units``; None if unknown.
    units : unit of ``pixel_size``; None if unknown.
    notes : for the user, one sentence each.
    metadata : facts of the recording by name.
    origin : (y, x) of the centre of its first pixel in ``units``; None if unknown.
    """

    values: npt.NDArray[Any]
    pixel_size: float | None = None
    units: str | None = None
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, float | str] = field(default_factory=dict)
    origin: tuple[float, float] | None = None

    @property
    def left_out(self) -> bool:
        """Whether the file's pixel size is not one positive number, as for pixels that are not square."""
        return any(note.startswith((_LEFT_OUT, _NOT_SQUARE)) for note in self.notes)

    @property
    def scan(self) -> Scan:
        """The pixels of its last two axes."""
        return scan_of(self.values.shape, self.pixel_size, self.units, self.origin, self.metadata)


def first_sized(arrays: Iterable[RawArray]) -> RawArray | None:
    """The first array that has a pixel size; None if none has."""
    return next((one for one in arrays if one.pixel_size is not None), None)


class Recording(Protocol):
    """An opened file with arrays by name."""

    def names(self) -> Sequence[str]:
        """The names of its arrays."""
        ...

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of the array ``name``, without reading it; None if there is no such array."""
        ...

    def read(self, name: str) -> RawArray:
        """The array ``name``, one of those that have a `shape`."""
        ...


class Reader(Protocol):
    """A file format."""

    suffixes: ClassVar[tuple[str, ...]]

    def open(self, path: Path) -> Recording:
        """The recording in the file; `UserError` if it is empty, cut off or of another format."""
        ...


def open_recording(path: Path, reader: str | None = None, where: str = "data") -> Recording:
    """Open the file with the reader of that name, or with the one for its suffix.

    `UserError` if the file is missing, empty, damaged or of a format that no reader takes.

    Parameters
    ----------
    path : the file.
    reader : name of the reader; None to go by the suffix.
    where : config key of the data, for error messages; empty if the file comes from the command line.
    """
    key, named = (f"{where}.path", f"{where}.reader") if where else (str(path), "--reader")
    start = "relative paths start at the config's folder" if where else "check its name"
    _check_file(path, key, start)
    return (lookup("readers", reader, named) if reader is not None else _by_suffix(path, key, named))().open(path)


def _check_file(path: Path, where: str, start: str) -> None:
    try:
        if path.is_dir() and path.suffix.lower() not in FOLDERS:
            raise UserError(where, f"'{path}' is a folder", "name a file in it")
        if not path.exists():
            raise UserError(where, f"there is no file '{path}'", start)
        if path.is_file() and not os.access(path, os.R_OK):
            raise UserError(where, f"'{path}' may not be read", "change its permissions")
        if path.stat().st_size == 0:
            raise UserError(where, f"'{path}' is empty", "record or copy it again")
    except OSError as error:
        raise UserError(where, f"'{path}' cannot be read ({error.strerror})") from None


def _by_suffix(path: Path, where: str, named: str) -> Any:
    suffixes: list[str] = []
    for name in table("readers"):
        reader = lookup("readers", name, where)
        if path.suffix.lower() in reader.suffixes:
            return lookup("readers", "microscope", where) if name == "hdf5" and _is_hyperspys(path) else reader
        suffixes += reader.suffixes
    more = f" and {len(suffixes) - _SHOWN} more" if len(suffixes) > _SHOWN else ""
    known = ", ".join(suffixes[:_SHOWN]) + more
    raise UserError(where, f"no reader takes '{path.name}'", f"readable are {known}; or name the format with {named}")


def _is_hyperspys(path: Path) -> bool:
    """Whether an HDF5 file has the layout of HyperSpy's, which had the suffix ``.hdf5`` before ``.hspy``."""
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    with damage(path, "HDF5", (OSError, KeyError, RuntimeError)), h5py.File(path, "r") as file:
        return "file_format" in file.attrs and "Experiments" in file


@contextmanager
def damage(path: Path, kind: str, errors: tuple[type[Exception], ...], what: str = "the file") -> Iterator[None]:
    """Turn the ``errors`` of a format's library on a damaged file into a `UserError` that names the file."""
    try:
        yield
    except errors as error:
        lines = str(error).strip().splitlines()
        detail = lines[0][:100] if lines else type(error).__name__
        problem = f"{what} is not readable as {kind} ({detail})"
        raise UserError(
            str(path), problem, "it is damaged, cut off or of another format: copy or save it again"
        ) from None


def missing(name: str, recording: Recording) -> str:
    """Remedy for an array that a recording lacks: the nearest name, and the arrays in the file."""
    names = list(recording.names())
    if not names:
        return "the file holds no arrays"
    near = f"did you mean '{same[0]}'?" if (same := _same_end(name, names)) else suggestion(name, names)
    return f"{near} " * near.startswith("did") + f"the file has {describe(recording)}"


def _same_end(name: str, names: Sequence[str]) -> list[str]:
    """Names that differ only in case or folder."""
    end = name.rsplit("/", 1)[-1].lower()
    return [known for known in names if known.rsplit("/", 1)[-1].lower() == end]


def describe(recording: Recording, limit: int = 12) -> str:
    """Names and shapes of a recording's arrays on one line, single numbers and texts left out."""
    shapes = {name: recording.shape(name) for name in recording.names()}
    shown = [f"{name} {shape}" for name, shape in shapes.items() if shape]
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return (", ".join(shown[:limit]) or "single values only") + more


def check_claim(path: Path, what: str, shape: tuple[int, ...], dtype: np.dtype[Any], stored: int, whole: int) -> None:
    """Refuse an array that its ``stored`` bytes can hardly hold, unless it is small beside the ``whole`` file."""
    values = prod(shape)
    if values * max(dtype.itemsize, 8) > max(_HARMLESS, _MOST_GROWTH * stored, _MOST_OF_FILE * whole):
        claim = f"{what} claims {values * dtype.itemsize / 1e9:.3g} GB, far more than the file can hold"
        raise UserError(str(path), claim, "it is damaged, or constant: save it without compression")


def calibration(size: Any, units: Any) -> tuple[float | None, str | None, tuple[str, ...]]:
    """Pixel size, its unit and notes, from a file's values (None if it has none).

    Parameters
    ----------
    size : a number, or edges of a pixel, which may differ by a thousandth.
    units : a text.
    """
    text = _text(units)
    if size is None:
        return None, text, ()
    values = np.asarray(size)
    if not _are_lengths(values):
        return None, None, (f"{_LEFT_OUT}.",)
    if np.any(np.abs(values / values.flat[0] - 1) > _EVEN):
        edges = f"{' x '.join(f'{edge:.4g}' for edge in values.flat)} {text or ''}".rstrip()
        return None, None, (f"{_NOT_SQUARE} ({edges}): the results state height and width in place of a pixel size.",)
    return float(values.flat[0]), text, ()


def oblong(size: Any, units: Any) -> dict[str, float | str]:
    """The facts of `fusionkit.data.field_of_view.edge_facts`; none for square pixels or an unknown size."""
    if calibration(size, units)[0] is not None or size is None or np.size(size) != 2:
        return {}
    values = np.asarray(size)
    if not _are_lengths(values):
        return {}
    return edge_facts(float(values.flat[0]), float(values.flat[1]), _text(units) or "")


def _are_lengths(values: npt.NDArray[Any]) -> bool:
    if values.dtype.kind not in "iuf" or not values.size:
        return False
    exact = values.astype(np.float64)
    return bool(np.all((exact >= LENGTHS[0]) & (exact <= LENGTHS[1])))


def _text(value: Any) -> str | None:
    if value is None or np.asarray(value).size != 1:
        return None
    array = np.asarray(value).reshape(())
    if array.dtype.kind == "U":  # NumPy fails, or makes surrogates, of numbers that are no characters
        item = array.astype(array.dtype.newbyteorder("<")).tobytes().decode("utf-32-le", errors="replace").rstrip("\0")
    else:
        item = array.item()
    if isinstance(item, bytes):
        item = item.decode("utf-8", errors="replace")
    return item if isinstance(item, str) and item else None
