r"""What EDX spectra are made of: families of lines on a background.

The counts of channel c are Poisson distributed about

.. math:: \mu_c = \sum_k a_k T_{kc}, \qquad a \ge 0,

T_k the lines of a family (K, L or M of an element, in eXSpy's relative weights) as Gaussians of the detector's width,
or the background. Its shape is that of the sum of all spectra: piecewise linear, with knots that lie several widths of
a line apart, so that it follows no line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fusionkit.microscope.signals import Signal
from fusionkit.microscope.spectra.lines import fwhm, resolution_of
from fusionkit.microscope.spectra.windows import Channels, Image

Family = tuple[str, str]  # element and K, L or M
Lines = list[tuple[float, float]]  # energy in eV and weight
_REACH = 4.0  # widths of a line from its middle that are looked at
_KNOTS = 6.0  # widths of a line from one knot of the background to the next
_PER_WIDTH = 3.0  # bins in the width of the softest line
_SIGMA = 2.3548  # FWHM over standard deviation
_REWEIGHTINGS = 8  # of least squares, until the weights are those of the fit
_ALIKE = 0.95  # cosine of two families from which on counts do not tell them apart


@dataclass(frozen=True)
class SpectralModel:
    """Shapes of spectra, and how much of each is in the sum of all of them.

    Parameters
    ----------
    bins : ranges of channels, each summed.
    families : what the first rows of ``shapes`` are.
    shapes : counts in each bin of one count of a family, then of the background where there is one, (k, bins).
    amounts : counts of each in the sum of all spectra, (k,).
    deviance : of that sum, over its degrees of freedom; about 1 where the model holds.
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
    """Ranges of channels about the lines, a part of the width of the softest line long."""
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

    Least squares with the variance of the fit, repeated, is nearly maximum likelihood for a sum of many counts.
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
    """What one count of a family puts into each channel."""
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
