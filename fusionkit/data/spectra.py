"""Stacks of counts from the spectrum images that a config's ``data.spectra`` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fusionkit.data.checks import FloatArray, Origin, check_image, to_float
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import SpectrumSource
from fusionkit.data.readers import RawArray
from fusionkit.errors import UserError


@dataclass(frozen=True)
class Stack:
    """Maps of counts and what is known about them.

    Parameters
    ----------
    elements : chemical symbols, one for each map.
    maps : counts, (n, ny, nx).
    background : estimated background in the same windows; None where none was asked for or it is subtracted.
    facts : pixel size, notes and metadata; its values are the maps.
    """

    elements: tuple[str, ...]
    maps: FloatArray
    background: FloatArray | None
    facts: RawArray

    def arrays(self, name: str) -> dict[str, FloatArray]:
        """The maps as ``name``, and their background as ``name_background`` where there is one."""
        return {name: self.maps} | ({} if self.background is None else {f"{name}_background": self.background})


def load_spectra(spectra: Mapping[str, SpectrumSource], files: OpenFiles, where: str) -> dict[str, Stack]:
    """The stack of each name.

    Raises
    ------
    UserError : a file holds no such spectrum image, or an element or window that it cannot give.
    """
    return {name: _stack(source, files, f"{where}.{name}") for name, source in spectra.items()}


def _stack(source: SpectrumSource, files: OpenFiles, where: str) -> Stack:
    from fusionkit.microscope.reader import MicroscopeRecording, raw_of
    from fusionkit.microscope.spectra.fit import fit
    from fusionkit.microscope.spectra.windows import count  # only where a microscope's file is read

    recording = files.of(source, where)
    if not isinstance(recording, MicroscopeRecording):
        remedy = "name a microscope's file, or give the maps with data.maps"
        raise UserError(where, "its file holds arrays without energies", remedy)
    signal = recording.spectrum_image(source.signal, f"{where}.signal")
    counts = (fit if source.method == "fit" else count)(signal, source, where)
    origin = Origin(where, signal.name, str(signal.path))
    check_image(counts.maps.shape[1:], origin)
    background = None if source.subtract else counts.background
    return Stack(counts.elements, to_float(counts.maps, origin), background, raw_of(signal, counts.maps, counts.notes))
