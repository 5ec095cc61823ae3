r"""Counts of elements in an EDX spectrum image by a fit of lines and background.

The sum of all spectra has the model of `fusionkit.microscope.spectra.model`.

Single spectra hold a handful of counts. Their maximum-likelihood amounts are biased, since they cannot be negative:
faint elements came out three times too large. The amounts a_k are therefore fitted to smoothed spectra, on blocks of
pixels as large as the smoothing, and scaled to the fit of the sum of all spectra. They serve two methods:

* ``background: fit``. The maps are the counts in a window about a line of each element; the expected counts of all
  other elements and of the background in this window, :math:`\sum_k a_k \int T_k`, are the map's background.
* ``method: fit``. Every count n_c is divided in proportion to its likely origins,

.. math:: x_k = \sum_c n_c \frac{g_k a_k T_{kc}}{\sum_j g_j a_j T_{jc}},

with the factors g that make the sums of the maps those of the fit of the sum. A count with one possible origin is not
changed. Both maximise the likelihood by the steps of L. A. Shepp & Y. Vardi, IEEE Trans. Med. Imaging 1, 113 (1982).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusionkit.data.options import SpectrumSource
from fusionkit.data.spectra import ElementMaps
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.signals import Channels, Image, Signal, block_sums
from fusionkit.microscope.spectra.lines import Window, bare_line, family_lines, fwhm, known_line
from fusionkit.microscope.spectra.model import Family, SpectralModel, bins_of, edges_of, model_of, strongest
from fusionkit.microscope.spectra.windows import SMOOTH, channels, counts_in_windows, elements_of, sums

_CHANGE, _MOST = 1e-3, 2000  # tolerance of a step in standard deviations, and greatest number of steps
_MOST_AROUND = 200  # steps for the smoothed spectra, of which only proportions are used
_EVERY = 10  # steps between checks, which remove converged spectra
_DEVIANCE = 3.0  # the TiO2/Pd recording has 2.0, mantle minerals 3.3, simulations 1
_LEAST = 1e-3  # starting share of a family that is absent from the sum
_PIXELS = 4096  # at a time
_NEEDED = 100.0  # counts in a smoothed spectrum; with 300 an overlapping map has ghosts of 14 % at edges
_NARROWEST, _WIDEST = 0.4, 4.0  # pixels: narrower smoothing does nothing, wider smoothing mixes regions
_ALL = 2**30  # side of a block of all pixels
_HALF = 1.0  # FWHM: half the width of a window
_KEPT = 0.5  # share of the best information with which the default line is kept


def fit(signal: Signal, source: SpectrumSource, where: str) -> ElementMaps:
    """The counts in all lines of one family of each element.

    Parameters
    ----------
    signal : an EDX spectrum image.
    source : elements, a line of the family of each, and the width of the smoothing.
    where : config key of ``source``.

    Raises
    ------
    UserError : these are not EDX spectra, an element has no lines in them, or their values are not counts.
    """
    elements = _checked(signal, source, f"{where}.method", where)
    lines = {one: bare_line(one, source.lines.get(one), where) for one in elements}
    family_of = {one: known_line(signal, one, lines[one], where)[0][0] for one in elements}
    bins = bins_of(signal)
    images = np.stack(sums(signal, bins), axis=-1)
    model = _model(signal, elements, images.sum(axis=(0, 1)), bins, where)
    for element, family in family_of.items():
        if (element, family) not in model.families:
            raise UserError(f"{where}.lines", f"the {family} lines of {element} lie outside the spectra", "name others")
    shared = divide_counts(images, model, SMOOTH if source.smooth is None else source.smooth)
    maps = np.stack([shared[..., model.families.index(family)] for family in family_of.items()])
    _warn_of_doubts(signal, model, list(family_of.items()))
    pairs = zip(family_of.items(), maps, strict=True)
    listed = ", ".join(f"{element} {image.sum():.6g} ({family} lines)" for (element, family), image in pairs)
    notes = (f"Counts by a fit of lines and background: {listed}. {_facts(model)}",)
    return ElementMaps(tuple(family_of), maps, None, signal.raw(maps, notes))


def count_with_fit(signal: Signal, source: SpectrumSource, where: str) -> ElementMaps:
    """The counts in a window about a line of each element, and the fitted counts of all else in it as background.

    Parameters
    ----------
    signal : an EDX spectrum image.
    source : elements, their lines or windows, and the width of the smoothing.
    where : config key of ``source``.

    Raises
    ------
    UserError : as `fit`.
    """
    elements = _checked(signal, source, f"{where}.background", where)
    bins = bins_of(signal)
    model = _model(signal, elements, np.array([one.sum() for one in sums(signal, bins, _ALL)]), bins, where)
    ny, nx = (size for axis, size in enumerate(signal.shape) if axis != signal.energy_axis)
    smooth = _smoothing(source.smooth, float(model.total.sum()) / (ny * nx))
    block = max(1, round(smooth))
    blocks = np.stack(sums(signal, bins, block), axis=-1)
    windows, families = {}, []
    for element in elements:
        windows[element], family = fitted_window(signal, model, source, element, where)
        families.append((element, family))
    ranges = [channels(signal, window.counts, f"{where}.windows.{name}") for name, window in windows.items()]
    maps = np.stack(sums(signal, ranges))
    origins = _Origins.of(model)
    amounts = _amounts(blocks, origins.shapes, origins.amounts, smooth / block)
    scales = np.divide(
        origins.amounts, amounts.sum(axis=(0, 1)), out=np.zeros(len(origins.amounts)), where=origins.amounts > 0
    )
    background = np.empty_like(maps)
    for image, element, ends in zip(background, elements, ranges, strict=True):
        low, high = edges_of(signal, (ends,))
        parts = origins.groups @ model.within((low, high)) * scales
        parts[[name == element for name in origins.names]] = 0.0
        image[...] = _on_pixels(amounts @ parts, block, image.shape)
    _warn_of_doubts(signal, model, families, tied=True)
    notes = (f"{counts_in_windows(signal, windows, maps, background)} {_facts(model)}",)
    return ElementMaps(tuple(elements), maps, background, signal.raw(maps, notes))


def detected(signal: Signal, where: str) -> list[str]:
    """The elements of the file whose lines the sum of all spectra shows; a warning for every other one.

    Raises
    ------
    UserError : as `fit`, or the spectra show none of them.
    """
    elements = _checked(signal, SpectrumSource(), where, where)
    bins = bins_of(signal)
    total = np.array([one.sum() for one in sums(signal, bins, _ALL)])
    model, result = _model(signal, elements, total, bins, where), []
    for element in elements:
        try:
            _, family = fitted_window(signal, model, SpectrumSource(), element, where)
        except UserError as error:  # its lines lie outside of these spectra
            problem: str | None = error.problem
        else:
            problem = _below_limit(signal, model, (element, family))
        if problem is None:
            result.append(element)
        else:
            warnings.warn(f"the config leaves out {element} of '{signal.name}': {problem}", FusionkitWarning, 2)
    if not result:
        remedy = "name them in the config, in data.spectra.maps.elements, if they are there"
        raise UserError(where, f"'{signal.name}' shows none of its elements' lines", remedy)
    return result


def _smoothing(given: float | None, counts: float) -> float:
    """Standard deviation in pixels of a Gaussian that averages over `_NEEDED` counts, unless one is given.

    Parameters
    ----------
    given : by the user.
    counts : in a pixel; a Gaussian with the standard deviation s averages over 4 pi s^2 pixels.
    """
    if given is not None:
        return given
    width = float(np.sqrt(_NEEDED / (4.0 * np.pi * max(counts, 1e-12))))
    return 0.0 if width < _NARROWEST else min(width, _WIDEST)


@dataclass(frozen=True)
class _Origins:
    """Elements, with their families in the proportions of the sum of all spectra, and the background.

    Parameters
    ----------
    names : of the elements, and an empty one for the background.
    groups : share of each of the model's shapes in each origin, (k, shapes).
    shapes : counts in each bin of one count, (k, bins).
    amounts : counts in the sum, (k,).
    """

    names: tuple[str, ...]
    groups: Image
    shapes: Image
    amounts: Image

    @classmethod
    def of(cls, model: SpectralModel) -> _Origins:
        """Those of a model that have counts."""
        owners = [*(element for element, _ in model.families), *[""] * (len(model.shapes) - len(model.families))]
        parts = {name: model.all_amounts * [owner == name for owner in owners] for name in dict.fromkeys(owners)}
        held = {name: part for name, part in parts.items() if part.sum() > 0.0}
        amounts = np.array([part.sum() for part in held.values()])
        groups = np.stack(list(held.values())) / amounts[:, None]
        return cls(tuple(held), groups, groups @ model.shapes, amounts)


def fitted_window(
    signal: Signal, model: SpectralModel, source: SpectrumSource, element: str, where: str
) -> tuple[Window, str]:
    """The window of an element at the fitted energy of its line, and the family of that line.

    Unless a line is named it is that of the file, or that of the family with the most information: the squared counts
    of the family in the window, over all counts in it.
    """
    named = bare_line(element, source.lines.get(element), where)
    default, energy = known_line(signal, element, named, f"{where}.lines.{element}" if named else where)
    choices = {default: energy} if named else _choices(signal, element, default, energy)
    choices = {
        line: at for line, at in choices.items() if model.edges[0] < model.calibration.in_file(at) < model.edges[-1]
    }
    if not choices:
        problem = f"{element}_{default} ({energy / 1000:.3f} keV) lies outside the spectra"
        raise UserError(
            where, f"{problem} from {model.edges[0] / 1000:.3g} keV on", "name another line, or leave it out"
        )
    windows = {line: _about(signal, model, at) for line, at in choices.items()}
    worth = {line: _information(model, (element, line[0]), windows[line]) for line in windows}
    best = max(worth, key=lambda line: worth[line])
    line = default if worth.get(default, 0.0) >= _KEPT * worth[best] else best
    unit = 1000.0 if signal.energy_unit == "keV" else 1.0
    ends = source.windows.get(element) or [end / unit for end in windows[line]]
    return Window(f"{element}_{line}", (ends[0], ends[1]), ()), line[0]


def _choices(signal: Signal, element: str, default: str, energy: float) -> dict[str, float]:
    """The strongest line of every visible family, the default line first."""
    others = {f"{name}a": strongest(lines) for name, lines in family_lines(signal, element).items()}
    return {default: energy} | {line: at for line, at in others.items() if line[0] != default[0]}


def _about(signal: Signal, model: SpectralModel, energy: float) -> tuple[float, float]:
    """An FWHM on either side of a line, in eV of the file; a channel or more."""
    middle, half = model.calibration.in_file(energy), _HALF * fwhm(energy, model.calibration.resolution)
    width = model.edges[1] - model.edges[0]
    low, high = model.edges[0], model.edges[-1]
    return max(middle - max(half, width / 2), low), min(middle + max(half, width / 2), high)


def _information(model: SpectralModel, family: Family, window: tuple[float, float]) -> float:
    if family not in model.families:
        return 0.0
    counts = model.within(window) * model.all_amounts
    return float(counts[model.families.index(family)] ** 2 / max(counts.sum(), 0.5))


def _checked(signal: Signal, source: SpectrumSource, key: str, where: str) -> list[str]:
    """The elements; `UserError` unless these are EDX spectra."""
    if len(signal.shape) != 3 or signal.energy_axis is None or signal.technique != "EDX":
        problem = f"fits lines, but '{signal.name}' of {signal.path} is not an EDX spectrum image ({signal.kind})"
        raise UserError(key, problem, "use method: windows, with background: windows, power_law or none")
    return elements_of(signal, source, where)


def _model(
    signal: Signal, elements: Sequence[str], total: Image, bins: tuple[Channels, ...], where: str
) -> SpectralModel:
    """The model of the sum; `UserError` where the values are not counts."""
    if not total.min(initial=np.inf) >= 0.0:
        problem = f"'{signal.name}' holds values that are not counts"
        raise UserError(where, problem, "use method: windows and background: windows")
    return model_of(signal, (*elements, *(one for one in signal.facts.elements if one not in elements)), total, bins)


def _warn_of_doubts(signal: Signal, model: SpectralModel, families: Sequence[Family], tied: bool = False) -> None:
    """Warn of families that nothing separates, elements below their limits, and a model that does not fit."""
    for one, other in model.twins(tied):
        problem = f"the fit can hardly separate the {one[1]} lines of {one[0]} from the {other[1]} lines of {other[0]}"
        warnings.warn(f"{problem}: name other lines, or leave out one of them", FusionkitWarning, stacklevel=2)
    for element, family in families:
        problem = _below_limit(signal, model, (element, family))
        if problem is not None:
            warnings.warn(f"{element} is not detected: {problem}", FusionkitWarning, stacklevel=2)
    if model.deviance > _DEVIANCE:
        problem = (
            f"the fit of '{signal.name}' does not follow its spectra: their sum deviates {model.deviance:.2g} times as"
        )
        question = "is an element missing, or are its lines shaped otherwise?"
        warnings.warn(f"{problem} much as counts do; {question}", FusionkitWarning, stacklevel=2)


def _below_limit(signal: Signal, model: SpectralModel, family: Family) -> str | None:
    """What is wrong with a family below its detection limit; None for one above."""
    counts, limit = model.amounts[model.families.index(family)], model.limit(family)
    lines = f"the sum of all spectra of '{signal.name}' holds {counts:.3g} counts of its {family[1]} lines"
    return f"{lines}, and the limit is {limit:.3g}" if counts < limit else None


def _facts(model: SpectralModel) -> str:
    """Sentences about the fit of the sum of all spectra."""
    ratio = f"The deviance of the sum of all spectra is {model.deviance:.2g} times its degrees of freedom"
    one = model.calibration
    energies = (
        f"Energies by the lines: {one.offset:+.1f} eV, gain {one.gain:.4f}, {one.resolution:.0f} eV FWHM at Mn Ka."
    )
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
    amounts = _amounts(block_sums(images, block), model.shapes, model.all_amounts, smooth / block)
    odds = np.stack([_on_pixels(one, block, images.shape[:2]) for one in np.moveaxis(amounts, -1, 0)], axis=-1)
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


def _amounts(blocks: Image, shapes: Image, start: Image, smooth: float) -> Image:
    """Maximum-likelihood amounts in smoothed spectra of blocks, (by, bx, k)."""
    from scipy.ndimage import gaussian_filter

    around = gaussian_filter(blocks, (smooth, smooth, 0.0), mode="nearest").reshape(-1, blocks.shape[-1])
    amounts = maximum_likelihood(around, shapes, start, _MOST_AROUND)
    return amounts.reshape(*blocks.shape[:-1], -1)


def _on_pixels(image: Image, block: int, shape: tuple[int, ...]) -> Image:
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
