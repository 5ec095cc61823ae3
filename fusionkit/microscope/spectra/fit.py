r"""Counts of elements in an EDX spectrum image by a fit: every count is shared out by the odds of its origin.

Single spectra hold a handful of counts. What is most likely for one of them is biased, since it cannot be negative:
faint elements came out three times too large. So the amounts a_k of lines and background (`spectral_model`) are fitted
to the spectra of the surroundings, smoothed, and to the sum of all spectra. The counts n_c of a pixel give

.. math:: x_k = \sum_c n_c \frac{g_k a_k T_{kc}}{\sum_j g_j a_j T_{jc}},

with the factors g that make the sums of the maps those of the fit of the sum of all spectra. A count that can have one
origin only stays what was counted. The fit maximises the likelihood by the steps of L. A. Shepp & Y. Vardi, IEEE Trans.
Med. Imaging 1, 113 (1982); the formula is one such step.
"""

from __future__ import annotations

import warnings

import numpy as np

from fusionkit.data.data_sources import SpectrumSource
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.signals import Signal
from fusionkit.microscope.spectra.lines import family_lines, known_line
from fusionkit.microscope.spectra.spectral_model import Family, Lines, SpectralModel, bins_about, model_of
from fusionkit.microscope.spectra.windows import Counts, Image, elements_of, sums

_CHANGE, _MOST = 1e-3, 2000  # standard deviations that a step may still move, and steps
_MOST_AROUND = 200  # steps where the odds alone are wanted
_EVERY = 10  # steps, after which spectra that are done are left out
_DEVIANCE = 3.0  # the TiO2/Pd recording has 2.4, simulations 1, a detector that is 20 eV worse than its file says 4
_LEAST = 1e-3  # of the counts that the fit starts with, of what the sum shows nothing of
_PIXELS = 4096  # at a time


def fit(signal: Signal, source: SpectrumSource, where: str) -> Counts:
    """The counts in one family of lines of each element, all its lines together.

    Parameters
    ----------
    signal : an EDX spectrum image.
    source : elements, lines whose families are meant, and how far the surroundings reach.
    where : config key of ``source``.

    Raises
    ------
    UserError : these are no EDX spectra, an element has no lines in them, or they hold what is no count.
    """
    if len(signal.shape) != 3 or signal.energy_axis is None or signal.technique != "EDX":
        said = f"fits lines, but '{signal.name}' of {signal.path} is no EDX spectrum image ({signal.kind})"
        raise UserError(f"{where}.method", said, "use method: windows")
    wanted = _wanted(signal, source, where)
    families = _families(signal, (*wanted, *signal.facts.elements))
    absent = next((f"{family} lines of {one}" for one, family in wanted.items() if (one, family) not in families), None)
    if absent is not None:
        raise UserError(f"{where}.lines", f"the {absent} lie outside the spectra", "name others")
    bins = bins_about(signal, families)
    images = np.stack(sums(signal, list(bins)), axis=-1)
    if not images.min(initial=np.inf) >= 0.0:
        raise UserError(where, f"'{signal.name}' holds values that are no counts", "use method: windows")
    model = model_of(signal, families, bins, images.sum(axis=(0, 1)))
    for one, other in model.twins():
        said = f"the fit can hardly tell the {one[1]} lines of {one[0]} from the {other[1]} lines of {other[0]}"
        warnings.warn(f"{said}: name other lines, or leave out one of them", FusionkitWarning, stacklevel=2)
    if model.deviance > _DEVIANCE:
        said = (
            f"the fit of '{signal.name}' does not follow its spectra: their sum deviates {model.deviance:.2g} times as"
        )
        asked = "are the energies or the resolution of the file off, or is an element missing?"
        warnings.warn(f"{said} much as counts do; {asked}", FusionkitWarning, stacklevel=2)
    shared = shared_out(images, model, source.smooth)
    maps = np.stack([shared[..., model.families.index(family)] for family in wanted.items()])
    return Counts(tuple(wanted), maps, None, _notes(wanted, maps, model))


def shared_out(images: Image, model: SpectralModel, smooth: float) -> Image:
    """The counts at each pixel by their origin, (ny, nx, k).

    Parameters
    ----------
    images : counts, (ny, nx, bins).
    model : of the spectra.
    smooth : standard deviation in pixels of the Gaussian that weighs the surroundings.
    """
    from scipy.ndimage import gaussian_filter

    counts = images.reshape(-1, images.shape[-1])
    around = gaussian_filter(images, (smooth, smooth, 0.0), mode="nearest").reshape(counts.shape)
    odds = maximum_likelihood(around, model.shapes, model.amounts, _MOST_AROUND)
    total = maximum_likelihood(counts.sum(axis=0)[None], model.shapes, model.amounts)[0]
    parts = _shared(counts, odds, model.shapes)
    for _ in range(_MOST):
        found = parts.sum(axis=0)
        if np.all(np.abs(found - total) <= _CHANGE * np.sqrt(1.0 + total)):
            break
        odds = odds * np.divide(total, found, out=np.ones_like(total), where=found > 0.0)
        parts = _shared(counts, odds, model.shapes)
    return parts.reshape(*images.shape[:-1], -1)


def maximum_likelihood(counts: Image, shapes: Image, start: Image, most: int = _MOST) -> Image:
    """The amounts of ``shapes`` that are most likely for each spectrum, (pixels, k), by expectation maximisation.

    Parameters
    ----------
    counts : (pixels, bins), none negative.
    shapes : (k, bins), none negative.
    start : amounts whose proportions every spectrum starts from, (k,).
    most : steps.
    """
    reach = shapes.sum(axis=1)  # of each, the part that the bins hold
    proportions = np.maximum(start / max(float(start.sum()), 1.0), _LEAST)
    found = np.empty((len(counts), len(shapes)))
    for first in range(0, len(counts), _PIXELS):
        part, going = counts[first : first + _PIXELS], np.arange(first, min(first + _PIXELS, len(counts)))
        amounts = part.sum(axis=1, keepdims=True) * proportions
        for step in range(1, most + 1):
            former, amounts = amounts, _shared(part, amounts, shapes) / reach
            if step % _EVERY == 0:
                found[going] = amounts
                moves = np.max(np.abs(amounts - former) / np.sqrt(1.0 + amounts), axis=1, initial=0.0) > _CHANGE
                part, going, amounts = part[moves], going[moves], amounts[moves]
                if not going.size:
                    break
        found[going] = amounts
    return found


def _shared(counts: Image, amounts: Image, shapes: Image) -> Image:
    """The counts of each spectrum, divided among the shapes by what each is expected to give in their bins."""
    mean = amounts @ shapes
    ratio = np.divide(counts, mean, out=np.zeros_like(counts), where=mean > 0.0)
    return amounts * (ratio @ shapes.T)


def _wanted(signal: Signal, source: SpectrumSource, where: str) -> dict[str, str]:
    """The family of lines that is the map of each element."""
    lines = {one: source.lines.get(one) for one in elements_of(signal, source, where)}
    bare = {one: None if line is None else line.removeprefix(f"{one}_") for one, line in lines.items()}
    return {one: known_line(signal, one, line, where)[0][0] for one, line in bare.items()}


def _families(signal: Signal, elements: tuple[str, ...]) -> dict[Family, Lines]:
    """The lines of every family of the elements that shows."""
    return {(one, name): lines for one in elements for name, lines in family_lines(signal, one).items()}


def _notes(wanted: dict[str, str], maps: Image, model: SpectralModel) -> tuple[str, ...]:
    pairs = zip(wanted.items(), maps, strict=True)
    said = ", ".join(f"{element} {image.sum():.6g} ({family} lines)" for (element, family), image in pairs)
    ratio = f"{model.deviance:.2g} times its degrees of freedom (1 where the model holds)"
    return (f"Counts by a fit of lines and background: {said}. The deviance of the sum of all spectra is {ratio}.",)
