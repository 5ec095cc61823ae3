"""Maps of counts from the spectrum images that a config's ``data.spectra`` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.checks import FloatArray
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import SpectrumSource
from fusionkit.data.readers import RawArray
from fusionkit.errors import UserError


@dataclass(frozen=True)
class ElementMaps:
    """Maps of counts and facts about them.

    Parameters
    ----------
    elements : chemical symbols, one for each map.
    maps : counts, (n, ny, nx); net counts if the background is subtracted.
    background : estimated background in the same windows; None without one, or if it is subtracted.
    mixing : share of the counts of each element (columns) in each map, (n, n); None if each map is of one element.
    facts : pixel size, notes and metadata; its values are the maps.
    spectrum : sum of all spectra and its model, a row each: energy and width of each bin in keV, counts, the background
        with what nobody named, and every element, (n + 4, bins); None without a model.
    """

    elements: tuple[str, ...]
    maps: FloatArray
    background: FloatArray | None
    facts: RawArray
    mixing: FloatArray | None = None
    spectrum: FloatArray | None = None

    def arrays(self, name: str) -> dict[str, FloatArray]:
        """The maps as ``name``; what else there is as ``name_background``, ``name_mixing`` and ``name_spectrum``."""
        more = {
            f"{name}_background": self.background,
            f"{name}_mixing": self.mixing,
            f"{name}_spectrum": self.spectrum,
        }
        return {name: self.maps} | {key: array for key, array in more.items() if array is not None}


def unmixed(maps: Array, background: Array | float, mixing: Array | None) -> Array:
    r"""Unbiased estimates of the counts of each element, :math:`M^+ (b - B)`, float64, also negative.

    Parameters
    ----------
    maps : b, (k, ny, nx).
    background : B, of the same shape or one number.
    mixing : M, (k, n); None for the identity.
    """
    net = np.asarray(maps, np.float64) - background
    return net if mixing is None else np.tensordot(np.linalg.pinv(np.asarray(mixing, np.float64)), net, axes=1)


@runtime_checkable
class SpectralRecording(Protocol):
    """A recording that holds spectrum images with energies."""

    def counts(self, source: SpectrumSource, where: str) -> ElementMaps:
        """The counts of elements in a spectrum image.

        Parameters
        ----------
        source : which image, elements, windows and background.
        where : config key of ``source``.

        Raises
        ------
        UserError : there is no such spectrum image, or it lacks an element or window.
        """
        ...


def load_spectra(spectra: Mapping[str, SpectrumSource], files: OpenFiles, where: str) -> dict[str, ElementMaps]:
    """The maps of each name; `UserError` if a file cannot give them."""
    result: dict[str, ElementMaps] = {}
    for name, source in spectra.items():
        key = f"{where}.{name}"
        recording = files.of(source, key)
        if not isinstance(recording, SpectralRecording):
            remedy = "name a microscope's file, or give the maps with data.maps"
            raise UserError(key, "its file holds arrays without energies", remedy)
        result[name] = recording.counts(source, key)
    return result
