"""The reader ``microscope``: any format of RosettaSciIO as a recording whose arrays are the signals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fusionkit.data.checks import Origin, check_finite, check_image
from fusionkit.data.names import element_named, is_image
from fusionkit.data.options import SpectrumSource
from fusionkit.data.readers import RawArray
from fusionkit.data.spectra import ElementMaps
from fusionkit.errors import UserError
from fusionkit.microscope.facts import single_element
from fusionkit.microscope.reader_process import ReaderProcess
from fusionkit.microscope.signals import Signal
from fusionkit.registry import suggestion

if TYPE_CHECKING:
    from fusionkit.microscope.spectra.fit import Reading


@dataclass(frozen=True)
class MicroscopeRecording:
    """The signals of a microscope's file."""

    path: Path  # the file
    signals: dict[str, Signal]  # its signals by name
    _readings: dict[str, Reading] = field(default_factory=dict, repr=False, compare=False)

    def reading(self, signal: Signal) -> Reading:
        """The counts of EDX spectra and models of their sum, which are read and fitted once."""
        from fusionkit.microscope.spectra.fit import Reading

        return self._readings.setdefault(signal.name, Reading(signal))

    def names(self) -> list[str]:
        """The signals."""
        return list(self.signals)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of the signal ``name``; None if there is none."""
        return self.signals[name].shape if name in self.signals else None

    def element(self, name: str) -> str | None:
        """The element of the map ``name``; None if it is not a map, or the file does not state the element."""
        signal = self.signals[name]
        if signal.kind != "image" or element_named(signal.facts.title) is not None:  # a second one of a title is no map
            return None
        # an image may be that of a specimen with one element; an X-ray line makes it a map
        return single_element(signal.facts) if signal.facts.lines or not is_image(signal.name) else None

    def read(self, name: str) -> RawArray:
        """The signal ``name`` with its pixel size and metadata."""
        signal = self.signals[name]
        return signal.raw(signal.data.read(), signal.notes)

    def counts(self, source: SpectrumSource, where: str, masked: bool = False) -> ElementMaps:
        """Counts of elements from a spectrum image; see `fusionkit.data.spectra.SpectralRecording`."""
        from fusionkit.microscope.spectra.channel_sets import count_in_sets
        from fusionkit.microscope.spectra.fit import fit
        from fusionkit.microscope.spectra.window_doubts import checked_counts

        signal = self.spectrum_image(source.signal, f"{where}.signal")
        reading = self.reading(signal)
        if source.method == "spectral":
            result = count_in_sets(reading, source, where, self._low_loss(signal))
        else:
            result = (fit if source.method == "fit" else checked_counts)(reading, source, where)
        origin = Origin(where, signal.name, str(signal.path))
        check_image(result.maps.shape[1:], origin)
        background = 0.0 if result.background is None else result.background
        out = np.isnan(result.maps + background).any(axis=0)
        if masked and out.any():
            result = replace(result, maps=np.where(out, np.nan, result.maps))
            if result.background is not None:
                result = replace(result, background=np.where(out, 0.0, result.background))
        check_finite(result.maps[:, ~out] if masked else result.maps + background, origin)
        return result

    def _low_loss(self, signal: Signal) -> Signal | None:
        """The EELS spectra of the zero loss beside those of ``signal``; None where the file has none."""
        others = [one for one in self.signals.values() if one is not signal and one.technique == "EELS"]
        for one in others if signal.technique == "EELS" else ():
            offset, width, size = one.energies()
            if offset < 0.0 < offset + width * size:
                return one
        return None

    def spectrum_image(self, name: str | None, where: str) -> Signal:
        """The spectrum image of that name, or the only one; `UserError` at ``where`` if there is none."""
        if name is not None:
            if name not in self.signals:
                raise UserError(where, f"there is no signal '{name}' in {self.path}", suggestion(name, self.signals))
            return self.signals[name]
        images = [one for one in self.signals.values() if len(one.shape) == 3 and one.energy_axis is not None]
        if len(images) != 1:
            listed = ", ".join(one.name for one in images) or "none"
            problem = f"{self.path} holds {len(images)} spectrum images ({listed})"
            raise UserError(where, problem, "name one with 'signal'")
        return images[0]


class MicroscopeReader:
    """Files of microscopes (Bruker, Velox, Gatan, JEOL, HyperSpy, TIFF and more), by RosettaSciIO."""

    # The formats of RosettaSciIO 0.15, so that the suffixes are known without it; ``.h5``, ``.hdf5`` and ``.npz``
    # belong to fusionkit's own readers unless a config says ``reader: microscope``.
    suffixes: ClassVar[tuple[str, ...]] = (
        *(".bcf", ".spx", ".emd", ".de5", ".dm3", ".dm4", ".ser", ".emi", ".pts", ".asw", ".map", ".eds", ".img"),
        *(".hspy", ".zspy", ".nxs", ".tif", ".tiff", ".mrc", ".mrcz", ".ali", ".rpl", ".unf", ".blo", ".elid"),
        *(".spd", ".spc", ".lsd", ".msa", ".emsa", ".mas", ".ems", ".nc", ".prz", ".npy", ".mib", ".app5", ".tvips"),
        *(".sur", ".pro", ".dens", ".wdf", ".tvf", ".xml", ".csv", ".sac", ".sbc"),
        *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm"),
        *(".h5oina", ".ndata", ".ndata1", ".txt", ".tsv"),
    )

    def open(self, path: Path) -> MicroscopeRecording:
        """The recording in the file."""
        return MicroscopeRecording(path, {signal.name: signal for signal in ReaderProcess().open(path)})
