"""Maps of counts from the spectrum images that a config's ``data.spectra`` names."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.checks import FloatArray
from fusionkit.data.elements import symbol_of
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import SpectrumSource
from fusionkit.data.readers import RawArray
from fusionkit.errors import UserError


@dataclass(frozen=True)
class ElementMaps:
    """Maps of counts and facts about them."""

    elements: tuple[str, ...]  # chemical symbols, one for each map
    maps: FloatArray  # counts, (n, ny, nx); net counts if the background is subtracted
    background: FloatArray | None  # estimated background in the same windows; None without one, or if it is subtracted
    facts: RawArray  # pixel size, notes and metadata; its values are the maps
    # share of the counts of each element (columns) in each map, (n, n); None if each map is of one element
    mixing: FloatArray | None = None
    # sum of all spectra and its model, a row each: energy and width of each bin in keV, counts, the background with
    # what nobody named, and every element; then for each region one that starts with its first and last row and column,
    # and the counts and parts as before, (n + 4 + (n + 3) regions, bins); where the model holds others, a row with the
    # atomic number of each at its strongest lines, else 0; None without a model
    spectrum: FloatArray | None = None

    def arrays(self, name: str) -> dict[str, FloatArray]:
        """The maps as ``name``; what else there is as ``name_background``, ``name_mixing`` and ``name_spectrum``."""
        more = {
            f"{name}_background": self.background,
            f"{name}_mixing": self.mixing,
            f"{name}_spectrum": self.spectrum,
        }
        return {name: self.maps} | {key: array for key, array in more.items() if array is not None}


OTHERS = "background and unnamed lines"
NAMED = 1e-3  # of the strongest peak of the model: fainter lines have no name in a figure
# share of the counts in a figure, and what it shows beyond them
_MOST, _MARGIN = 0.999, 1.05


@dataclass(frozen=True)
class Spectrum:
    """The sum of the spectra of a stack, or of a region of it."""

    name: str  # of the stack, with the rows and columns of a region
    # energies, widths: of the bins, in keV
    energies: Array
    widths: Array
    counts: Array  # in each bin
    parts: dict[str, Array]  # of the model, by element, and `OTHERS`
    unnamed: Mapping[int, str] = field(default_factory=dict)  # others, by the bins of their strongest lines

    @property
    def model(self) -> Array:
        """The expected counts in each bin."""
        return np.sum([*self.parts.values()], axis=0)

    @property
    def shown(self) -> slice:
        """The bins up to the last one that holds many counts, or a line: files often go on to energies without any."""
        heights, share = self.model / self.widths, np.cumsum(self.counts) / max(self.counts.sum(), 1.0)
        last = np.flatnonzero((share < _MOST) | (heights > NAMED * heights.max(initial=0.0)))[-1:]
        return slice(int(_MARGIN * last[0]) + 2 if last.size else None)

    @property
    def residual(self) -> Array:
        """Counts minus model, in standard deviations of the counts."""
        return (self.counts - self.model) / np.sqrt(np.maximum(self.model, 1.0))


def spectra_in(name: str, rows: Array, elements: Sequence[str]) -> Iterator[Spectrum]:
    """The sum of all spectra and those of regions, from `ElementMaps.spectrum` of the stack ``name``."""
    energies, widths, *rest = np.asarray(rows, np.float64)
    size, names = len(elements) + 3, (OTHERS, *elements)
    numbers = rest.pop() if (len(rest) + 1) % size else np.zeros(0)
    unnamed = {int(at): symbol_of(int(numbers[at])) for at in np.flatnonzero(numbers)}
    for first in range(0, len(rest) - size + 2, size):
        place = rest[first - 1][:4].astype(int).tolist() if first else None
        title = name if place is None else "{}, rows {}:{}, columns {}:{}".format(name, *place)
        counts, *parts = rest[first : first + size - 1]
        yield Spectrum(title, energies, widths, counts, dict(zip(names, parts, strict=True)), unnamed)


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

    def counts(self, source: SpectrumSource, where: str, masked: bool = False) -> ElementMaps:
        """The counts of elements in a spectrum image.

        `UserError` if there is no such spectrum image, or it lacks an element or window.

        Parameters
        ----------
        source : which image, elements, windows and background.
        where : config key of ``source``.
        masked : whether NaN marks pixels that were not measured; else it is refused.
        """
        ...


def load_spectra(
    spectra: Mapping[str, SpectrumSource], files: OpenFiles, where: str, masked: Collection[str] = ()
) -> dict[str, ElementMaps]:
    """The maps of each name, those ``masked`` with NaN; `UserError` if a file cannot give them."""
    result: dict[str, ElementMaps] = {}
    for name, source in spectra.items():
        key = f"{where}.{name}"
        recording = files.of(source, key)
        if not isinstance(recording, SpectralRecording):
            remedy = "name a microscope's file, or give the maps with data.maps"
            raise UserError(key, "its file holds arrays without energies", remedy)
        result[name] = recording.counts(source, key, name in masked or "all" in masked)
    return result
