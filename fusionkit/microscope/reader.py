"""The reader ``microscope``: every format of RosettaSciIO as a recording with arrays by the names of its signals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fusionkit.data.names import element_named, is_image
from fusionkit.data.pixels import edge_facts
from fusionkit.data.readers import RawArray, calibration
from fusionkit.errors import UserError
from fusionkit.microscope.facts import element_said
from fusionkit.microscope.formats import SUFFIXES
from fusionkit.microscope.reading import read_signals
from fusionkit.microscope.signals import Signal
from fusionkit.registry import suggestion


@dataclass(frozen=True)
class MicroscopeRecording:
    """The signals of a microscope's file.

    Parameters
    ----------
    path : the file.
    signals : its signals by name.
    """

    path: Path
    signals: dict[str, Signal]

    def names(self) -> list[str]:
        """The signals."""
        return list(self.signals)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of the signal ``name``; None where there is none."""
        return self.signals[name].shape if name in self.signals else None

    def element(self, name: str) -> str | None:
        """The element whose map the signal ``name`` is; None where it is none, or the file does not say."""
        signal = self.signals[name]
        if signal.kind != "image" or element_named(signal.facts.title) is not None:  # a second one of a title is no map
            return None
        # what is called an image may be that of a specimen of one element; an X-ray line makes it a map
        return element_said(signal.facts) if signal.facts.lines or not is_image(signal.name) else None

    def read(self, name: str) -> RawArray:
        """The signal ``name`` with its pixel size and metadata."""
        signal = self.signals[name]
        return raw_of(signal, signal.values(), signal.notes)

    def spectrum_image(self, name: str | None, where: str) -> Signal:
        """The spectrum image of that name, or the only one; `UserError` at ``where`` where there is none."""
        if name is not None:
            if name not in self.signals:
                raise UserError(where, f"there is no signal '{name}' in {self.path}", suggestion(name, self.signals))
            return self.signals[name]
        found = [one for one in self.signals.values() if len(one.shape) == 3 and one.energy_axis is not None]
        if len(found) != 1:
            holds = ", ".join(one.name for one in found) or "none"
            raise UserError(
                where, f"{self.path} holds {len(found)} spectrum images ({holds})", "name one with 'signal'"
            )
        return found[0]


def raw_of(signal: Signal, values: npt.NDArray[Any], said: tuple[str, ...]) -> RawArray:
    """Values on the pixels of a signal, with what its file says about these and the notes ``said``."""
    edges, unit = signal.pixel()
    size, units, notes = calibration(edges, unit)
    metadata = signal.facts.metadata
    if size is None and edges is not None and bool(np.all(edges > 0)):
        metadata = {**metadata, **edge_facts(float(edges[0]), float(edges[1]), unit or "")}
    return RawArray(values, size, units, (*notes, *said), metadata, signal.origin())


class MicroscopeReader:
    """Files of microscopes (Bruker, Velox, Gatan, JEOL, HyperSpy, TIFF and more), by RosettaSciIO."""

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    def open(self, path: Path) -> MicroscopeRecording:
        """The recording in the file."""
        return MicroscopeRecording(path, {signal.name: signal for signal in read_signals(path)})
