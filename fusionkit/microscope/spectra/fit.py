r"""Counts of elements in an EDX spectrum image by a fit of lines and background.

The sum of all spectra has the model of `fusionkit.microscope.spectra.model`.

Single spectra hold a handful of counts. Their maximum-likelihood amounts are biased, since they cannot be negative:
faint elements came out three times too large. The amounts a_k are therefore fitted to smoothed spectra, on blocks of
pixels as large as the smoothing, and scaled to the fit of the sum of all spectra. They serve two methods:

* ``method: spectral`` (`fusionkit.microscope.spectra.channel_sets`). The background of each map is
  :math:`\sum_k a_k \int T_k` over the families of no named element and the background.
* ``method: fit``. Every count n_c is divided in proportion to its likely origins,

.. math:: x_k = \sum_c n_c \frac{g_k a_k T_{kc}}{\sum_j g_j a_j T_{jc}},

with the factors g that make the sums of the maps those of the fit of the sum. A count with one possible origin is not
changed. Both maximise the likelihood by the steps of L. A. Shepp & Y. Vardi, IEEE Trans. Med. Imaging 1, 113 (1982).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.data.options import SpectrumSource
from fusionkit.data.spectra import ElementMaps
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.signals import Channels, Image, Signal, block_sums
from fusionkit.microscope.spectra.lines import bare_line, known_line
from fusionkit.microscope.spectra.model import SpectralModel, bins_of, model_of
from fusionkit.microscope.spectra.peaks import Family
from fusionkit.microscope.spectra.windows import SMOOTH, elements_of

_CHANGE, _MOST = 1e-3, 2000  # tolerance of a step in standard deviations, and greatest number of steps
_MOST_AROUND = 200  # steps for the smoothed spectra, of which only proportions are used
_EVERY = 10  # steps between checks, which remove converged spectra
_DEVIANCE = 3.0  # the TiO2/Pd recording has 2.0, mantle minerals 3.3, simulations 1
_TOPS = 3  # energies that a warning names
_LEAST = 1e-3  # starting share of a family that is absent from the sum
_PIXELS = 4096  # at a time


@dataclass
class Reading:
    """The counts of an EDX spectrum image in bins, and models of their sum, each read or fitted once."""

    signal: Signal  # the spectra
    _models: dict[frozenset[str], SpectralModel] = field(default_factory=dict, repr=False)

    @cached_property
    def images(self) -> npt.NDArray[Any]:
        """Counts in each bin, (bins, ny, nx)."""
        return binned(self.signal, bins_of(self.signal))

    def model(self, elements: Sequence[str], where: str) -> SpectralModel:
        """The model with these elements and those of the file; `UserError` where the values are not counts."""
        total = self.images.sum(axis=(1, 2), dtype=np.float64)
        if not total.min(initial=np.inf) >= 0.0:
            missing = bool(np.isnan(total).any())
            problem = f"'{self.signal.name}' holds {'NaN' if missing else 'values that are not counts'}"
            remedy = "use method: windows and background: windows"
            raise UserError(where, problem, f"{remedy}, with data.mask: nan" if missing else remedy)
        named = tuple(dict.fromkeys((*elements, *self.signal.facts.elements)))
        if frozenset(named) not in self._models:
            self._models[frozenset(named)] = model_of(self.signal, named, total, bins_of(self.signal))
        return self._models[frozenset(named)]


def fit(reading: Reading, source: SpectrumSource, where: str) -> ElementMaps:
    """The counts in all lines of one family of each element.

    `UserError` if these are not EDX spectra, an element has no lines in them, or their values are not counts.

    Parameters
    ----------
    reading : of an EDX spectrum image.
    source : elements, a line of the family of each, and the width of the smoothing.
    where : config key of ``source``.
    """
    signal = reading.signal
    elements = edx_elements(signal, source, f"{where}.method", where)
    lines = {one: bare_line(one, source.lines.get(one), where) for one in elements}
    family_of = {one: known_line(signal, one, lines[one], where)[0][0] for one in elements}
    images, model = np.moveaxis(reading.images, 0, -1).astype(np.float64), reading.model(elements, where)
    for element, family in family_of.items():
        if (element, family) not in model.families:
            raise UserError(f"{where}.lines", f"the {family} lines of {element} lie outside the spectra", "name others")
    shared = divide_counts(images, model, SMOOTH if source.smooth is None else source.smooth)
    maps = np.stack([shared[..., model.families.index(family)] for family in family_of.items()])
    warn_of_doubts(signal, model, list(family_of.items()))
    pairs = zip(family_of.items(), maps, strict=True)
    listed = ", ".join(f"{element} {image.sum():.6g} ({family} lines)" for (element, family), image in pairs)
    notes = (f"Counts by a fit of lines and background: {listed}. {facts_of_fit(model)}",)
    return ElementMaps(tuple(family_of), maps, None, signal.raw(maps, notes))


def detected(reading: Reading, elements: Sequence[str], where: str) -> list[str]:
    """The elements whose lines the sum of all spectra shows; a warning for every other one.

    `UserError` as `fit`, or if the spectra show none of them.

    Parameters
    ----------
    reading : of an EDX spectrum image.
    elements : symbols; without any, all that the spectra show.
    where : config key, for error messages.
    """
    signal, result = reading.signal, list[str]()
    model = reading.model(elements, where)
    for element in elements or model.unlisted:
        family = clearest(model, element)
        problem = "its lines lie outside the spectra" if family is None else _below_limit(signal, model, family)
        if problem is None:
            result.append(element)
        elif elements:
            warnings.warn(f"the config leaves out {element} of '{signal.name}': {problem}", FusionkitWarning, 2)
    if not result:
        lines = f"no line of {', '.join(elements)} above its limit" if elements else "no lines"
        remedy = "name other elements" if elements else "name its elements"
        raise UserError(where, f"'{signal.name}' shows {lines}", remedy)
    others = [one for one in model.unlisted if one not in result]
    if others:
        message = f"'{signal.name}' shows {', '.join(others)} too, which nobody named: its counts go to the background"
        warnings.warn(f"{message}; name them to map them", FusionkitWarning, 2)
    return result


def clearest(model: SpectralModel, element: str) -> Family | None:
    """The family of an element that is farthest above its limit; None if all lie outside of the spectra."""
    own = [family for family in model.families if family[0] == element]
    ratios = {family: model.amounts[model.families.index(family)] / model.limit(family) for family in own}
    return max(own, key=lambda family: ratios[family], default=None)


def binned(signal: Signal, bins: Sequence[Channels]) -> npt.NDArray[Any]:
    """The counts of each bin, (bins, ny, nx), in one pass over the file."""
    assert signal.energy_axis is not None
    return signal.data.binned(signal.energy_axis, list(bins))


@dataclass(frozen=True)
class Origins:
    """Elements, with their families in the proportions of the sum of all spectra, and the background."""

    names: tuple[str, ...]  # of the elements, and an empty one for the background
    groups: Image  # share of each of the model's shapes in each origin, (k, shapes)
    shapes: Image  # counts in each bin of one count, (k, bins)
    amounts: Image  # counts in the sum, (k,)

    @classmethod
    def of(cls, model: SpectralModel) -> Origins:
        """Those of a model that have counts."""
        owners = [*(element for element, _ in model.families), *[""] * (len(model.shapes) - len(model.families))]
        parts = {name: model.all_amounts * [owner == name for owner in owners] for name in dict.fromkeys(owners)}
        held = {name: part for name, part in parts.items() if part.sum() > 0.0}
        amounts = np.array([part.sum() for part in held.values()])
        groups = np.stack(list(held.values())) / amounts[:, None]
        return cls(tuple(held), groups, groups @ model.shapes, amounts)


def edx_elements(signal: Signal, source: SpectrumSource, key: str, where: str) -> list[str]:
    """The elements; `UserError` unless these are EDX spectra."""
    if len(signal.shape) != 3 or signal.energy_axis is None or signal.technique != "EDX":
        problem = f"fits lines, but '{signal.name}' of {signal.path} is not an EDX spectrum image ({signal.kind})"
        raise UserError(key, problem, "use method: windows, with background: windows, power_law or none")
    return elements_of(signal, source, where)


def warn_of_doubts(signal: Signal, model: SpectralModel, families: Sequence[Family], tied: bool = False) -> None:
    """Warn of families that nothing separates, elements below their limits, and a model that does not fit."""
    for one, other in model.twins(tied):
        problem = f"the fit can hardly separate the {one[1]} lines of {one[0]} from the {other[1]} lines of {other[0]}"
        warnings.warn(f"{problem}: name other lines, or leave out one of them", FusionkitWarning, stacklevel=2)
    for element, family in families:
        problem = _below_limit(signal, model, (element, family))
        if problem is not None:
            warnings.warn(f"{element} is not detected: {problem}", FusionkitWarning, stacklevel=2)
    tops = model.excesses()[:_TOPS]
    energies, by = (", ".join(f"{one[which]:.3g}" for one in tops) for which in (0, 1))
    where = f", and is above the fit at {energies} keV (by {by} standard deviations)" if tops else ""
    warn_of_deviance(signal, model.deviance, where)


def warn_of_deviance(signal: Signal, deviance: float, where: str = "") -> None:
    """Warn of a model that does not fit the sum of all spectra, from its deviance over its degrees of freedom.

    Parameters
    ----------
    where : the energies at which counts are missing from the model, the end of a sentence.
    """
    if deviance > _DEVIANCE:
        problem = f"the fit of '{signal.name}' does not follow its spectra: their sum deviates {deviance:.2g} times as"
        question = "is an element missing, or are its lines or edges shaped otherwise?"
        warnings.warn(f"{problem} much as counts do{where}; {question}", FusionkitWarning, stacklevel=2)


def _below_limit(signal: Signal, model: SpectralModel, family: Family) -> str | None:
    """What is wrong with a family below its detection limit; None for one above."""
    counts, limit = model.amounts[model.families.index(family)], model.limit(family)
    lines = f"the sum of all spectra of '{signal.name}' holds {counts:.3g} counts of its {family[1]} lines"
    return f"{lines}, and the limit is {limit:.3g}" if counts < limit else None


def facts_of_fit(model: SpectralModel) -> str:
    """Sentences about the fit of the sum of all spectra."""
    ratio = f"The deviance of the sum of all spectra is {model.deviance:.2g} times its degrees of freedom"
    one = model.calibration
    shifts = " and ".join(f"{one.shift(1000.0 * energy):+.1f} eV at {energy} keV" for energy in (1, 5))
    tail = f", {one.tail:.0%} of a line's counts in a tail below it" if one.tail > 0.0 else ""
    energies = f"Energies by the lines: {shifts} of the file, {one.resolution:.0f} eV FWHM at Mn Ka{tail}."
    others = f" Lines of {', '.join(model.unlisted)}, which nobody named, are fitted too." if model.unlisted else ""
    return f"{ratio} (1 if the model holds). {energies}{others}"


def divide_counts(images: Image, model: SpectralModel, smooth: float) -> Image:
    """The counts of each pixel divided by origin, (ny, nx, k).

    Parameters
    ----------
    images : counts, (ny, nx, bins).
    model : of the spectra.
    smooth : standard deviation in pixels of the Gaussian that smooths the spectra for the proportions.
    """
    counts, block = images.reshape(-1, images.shape[-1]), max(1, round(smooth))
    amounts = smoothed_amounts(block_sums(images, block), model.shapes, model.all_amounts, smooth / block)
    odds = np.stack([on_pixels(one, block, images.shape[:2]) for one in np.moveaxis(amounts, -1, 0)], axis=-1)
    odds = odds.reshape(len(counts), -1)
    total = maximum_likelihood(counts.sum(axis=0)[None], model.shapes, model.all_amounts)[0]
    parts = _shared(counts, odds, model.shapes)
    for _ in range(_MOST):
        totals = parts.sum(axis=0)
        if np.all(np.abs(totals - total) <= _CHANGE * np.sqrt(1.0 + total)):
            break
        odds = odds * np.divide(total, totals, out=np.ones_like(total), where=totals > 0.0)
        parts = _shared(counts, odds, model.shapes)
    return parts.reshape(*images.shape[:-1], -1)


def smoothed_amounts(blocks: Image, shapes: Image, start: Image, smooth: float) -> Image:
    """Maximum-likelihood amounts in smoothed spectra of blocks, (by, bx, k)."""
    from scipy.ndimage import gaussian_filter

    around = gaussian_filter(blocks, (smooth, smooth, 0.0), mode="nearest").reshape(-1, blocks.shape[-1])
    amounts = maximum_likelihood(around, shapes, start, _MOST_AROUND)
    return amounts.reshape(*blocks.shape[:-1], -1)


def on_pixels(image: Image, block: int, shape: tuple[int, ...]) -> Image:
    """An image of sums over blocks as one of pixels, interpolated linearly, with the same sum."""
    from scipy.ndimage import map_coordinates

    places = np.meshgrid(*((np.arange(size) + 0.5) / block - 0.5 for size in shape), indexing="ij")
    fine = map_coordinates(image, places, order=1, mode="nearest")
    total = fine.sum()
    return fine * (image.sum() / total) if total > 0.0 else fine


def maximum_likelihood(counts: Image, shapes: Image, start: Image, most: int = _MOST) -> Image:
    """Maximum-likelihood amounts of ``shapes`` in each spectrum, (pixels, k), by expectation maximisation.

    Parameters
    ----------
    counts : (pixels, bins), none negative.
    shapes : (k, bins), none negative.
    start : amounts whose proportions are the starting point of every spectrum, (k,).
    most : greatest number of steps.
    """
    reach = shapes.sum(axis=1)  # the part of each within the bins
    proportions = np.maximum(start / max(float(start.sum()), 1.0), _LEAST)
    result = np.empty((len(counts), len(shapes)))
    for first in range(0, len(counts), _PIXELS):
        part, going = counts[first : first + _PIXELS], np.arange(first, min(first + _PIXELS, len(counts)))
        amounts = part.sum(axis=1, keepdims=True) * proportions
        for step in range(1, most + 1):
            former, amounts = amounts, _shared(part, amounts, shapes) / reach
            if step % _EVERY == 0:
                result[going] = amounts
                moves = np.max(np.abs(amounts - former) / np.sqrt(1.0 + amounts), axis=1, initial=0.0) > _CHANGE
                part, going, amounts = part[moves], going[moves], amounts[moves]
                if not going.size:
                    break
        result[going] = amounts
    return result


def _shared(counts: Image, amounts: Image, shapes: Image) -> Image:
    """The counts of each spectrum, divided among the shapes in proportion to their expected counts."""
    mean = amounts @ shapes
    ratio = np.divide(counts, mean, out=np.zeros_like(counts), where=mean > 0.0)
    return amounts * (ratio @ shapes.T)
