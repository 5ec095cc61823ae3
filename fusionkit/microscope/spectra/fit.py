r"""Counts of elements in an EDX spectrum image by a fit that divides every count in proportion to its likely origins.

The counts of channel c in a spectrum are Poisson distributed about

.. math:: \mu_c = \sum_k a_k T_{kc}, \qquad a \ge 0,

with T_k the lines of a family (K, L or M of an element, in eXSpy's relative weights) as Gaussians of the detector's
width, or the background. The background has the shape of that in the sum of all spectra: piecewise linear, with knots
several line widths apart, so that it follows no line.

Single spectra hold a handful of counts. Their maximum-likelihood amounts are biased, since they cannot be negative:
faint elements came out three times too large. The amounts are therefore fitted to smoothed spectra and to the sum of
all spectra. The counts n_c of a pixel give

.. math:: x_k = \sum_c n_c \frac{g_k a_k T_{kc}}{\sum_j g_j a_j T_{jc}},

with the factors g that make the sums of the maps those of the fit of the sum of all spectra. A count with one possible
origin is not changed. The fit maximises the likelihood by the steps of L. A. Shepp & Y. Vardi, IEEE Trans. Med. Imaging
1, 113 (1982); the formula is one such step.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fusionkit.data.options import SpectrumSource
from fusionkit.data.spectra import ElementMaps
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.signals import Channels, Image, Signal
from fusionkit.microscope.spectra.lines import family_lines, fwhm, known_line, resolution_of
from fusionkit.microscope.spectra.windows import elements_of, sums

Family = tuple[str, str]  # element and K, L or M
Lines = list[tuple[float, float]]  # energy in eV and weight
_REACH = 4.0  # widths of a line on either side that are fitted
_KNOTS = 6.0  # widths of a line from one knot of the background to the next
_PER_WIDTH = 3.0  # bins in the width of the softest line
_SIGMA = 2.3548  # FWHM over standard deviation
_REWEIGHTINGS = 8  # of least squares, until the weights are consistent with the fit
_ALIKE = 0.95  # cosine above which counts cannot separate two families


@dataclass(frozen=True)
class SpectralModel:
    """Shapes of spectra, and the amount of each in the sum of all spectra.

    Parameters
    ----------
    bins : ranges of channels, each summed.
    families : of the first rows of ``shapes``.
    shapes : counts in each bin of one count of a family, then of the background if there is one, (k, bins).
    amounts : counts of each in the sum of all spectra, (k,).
    deviance : of that sum, over its degrees of freedom; about 1 if the model holds.
    """

    bins: tuple[Channels, ...]
    families: tuple[Family, ...]
    shapes: Image
    amounts: Image
    deviance: float

    def twins(self) -> Iterator[tuple[Family, Family]]:
        """Families of different elements whose lines coincide."""
        unit = self.shapes / np.linalg.norm(self.shapes, axis=1, keepdims=True)
        for (i, one), (j, other) in combinations(enumerate(self.families), 2):
            if one[0] != other[0] and float(unit[i] @ unit[j]) > _ALIKE:
                yield one, other


def bins_about(signal: Signal, families: Mapping[Family, Lines]) -> tuple[Channels, ...]:
    """Ranges of channels around the lines, a fraction of the softest line's width long."""
    energies, width = _energies(signal)
    resolution = resolution_of(signal)
    near = np.zeros(energies.size, bool)
    for energy, _ in (line for lines in families.values() for line in lines):
        near |= np.abs(energies - energy) <= _REACH * fwhm(energy, resolution)
    softest = min(line[0] for lines in families.values() for line in lines)
    length = max(1, int(fwhm(softest, resolution) / (_PER_WIDTH * width)))
    edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
    spans = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return tuple((start, min(start + length, last)) for first, last in spans for start in range(first, last, length))


def model_of(
    signal: Signal, families: Mapping[Family, Lines], bins: tuple[Channels, ...], total: Image
) -> SpectralModel:
    """The model of spectra whose sum over all pixels is ``total``, (bins,).

    Least squares, reweighted by the variance of the fit, is nearly maximum likelihood for a sum of many counts.
    """
    from scipy.optimize import nnls

    resolution = resolution_of(signal)
    lines = np.stack([_binned(_lines(signal, one, resolution), bins) for one in families.values()])
    hats = np.stack([_binned(hat, bins) for hat in _hats(signal, bins, resolution)])
    both = np.concatenate([lines, hats[hats.sum(axis=1) > 0.0]])
    mean, amounts = total + 1.0, np.zeros(len(both))
    for _ in range(_REWEIGHTINGS):
        root = np.sqrt(mean)
        amounts = nnls((both / root).T, total / root)[0]
        mean = np.maximum(amounts @ both, 0.5)
    background = amounts[len(lines) :] @ both[len(lines) :]
    level = float(background.sum())
    shapes = np.concatenate([lines, background[None] / level]) if level > 0.0 else lines
    logs = np.log(np.divide(total, mean, out=np.ones_like(mean), where=total > 0.0))
    deviance = 2.0 * float(np.sum(total * logs - (total - mean))) / max(len(bins) - len(both), 1)
    return SpectralModel(
        bins, tuple(families), shapes, np.append(amounts[: len(lines)], level)[: len(shapes)], deviance
    )


def _energies(signal: Signal) -> tuple[Image, float]:
    """The middle of each channel and the width of one, in eV."""
    offset, width, size = signal.energies()
    unit = 1000.0 if signal.energy_unit == "keV" else 1.0
    return unit * (offset + width * np.arange(size, dtype=np.float64)), unit * width


def _lines(signal: Signal, lines: Lines, resolution: float) -> Image:
    """Expected share of one count of a family in each channel."""
    from scipy.special import ndtr

    energies, width = _energies(signal)
    shape = np.zeros(energies.size)
    for energy, weight in lines:
        sigma = fwhm(energy, resolution) / _SIGMA
        ends = (energies[:, None] + np.array([-width / 2, width / 2]) - energy) / sigma
        shape += weight * np.diff(ndtr(ends), axis=1)[:, 0]
    return shape / sum(weight for _, weight in lines)


def _hats(signal: Signal, bins: tuple[Channels, ...], resolution: float) -> list[Image]:
    """Piecewise linear functions of the channel, each 1 at one knot and 0 at the others."""
    energies, _ = _energies(signal)
    knots, last = [float(energies[bins[0][0]])], float(energies[bins[-1][1] - 1])
    while knots[-1] < last:
        knots.append(knots[-1] + _KNOTS * fwhm(max(knots[-1], 0.0), resolution))
    return [np.interp(energies, knots, one) for one in np.eye(len(knots))]


def _binned(shape: Image, bins: tuple[Channels, ...]) -> Image:
    return np.array([shape[first:last].sum() for first, last in bins])


_CHANGE, _MOST = 1e-3, 2000  # tolerance of a step in standard deviations, and greatest number of steps
_MOST_AROUND = 200  # steps for the smoothed spectra, of which only proportions are used
_EVERY = 10  # steps between checks, which remove converged spectra
_DEVIANCE = 3.0  # the TiO2/Pd recording has 2.4, simulations 1, a detector that is 20 eV worse than its file says 4
_LEAST = 1e-3  # starting share of a family that is absent from the sum
_PIXELS = 4096  # at a time


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
    if len(signal.shape) != 3 or signal.energy_axis is None or signal.technique != "EDX":
        problem = f"fits lines, but '{signal.name}' of {signal.path} is not an EDX spectrum image ({signal.kind})"
        raise UserError(f"{where}.method", problem, "use method: windows")
    family_of = _family_of_element(signal, source, where)
    families = _families(signal, (*family_of, *signal.facts.elements))
    for element, family in family_of.items():
        if (element, family) not in families:
            raise UserError(f"{where}.lines", f"the {family} lines of {element} lie outside the spectra", "name others")
    bins = bins_about(signal, families)
    images = np.stack(sums(signal, list(bins)), axis=-1)
    if not images.min(initial=np.inf) >= 0.0:
        raise UserError(where, f"'{signal.name}' holds values that are not counts", "use method: windows")
    model = model_of(signal, families, bins, images.sum(axis=(0, 1)))
    for one, other in model.twins():
        problem = f"the fit can hardly separate the {one[1]} lines of {one[0]} from the {other[1]} lines of {other[0]}"
        warnings.warn(f"{problem}: name other lines, or leave out one of them", FusionkitWarning, stacklevel=2)
    if model.deviance > _DEVIANCE:
        problem = (
            f"the fit of '{signal.name}' does not follow its spectra: their sum deviates {model.deviance:.2g} times as"
        )
        question = "are the energies or the resolution of the file off, or is an element missing?"
        warnings.warn(f"{problem} much as counts do; {question}", FusionkitWarning, stacklevel=2)
    shared = divide_counts(images, model, source.smooth)
    maps = np.stack([shared[..., model.families.index(family)] for family in family_of.items()])
    return ElementMaps(tuple(family_of), maps, None, signal.raw(maps, _notes(family_of, maps, model)))


def divide_counts(images: Image, model: SpectralModel, smooth: float) -> Image:
    """The counts of each pixel divided by origin, (ny, nx, k).

    Parameters
    ----------
    images : counts, (ny, nx, bins).
    model : of the spectra.
    smooth : standard deviation in pixels of the Gaussian that smooths the spectra for the proportions.
    """
    from scipy.ndimage import gaussian_filter

    counts = images.reshape(-1, images.shape[-1])
    around = gaussian_filter(images, (smooth, smooth, 0.0), mode="nearest").reshape(counts.shape)
    odds = maximum_likelihood(around, model.shapes, model.amounts, _MOST_AROUND)
    total = maximum_likelihood(counts.sum(axis=0)[None], model.shapes, model.amounts)[0]
    parts = _shared(counts, odds, model.shapes)
    for _ in range(_MOST):
        totals = parts.sum(axis=0)
        if np.all(np.abs(totals - total) <= _CHANGE * np.sqrt(1.0 + total)):
            break
        odds = odds * np.divide(total, totals, out=np.ones_like(total), where=totals > 0.0)
        parts = _shared(counts, odds, model.shapes)
    return parts.reshape(*images.shape[:-1], -1)


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


def _family_of_element(signal: Signal, source: SpectrumSource, where: str) -> dict[str, str]:
    """The family of lines of each element's map."""
    lines = {one: source.lines.get(one) for one in elements_of(signal, source, where)}
    bare = {one: None if line is None else line.removeprefix(f"{one}_") for one, line in lines.items()}
    return {one: known_line(signal, one, line, where)[0][0] for one, line in bare.items()}


def _families(signal: Signal, elements: tuple[str, ...]) -> dict[Family, Lines]:
    """The lines of every visible family of the elements."""
    return {(one, name): lines for one in elements for name, lines in family_lines(signal, one).items()}


def _notes(family_of: dict[str, str], maps: Image, model: SpectralModel) -> tuple[str, ...]:
    pairs = zip(family_of.items(), maps, strict=True)
    listed = ", ".join(f"{element} {image.sum():.6g} ({family} lines)" for (element, family), image in pairs)
    ratio = f"{model.deviance:.2g} times its degrees of freedom (1 if the model holds)"
    return (f"Counts by a fit of lines and background: {listed}. The deviance of the sum of all spectra is {ratio}.",)
