"""The signals of a microscope's file: images, spectra and spectrum images, with axes and metadata."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fusionkit.data.readers import LENGTHS, RawArray, calibration, oblong
from fusionkit.errors import UserError
from fusionkit.microscope.facts import Facts

Image = npt.NDArray[np.float64]
Channels = tuple[int, int]  # the first, and the one after the last

# units of length in nm
_NANOMETRES = {"nm": 1.0, "µm": 1e3, "μm": 1e3, "um": 1e3, "mm": 1e6, "m": 1e9, "pm": 1e-3, "å": 0.1, "a": 0.1}
_NANOMETRES |= {"angstrom": 0.1, "ang": 0.1, "micrometer": 1e3, "nanometer": 1.0, "meters": 1e9}
_NANOMETRES |= {"micron": 1e3, "microns": 1e3}  # ImageJ's; its inch and cm refer to a printer
_ENERGIES = ("kev", "ev")


@dataclass(frozen=True)
class Axis:
    """One axis of a signal: value = offset + scale * index."""

    name: str  # as in the file; may be empty
    size: int  # number of entries
    # scale, offset: in ``units``
    scale: float = 1.0
    offset: float = 0.0
    units: str = ""  # as in the file; empty if unknown
    is_signal: bool | None = None  # whether a spectrum or image runs along it; None if the file does not say


class Values(Protocol):
    """The values of a signal, in this process or in the one that reads the file.

    Every method raises `UserError` if the file is damaged.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        ...

    def read(self) -> npt.NDArray[Any]:
        """All values."""
        ...

    def total(self) -> float:
        """Sum of all values in float64; NaN if they are no numbers."""
        ...

    def sums(self, axis: int, ranges: Sequence[Channels]) -> list[Image]:
        """Sums over ranges of channels along ``axis``, in one pass over the file."""
        ...

    def binned(self, axis: int, ranges: Sequence[Channels]) -> npt.NDArray[Any]:
        """`sums`, (ranges, ny, nx), in small integers if they hold the values: sums over few channels are small."""
        ...


@dataclass(frozen=True)
class ArrayValues:
    """Values in this process."""

    array: Any  # NumPy or dask

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return tuple(int(length) for length in self.array.shape)

    def read(self) -> npt.NDArray[Any]:
        """All values."""
        return np.asarray(_computed(self.array))

    def total(self) -> float:
        """Sum of all values in float64; NaN if they are no numbers."""
        is_numeric = np.dtype(self.array.dtype).kind in "biuf"
        with np.errstate(over="ignore", invalid="ignore"):  # opposite infinities, NaN that signals
            return float(np.sum(_computed(self.array.sum(dtype=np.float64)))) if is_numeric else float("nan")

    def sums(self, axis: int, ranges: Sequence[Channels]) -> list[Image]:
        """Sums over ranges of channels along ``axis``, in one pass over the file."""
        return list(self._sums(axis, ranges, np.float64))

    def _sums(self, axis: int, ranges: Sequence[Channels], dtype: npt.DTypeLike) -> Iterator[npt.NDArray[Any]]:
        before = (slice(None),) * axis
        parts = (self.array[(*before, slice(*one))].sum(axis=axis, dtype=dtype) for one in ranges)
        if not hasattr(self.array, "compute"):
            yield from parts
            return
        from dask.base import compute

        yield from map(np.asarray, compute(*parts))

    def binned(self, axis: int, ranges: Sequence[Channels]) -> npt.NDArray[Any]:
        """As `Values`."""
        small = np.dtype(self.array.dtype) in (np.uint8, np.uint16)  # a sum of them fits uint32
        return np.stack([_compact(one) for one in self._sums(axis, ranges, np.uint32 if small else np.float64)])


def _compact(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The image in the smallest unsigned integers that hold its values; itself if they are not small whole numbers."""
    for dtype in (np.uint8, np.uint16):
        if image.size and image.min() >= 0 and image.max() <= np.iinfo(dtype).max:
            small = image.astype(dtype)
            return small if np.array_equal(small, image) else image
    return image


def block_sums(image: Image, block: int) -> Image:
    """Sums over blocks of ``block`` x ``block`` pixels of the first two axes; those at the ends may be smaller."""
    for axis in (0, 1) if block > 1 else ():
        image = np.add.reduceat(image, np.arange(0, image.shape[axis], block), axis=axis)
    return image


def _computed(array: Any) -> Any:
    """The value of a dask array, or the array itself."""
    return array.compute() if hasattr(array, "compute") else array


@dataclass(frozen=True)
class Signal:
    """One signal of a file; its values are read when they are needed."""

    name: str  # unique in its file; the title if that is unique
    path: Path  # the file
    data: Values = field(repr=False)  # the values
    axes: tuple[Axis, ...]  # one for each axis of ``data``
    facts: Facts  # elements, lines and metadata
    notes: tuple[str, ...] = ()  # for the user, one sentence each

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.data.shape

    @property
    def energy_axis(self) -> int | None:
        """Index of the axis of the spectra; None if there are none."""
        candidates = [i for i, axis in enumerate(self.axes) if axis.units.lower() in _ENERGIES]
        spectral = [i for i in candidates if self.axes[i].is_signal is not False] or candidates
        if spectral:
            return spectral[-1]
        typed = [i for i, axis in enumerate(self.axes) if axis.is_signal]
        return typed[0] if len(typed) == 1 and self.technique else None

    @property
    def technique(self) -> str:
        """``EDX``, ``EELS`` or nothing."""
        kind = self.facts.signal_type.upper()
        if kind.startswith("EDS"):
            return "EDX"
        return "EELS" if kind.startswith("EELS") else ""

    @property
    def kind(self) -> str:
        """A description: ``image``, ``EDX spectrum image``, ``stack of images``..."""
        energy, ndim = self.energy_axis, len(self.shape)
        if energy is not None:
            words = {1: "spectrum", 2: "line scan", 3: "spectrum image"}
            return f"{self.technique} {words.get(ndim, f'{ndim}-D spectra')}".strip()
        if ndim == 2:
            return "image"
        return f"{ndim}-D data" if ndim != 3 else "stack of images"

    @property
    def energy_unit(self) -> str:
        """The unit of the channels and of the windows in a config, ``keV`` or ``eV``."""
        index = self.energy_axis
        units = self.axes[index].units.lower() if index is not None else ""
        return "keV" if units == "kev" or (units != "ev" and self.technique != "EELS") else "eV"

    def energies(self) -> tuple[float, float, int]:
        """Energy of channel 0, width of a channel, number of channels; `UserError` for other signals."""
        index = self.energy_axis
        if index is None:
            raise UserError(str(self.path), f"'{self.name}' ({self.kind}) has no axis of energies", "name another")
        axis = self.axes[index]
        if not (np.isfinite(axis.scale) and axis.scale > 0 and np.isfinite(axis.offset)):
            problem = f"'{self.name}' has energies that are not evenly spaced"
            raise UserError(str(self.path), problem, "calibrate or resample them: s.interpolate_on_axis('uniform', -1)")
        return axis.offset, axis.scale, axis.size

    @property
    def electronvolts(self) -> float:
        """The unit of energies in eV."""
        return 1000.0 if self.energy_unit == "keV" else 1.0

    def span(self) -> tuple[float, float, float]:
        """Energies of the first and the last channel, and the width of one, in eV."""
        (offset, width, size), unit = self.energies(), self.electronvolts
        return unit * offset, unit * (offset + width * (size - 1)), unit * width

    @property
    def range_text(self) -> str:
        """``-0.2 to 20.3 keV``; empty without energies, and ``uneven`` if the channels are not equally wide."""
        axis = None if self.energy_axis is None else self.axes[self.energy_axis]
        if axis is None:
            return ""
        last = axis.offset + axis.scale * (axis.size - 1)
        return f"{axis.offset:.5g} to {last:.5g} {self.energy_unit}" if np.isfinite(last) else "uneven"

    def pixel(self) -> tuple[npt.NDArray[np.float64] | None, str | None]:
        """Edges of a pixel along y and x in nm; None if the file does not say."""
        lateral = self._lateral
        return (None, None) if lateral is None else (np.array([axis.scale * unit for axis, unit in lateral]), "nm")

    def origin(self) -> tuple[float, float] | None:
        """(y, x) of the centre of the first pixel in nm; None if the file does not say."""
        if self._lateral is None:
            return None
        y, x = (axis.offset * unit for axis, unit in self._lateral)
        return (y, x) if max(abs(y), abs(x)) <= LENGTHS[1] and y == y and x == x else None

    @property
    def _lateral(self) -> list[tuple[Axis, float]] | None:
        """The axes y and x, each with its unit in nm; None if one of them is absent or in no unit of length."""
        energy = self.energy_axis
        axes = [axis for i, axis in enumerate(self.axes) if i != energy][-2:]
        known = [(axis, _NANOMETRES[unit]) for axis in axes if (unit := axis.units.strip().lower()) in _NANOMETRES]
        return known if len(known) == 2 else None

    def raw(self, values: npt.NDArray[Any], notes: tuple[str, ...]) -> RawArray:
        """Values on the pixels of this signal, with the pixels' facts and further ``notes``."""
        edges, unit = self.pixel()
        size, units, own = calibration(edges, unit)
        metadata = {**self.facts.metadata, **oblong(edges, unit)}
        return RawArray(values, size, units, (*own, *notes), metadata, self.origin())
