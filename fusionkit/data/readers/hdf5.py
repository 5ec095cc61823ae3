"""HDF5 files (``.h5``, ``.hdf5``): arrays are named by their paths in the file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy.typing as npt

from fusionkit.data.readers import RawArray, calibration, check_claim, damage, oblong
from fusionkit.data.readers.hdf5_safety import heaps_are_sound, other_files
from fusionkit.data.readers.npz import memory_map
from fusionkit.errors import UserError

# what h5py raises on damaged bytes, on datatypes that numpy lacks and on compressions that are not installed
_DAMAGE = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    OverflowError,
    MemoryError,
    SystemError,
)
_NUMBERS = "biufc"  # kinds of dtypes


@dataclass(frozen=True)
class Hdf5Recording:
    """The datasets of numbers in an HDF5 file; ``pixel_size`` and ``units`` are attributes of a dataset or the file."""

    path: Path  # the file
    shapes: dict[str, tuple[int, ...]]  # shape of each dataset, by its path without the leading slash

    def names(self) -> list[str]:
        """Paths of the datasets."""
        return list(self.shapes)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of the dataset at the path ``name``, links followed; None if there is none."""
        key = name.strip("/")
        if key in self.shapes or not key:
            return self.shapes.get(key)
        with _opened(self.path, "the file") as file:
            other_files(self.path, key)
            item = file.get(key)
            return _shape(item) if isinstance(item, h5py.Dataset) else None

    def read(self, name: str) -> RawArray:
        """The dataset at the path ``name``, with its pixel size or the file's."""
        with _opened(self.path, f"dataset '{name}'") as file:
            others = other_files(self.path, name)
            dataset: Any = file[name.strip("/")]
            self._check_claim(dataset, name, [self.path, *others])
            attributes = dataset.attrs if "pixel_size" in dataset.attrs else file.attrs
            given = _number(attributes), self._text(attributes)
            size, units, notes = calibration(*given)
            if others:
                names = ", ".join(dict.fromkeys(other.name for other in others))
                notes = (*notes, f"'{name}' of {self.path.name} is read from {names}, to which it links.")
            return RawArray(self._values(dataset), size, units, notes, oblong(*given))

    def _values(self, dataset: Any) -> npt.NDArray[Any]:
        """The values, memory-mapped if they are contiguous and of a NumPy type."""
        home = Path(dataset.file.filename)  # a link may lead into another file
        offset = dataset.id.get_offset()  # None for chunks, external files and datasets that were never written
        if offset is None or dataset.size == 0 or dataset.is_virtual or not dataset.shape:
            return dataset[()]
        stored = dataset.id.get_type()
        if not stored.equal(h5py.h5t.py_create(dataset.dtype)):  # bit fields, padded numbers
            return dataset[()]
        return memory_map(home, offset, dataset.shape, dataset.dtype)

    def _text(self, attributes: h5py.AttributeManager) -> Any:
        if "units" not in attributes:
            return None
        kind = h5py.check_string_dtype(attributes.get_id("units").dtype)
        if kind is None:
            return None
        if kind.length is None and not heaps_are_sound(self.path):
            raise UserError(str(self.path), "its texts are damaged", "copy or save the file again")
        return attributes["units"]

    def _check_claim(self, dataset: Any, name: str, files: Sequence[Path]) -> None:
        if dataset.shape is None:
            raise UserError(str(self.path), f"dataset '{name}' is empty", "name one that holds values")
        if dataset.dtype.kind not in _NUMBERS:
            raise UserError(str(self.path), f"dataset '{name}' holds no numbers", "name one that does")
        whole = sum(file.stat().st_size for file in files if file.exists())
        stored = whole if dataset.is_virtual or dataset.external else dataset.id.get_storage_size()
        check_claim(self.path, f"dataset '{name}'", dataset.shape, dataset.dtype, stored, whole)


class Hdf5Reader:
    """HDF5 files."""

    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")

    def open(self, path: Path) -> Hdf5Recording:
        """The recording in the file."""
        shapes: dict[str, tuple[int, ...]] = {}

        def visit(name: str | bytes, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind in _NUMBERS and item.shape is not None:
                # h5py returns bytes for a name that is not UTF-8
                shapes[name if isinstance(name, str) else name.decode("utf-8", "replace")] = _shape(item)

        with _opened(path, "the file") as file:
            file.visititems(visit)
        return Hdf5Recording(path, shapes)


@contextmanager
def _opened(path: Path, what: str) -> Iterator[h5py.File]:
    with damage(path, "HDF5", _DAMAGE, what), h5py.File(path, "r") as file:
        yield file


def _number(attributes: h5py.AttributeManager) -> Any:
    if "pixel_size" not in attributes:
        return None
    # other types are not read: damaged ones of variable length crash the library
    return attributes["pixel_size"] if attributes.get_id("pixel_size").dtype.kind in "iuf" else ""


def _shape(dataset: h5py.Dataset) -> tuple[int, ...]:
    return tuple(dataset.shape) if dataset.shape is not None else (0,)
