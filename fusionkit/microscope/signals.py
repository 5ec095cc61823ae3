"""The signals of a microscope's file: images, spectra and spectrum images with what the file says about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.errors import UserError
from fusionkit.microscope.damaged_files import guarded
from fusionkit.microscope.facts import Facts

# of a unit of length in nm
_NANOMETRES = {"nm": 1.0, "µm": 1e3, "μm": 1e3, "um": 1e3, "mm": 1e6, "m": 1e9, "pm": 1e-3, "å": 0.1, "a": 0.1}
_NANOMETRES |= {"angstrom": 0.1, "ang": 0.1, "micrometer": 1e3, "nanometer": 1.0}
_NANOMETRES |= {"micron": 1e3, "microns": 1e3}  # ImageJ's, whose inch and cm are those of a printer
_ENERGIES = ("kev", "ev")


@dataclass(frozen=True)
class Axis:
    """One axis of a signal: value = offset + scale * index.

    Parameters
    ----------
    name : as in the file; may be empty.
    size : number of entries.
    scale, offset : in ``units``.
    units : as in the file; empty where unknown.
    is_signal : whether a spectrum or image runs along it; None where the file does not say.
    """

    name: str
    size: int
    scale: float = 1.0
    offset: float = 0.0
    units: str = ""
    is_signal: bool | None = None


@dataclass(frozen=True)
class Signal:
    """One signal of a file; its values are read when they are asked for.

    Parameters
    ----------
    name : unique in its file; the title where that is unique.
    path : the file.
    lazy : the values, a NumPy or dask array.
    axes : one for each axis of ``lazy``.
    facts : elements, lines and metadata.
    notes : what the user should know about it, a sentence each.
    """

    name: str
    path: Path
    lazy: Any = field(repr=False)
    axes: tuple[Axis, ...]
    facts: Facts
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return tuple(int(length) for length in self.lazy.shape)

    @property
    def energy_axis(self) -> int | None:
        """Index of the axis of the spectra; None where there are none."""
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
        """What it is, in words."""
        energy, ndim = self.energy_axis, len(self.shape)
        if energy is not None:
            words = {1: "spectrum", 2: "line scan", 3: "spectrum image"}
            return f"{self.technique} {words.get(ndim, f'{ndim}-D spectra')}".strip()
        if ndim == 2:
            return "image"
        return f"{ndim}-D data" if ndim != 3 else "stack of images"

    @property
    def energy_unit(self) -> str:
        """``keV`` or ``eV``: what the channels, and the windows in a config, are in."""
        index = self.energy_axis
        units = self.axes[index].units.lower() if index is not None else ""
        return "keV" if units == "kev" or (units != "ev" and self.technique != "EELS") else "eV"

    def energies(self) -> tuple[float, float, int]:
        """Energy of channel 0, width of a channel, number of channels; `UserError` for what is no spectrum."""
        index = self.energy_axis
        if index is None:
            raise UserError(str(self.path), f"'{self.name}' ({self.kind}) has no axis of energies", "name another")
        axis = self.axes[index]
        if not (np.isfinite(axis.scale) and axis.scale > 0 and np.isfinite(axis.offset)):
            raise UserError(str(self.path), f"'{self.name}' has energies that do not ascend", "calibrate them")
        return axis.offset, axis.scale, axis.size

    def pixel(self) -> tuple[npt.NDArray[np.float64] | None, str | None]:
        """Edges of a pixel along y and x in nm; None where the file does not say."""
        lateral = self._lateral
        return (None, None) if lateral is None else (np.array([axis.scale * unit for axis, unit in lateral]), "nm")

    def origin(self) -> tuple[float, float] | None:
        """(y, x) of the centre of the first pixel in nm; None where the file does not say."""
        if self._lateral is None:
            return None
        y, x = (axis.offset * unit for axis, unit in self._lateral)
        return (y, x) if np.isfinite(y) and np.isfinite(x) else None

    @property
    def _lateral(self) -> list[tuple[Axis, float]] | None:
        """The axes y and x, each with its unit in nm; None where one of them is absent or in no unit of length."""
        energy = self.energy_axis
        axes = [axis for i, axis in enumerate(self.axes) if i != energy][-2:]
        known = [(axis, _NANOMETRES[unit]) for axis in axes if (unit := axis.units.strip().lower()) in _NANOMETRES]
        return known if len(known) == 2 else None

    def values(self) -> npt.NDArray[Any]:
        """All values, read into memory; `UserError` where that fails."""
        return guarded(self.path, lambda: np.asarray(_computed(self.lazy)), f"'{self.name}'")

    def total(self) -> float:
        """Sum of all values in float64; `UserError` where the values cannot be read, NaN where they have no sum."""
        if np.dtype(self.lazy.dtype).kind not in "biuf":
            return float("nan")
        return guarded(self.path, lambda: float(np.sum(_computed(self.lazy.sum(dtype=np.float64)))), f"'{self.name}'")


def _computed(lazy: Any) -> Any:
    """The value of a dask array, or the array itself."""
    return lazy.compute() if hasattr(lazy, "compute") else lazy
