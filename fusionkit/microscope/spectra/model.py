r"""A model of the sum of all EDX spectra: families of lines and a background, on the energies that the lines show.

.. math:: \mu_c = \sum_k a_k T_{kc} + \sum_j h_j H_{jc}, \qquad a, h \ge 0

T_k are the lines of a family (K, L or M of an element) as the detector shows them, integrated over each bin (see
`fusionkit.microscope.spectra.peaks`). H_j are hat functions with knots several line widths apart, so that the
background follows no line; closer where this does not fit. Calibration and weights of lines maximise the likelihood
times a prior, which holds where counts are few. Elements that are not named but show in the residual join the model, so
that their counts are given to no other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from fusionkit.microscope.signals import Channels, Image, Signal
from fusionkit.microscope.spectra.lines import elements_in_table, family_lines, fwhm, resolution_of
from fusionkit.microscope.spectra.peaks import Calibration, Family, Lines, calibrated, peaks, with_weights

_SOFTEST = 200.0  # eV: below, detectors show their noise
_PER_WIDTH = 3.0  # bins in the width of a line
_KNOTS, _CLOSER = 6.0, 3.0  # widths of a line from one knot of the background to the next
_COARSE = 1.5  # deviance above which the knots are closer, if the bins resolve lines
_ROUNDS = 3  # of fits of the weights of lines
_REWEIGHTINGS = 8  # of least squares, until the weights are consistent with the fit
_ALIKE = 0.9  # cosine above which counts cannot separate two families
_UNLISTED = 36.0  # least fall of the squared residual for an element that is not named: six standard errors
_EXPLAINED = 0.05  # and least share of the squared residual
_MOST_UNLISTED = 8
_COMMON = ("C", "O", "Cu", "Si", "Al", "Ga", "Fe", "Ni", "Mo", "Au", "Pt", "Cl", "Ca", "Na")  # grids, holders, beams
_RARE = 0.5  # factor of the evidence of all others
_HARDEST = 20e3  # eV: harder lines of an element that is not named may be too faint to count as evidence
_EXCESS = 5.0  # standard deviations in the width of a line
DETECTED = 3.0  # standard errors


@dataclass(frozen=True)
class SpectralModel:
    """Shapes of spectra, and the amount of each in the sum of all spectra."""

    bins: tuple[Channels, ...]  # adjacent ranges of channels, each summed
    edges: Image  # ends of the bins in the file, in eV, (bins + 1,)
    lines: Mapping[Family, Lines]  # of every family, with their weights in these spectra
    total: Image  # counts of the sum of all spectra, (bins,)
    calibration: Calibration  # of the energies and the peaks
    amounts: Image  # counts of each family in the sum, (k,)
    background: Image  # counts of the background in the sum, (bins,)
    deviance: float  # of the sum, over its degrees of freedom; about 1 if the model holds
    unlisted: tuple[str, ...] = ()  # elements that nobody named, in the order of their evidence

    @property
    def families(self) -> tuple[Family, ...]:
        """Element and K, L or M of the rows of `family_shapes`."""
        return tuple(self.lines)

    @cached_property
    def family_shapes(self) -> Image:
        """Counts in each bin of one count of each family, (k, bins)."""
        return peaks(self.edges, self.lines, self.calibration)

    @cached_property
    def shapes(self) -> Image:
        """Those of the families, then that of the background unless it is empty, (k or k + 1, bins)."""
        level = self.background.sum()
        rows = [self.family_shapes, self.background[None] / level] if level > 0.0 else [self.family_shapes]
        return np.concatenate(rows)

    @property
    def all_amounts(self) -> Image:
        """Counts in the sum of each of the ``shapes``."""
        return np.append(self.amounts, self.background.sum())[: len(self.shapes)]

    def twins(self, tied: bool = False) -> Iterator[tuple[Family, Family]]:
        """Families of different elements whose lines coincide.

        Parameters
        ----------
        tied : whether the families of an element vary together, so that another one of them tells the two apart.
        """
        unit = self.family_shapes / np.linalg.norm(self.family_shapes, axis=1, keepdims=True)
        for (i, one), (j, other) in combinations(enumerate(self.families), 2):
            alike = one[0] != other[0] and float(unit[i] @ unit[j]) > _ALIKE
            if alike and not (tied and (self._shows_another(one) or self._shows_another(other))):
                yield one, other

    def excesses(self) -> list[tuple[float, float]]:
        """Where the sum holds more than the model: energies in keV and standard deviations, the largest first."""
        mean, ones = self.all_amounts @ self.shapes, np.ones(int(_PER_WIDTH))
        over = np.convolve(self.total - mean, ones, "same") / np.sqrt(np.convolve(np.maximum(mean, 0.5), ones, "same"))
        tops = 1 + np.flatnonzero((over[1:-1] >= over[:-2]) & (over[1:-1] > over[2:]) & (over[1:-1] > _EXCESS))
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        return sorted(((float(middles[k]) / 1000.0, float(over[k])) for k in tops), key=lambda one: -one[1])

    def _shows_another(self, family: Family) -> bool:
        """Whether another family of the element is above its limit."""
        pairs = zip(self.families, self.amounts, strict=True)
        return any(one[0] == family[0] and one != family and count > self.limit(one) for one, count in pairs)

    def limit(self, family: Family) -> float:
        """The fewest counts of a family in the sum that would be detected: three standard errors without any.

        Where the model does not hold, the standard error is that of the deviance.
        """
        index = self.families.index(family)
        others = np.delete(self.shapes, index, axis=0)
        mean = np.maximum(np.delete(self.all_amounts, index) @ others, 0.5)
        information = _information(self.family_shapes[index], others, mean) / max(self.deviance, 1.0)
        return DETECTED / np.sqrt(max(information, 1e-300))


def model_of(signal: Signal, elements: Sequence[str], total: Image, bins: tuple[Channels, ...]) -> SpectralModel:
    """The model of spectra whose sum over all pixels is ``total``, (bins,).

    Parameters
    ----------
    signal : an EDX spectrum image.
    elements : named ones.
    total : counts of the sum of all spectra in each bin.
    bins : see `bins_of`.
    """
    edges = edges_of(signal, bins)
    named = {(one, name): lines for one in elements for name, lines in family_lines(signal, one).items()}
    beam = 1000.0 * float(signal.facts.metadata.get("beam_energy_keV", np.inf))
    excited = min(_HARDEST, beam / 2.0, edges[-1])
    others = {one: _below(excited, family_lines(signal, one)) for one in elements_in_table() if one not in elements}
    file = Calibration(0.0, 1.0, resolution_of(signal))
    fine = bool(np.all(np.diff(edges) < [fwhm(energy, file.resolution) / 2.0 for energy in edges[1:]]))
    unlisted: list[str] = []
    for apart in (_KNOTS, _CLOSER):
        hats = _hats(edges, file.resolution, apart)
        calibration = calibrated(edges, named, hats, total, file)
        while len(unlisted) < _MOST_UNLISTED:
            model = _fitted(bins, edges, named, hats, total, calibration)
            one = _unlisted(model, hats, {k: v for k, v in others.items() if v and k not in unlisted})
            if one is None:
                break
            unlisted.append(one)
            named |= {(one, name): lines for name, lines in others[one].items()}
            calibration = calibrated(edges, named, hats, total, file)
        model = _fitted(bins, edges, named, hats, total, calibration)
        for _ in range(_ROUNDS):  # the weights of lines need the counts of their families
            mean = model.all_amounts @ model.shapes
            lines = with_weights(edges, named, hats, total, calibration, model.amounts, mean)
            model = _fitted(bins, edges, lines, hats, total, calibration)
        if model.deviance <= _COARSE or not fine:
            break
    return replace(model, unlisted=tuple(unlisted))


def strongest(lines: Lines) -> float:
    """Energy of the strongest line, in eV."""
    return max(lines, key=lambda line: line[1])[0]


def _below(energy: float, families: Mapping[str, Lines]) -> dict[str, Lines]:
    return {name: lines for name, lines in families.items() if strongest(lines) < energy}


def bins_of(signal: Signal) -> tuple[Channels, ...]:
    """Adjacent ranges of channels from the end of the detector's noise on, each a third of a line's width long."""
    energies, width = _energies(signal)
    resolution, first = resolution_of(signal), int(np.searchsorted(energies, _SOFTEST))
    bins: list[Channels] = []
    while first < energies.size:
        last = min(first + max(1, int(fwhm(energies[first], resolution) / (_PER_WIDTH * width))), energies.size)
        bins.append((first, last))
        first = last
    return tuple(bins)


def edges_of(signal: Signal, bins: Sequence[Channels]) -> Image:
    """Ends of adjacent bins in eV, (bins + 1,)."""
    energies, width = _energies(signal)
    return energies[0] + width * (np.array([bins[0][0], *(last for _, last in bins)]) - 0.5)


def _energies(signal: Signal) -> tuple[Image, float]:
    """The middle of each channel and the width of one, in eV."""
    (offset, width, size), unit = signal.energies(), signal.electronvolts
    return unit * (offset + width * np.arange(size, dtype=np.float64)), unit * width


def _hats(edges: Image, resolution: float, apart: float) -> Image:
    """Piecewise linear functions of the energy, each 1 at one knot and 0 at the others, per bin, (j, bins)."""
    middles, knots = (edges[1:] + edges[:-1]) / 2, [float(edges[0])]
    while knots[-1] < edges[-1]:
        knots.append(knots[-1] + apart * fwhm(max(knots[-1], 0.0), resolution))
    hats = np.stack([np.interp(middles, knots, one) for one in np.eye(len(knots))]) * np.diff(edges)
    return hats[hats.sum(axis=1) > 0.0]


def _fitted(
    bins: tuple[Channels, ...],
    edges: Image,
    families: Mapping[Family, Lines],
    hats: Image,
    total: Image,
    calibration: Calibration,
) -> SpectralModel:
    """The amounts by least squares, reweighted by the variance of the fit, which is nearly maximum likelihood."""
    both = np.concatenate([peaks(edges, families, calibration), hats])
    amounts = weighted_amounts(total, both)
    mean = np.maximum(amounts @ both, 0.5)
    logs = np.log(np.divide(total, mean, out=np.ones_like(mean), where=total > 0.0))
    deviance = 2.0 * float(np.sum(total * logs - (total - mean))) / max(len(bins) - len(both), 1)
    known, background = amounts[: len(families)], amounts[len(families) :] @ hats
    return SpectralModel(bins, edges, dict(families), total, calibration, known, background, deviance)


def weighted_amounts(total: Image, shapes: Image) -> Image:
    """Nonnegative amounts of ``shapes``, (k, bins), in a spectrum, nearly of maximum likelihood."""
    from scipy.optimize import nnls

    mean, amounts = total + 1.0, np.zeros(len(shapes))
    for _ in range(_REWEIGHTINGS):
        root = np.sqrt(mean)
        amounts = nnls((shapes / root).T, total / root)[0]
        mean = np.maximum(amounts @ shapes, 0.5)
    return amounts


def _information(shape: Image, others: Image, mean: Image) -> float:
    """Fisher information of the amount of a shape beside others of unknown amounts."""
    root = np.sqrt(mean)
    one, rest = shape / root, (others / root).T
    return float(np.sum((one - rest @ np.linalg.lstsq(rest, one, rcond=None)[0]) ** 2))


def _unlisted(model: SpectralModel, hats: Image, others: Mapping[str, Mapping[str, Lines]]) -> str | None:
    """The element whose hardest lines explain most of the residual; None if none explains enough.

    Softer lines overlap and are modelled worst: without the hard ones they are no evidence.
    """
    active = model.amounts > 0.0
    both = np.concatenate([model.family_shapes[active], hats])
    mean = np.maximum(model.amounts @ model.family_shapes + model.background, 0.5)
    root = np.sqrt(mean)
    basis, _ = np.linalg.qr((both / root).T)
    left = (model.total - mean) / root
    left = left - basis @ (basis.T @ left)
    gains: dict[str, float] = {}
    for element, families in others.items():
        rows = peaks(model.edges, {(element, name): lines for name, lines in families.items()}, model.calibration)
        columns = (rows / root).T
        columns = columns - basis @ (basis.T @ columns)
        norms = np.einsum("bk,bk->k", columns, columns)
        parts = np.maximum(columns.T @ left, 0.0) ** 2 / np.maximum(norms, 1e-12)
        hardest = max(range(len(rows)), key=lambda row: strongest(list(families.values())[row]))
        gains[element] = float(parts[hardest]) * (1.0 if element in _COMMON else _RARE)
    best = max(gains, key=lambda one: gains[one], default=None)
    least = max(_UNLISTED, _EXPLAINED * float(left @ left))
    return best if best is not None and gains[best] > least else None
