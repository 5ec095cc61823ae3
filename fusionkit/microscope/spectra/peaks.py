r"""X-ray lines as a detector shows them, and their calibration by the sum of all spectra.

A line at the energy :math:`E_l` is a Gaussian of the detector's width. The share f of its counts lies in a tail towards
lower energies, :math:`e^{(E - E_l) / t}` below the line convolved with the Gaussian, since the detector does not
collect every charge. The energies E of the file become :math:`E_0 + g E + c\,e^{-E / \mathrm{keV}}`. The weights of a
family's lines are eXSpy's, each changed by a factor :math:`1 + \delta_l` with the prior
:math:`\delta_l \sim N(0, 0.2^2)`: tables of L and M lines differ by as much.

Source of the tail: J. L. Campbell, J. A. Maxwell, T. Papp, G. White, X-Ray Spectrom. 26, 223 (1997).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionkit.microscope.signals import Image
from fusionkit.microscope.spectra.lines import fwhm

Family = tuple[str, str]  # element and K, L or M
Lines = list[tuple[float, float]]  # energy in eV and weight
_SIGMA = 2.3548  # FWHM over standard deviation
_KEV = 1000.0  # eV
# standard deviations of the prior: of the offset in eV, the gain, the logarithm of the resolution, the bow in eV, the
# share of the tail and the logarithm of its length. Files of several makers are off by 26 to 36 eV
_PRIOR = np.array([40.0, 3e-3, 0.1, 20.0, 0.2, 0.5])
_FARTHEST, _STEP = 150.0, 30.0  # eV: offsets from which the search starts
_LENGTH = 70.0  # eV, of a tail
_TAIL = 0.05  # share with which the search starts
_EVIDENCE = 10.0  # by which minus the log posterior must fall before the calibration of the file is changed
_WEIGHTS = 0.2  # standard deviation of the prior of a line's weight, relative
_VISIBLE = 3.0  # standard errors from which a line's weight is fitted


@dataclass(frozen=True)
class Calibration:
    """True energies are ``offset + gain E + bow exp(-E / keV)`` for the energies E of the file, in eV."""

    # offset, gain, bow: in eV, but for the gain
    offset: float
    gain: float
    resolution: float  # the FWHM at Mn Ka in eV
    bow: float = 0.0
    tail: float = 0.0  # share of a line's counts in its tail
    length: float = _LENGTH  # of the tail in eV

    def shift(self, energy: Image | float) -> Any:
        """What is added to energies of the file, in eV, to give the true ones."""
        return self.offset + (self.gain - 1.0) * energy + self.bow * np.exp(-energy / _KEV)


def peaks(edges: Image, families: Mapping[Family, Lines], calibration: Calibration) -> Image:
    """Expected share of one count of each family between the edges, which are in eV of the file, (k, bins)."""
    result = np.zeros((len(families), edges.size - 1))
    for row, lines in zip(result, families.values(), strict=True):
        for energy, weight in lines:
            row += weight * _peak(edges, energy, calibration)
        row /= sum(weight for _, weight in lines) or 1.0  # eXSpy lists lines of weight 0
    return result


def _peak(edges: Image, energy: float, one: Calibration) -> Image:
    from scipy.special import ndtr

    away = edges + one.shift(edges) - energy
    sigma = fwhm(energy, one.resolution) / _SIGMA
    below = ndtr(away / sigma)  # the share of the counts below each edge
    if one.tail > 0.0:
        exponent = np.minimum(away / one.length + 0.5 * (sigma / one.length) ** 2, 600.0)  # beyond, ndtr is 0
        below = below + one.tail * np.exp(exponent) * ndtr(-away / sigma - sigma / one.length)
    return np.diff(below)


def calibrated(
    edges: Image, families: Mapping[Family, Lines], hats: Image, total: Image, start: Calibration
) -> Calibration:
    """The calibration with the greatest posterior; ``start`` unless another one is far better.

    Parameters
    ----------
    edges : of the bins, in eV of the file.
    families : in the sum.
    hats : parts of the background, (j, bins).
    total : counts of the sum, (bins,).
    start : by the file.
    """
    from scipy.ndimage import uniform_filter1d
    from scipy.optimize import least_squares, nnls

    root = np.sqrt(uniform_filter1d(total, 3, mode="nearest") + 1.0)

    def at(point: Image) -> Calibration:
        resolution, length = start.resolution * np.exp(point[2]), _LENGTH * np.exp(point[5])
        return Calibration(point[0], 1.0 + point[1], float(resolution), point[3], abs(point[4]), float(length))

    def residual(point: Image) -> Image:
        both = np.concatenate([peaks(edges, families, at(point)), hats]) / root
        amounts = nnls(both.T, total / root)[0]
        return np.append(amounts @ both - total / root, point / _PRIOR)

    origin = np.zeros(len(_PRIOR))
    if not families or total.sum() == 0.0:
        return start
    offsets = np.arange(-_FARTHEST, _FARTHEST + 1.0, _STEP)
    starts = [np.array([offset, *origin[1:]]) for offset in offsets]
    first = min(starts, key=lambda point: float(np.sum(residual(point) ** 2)))
    first[4] = _TAIL
    best = least_squares(residual, first, x_scale=_PRIOR, diff_step=1e-3, xtol=1e-3, ftol=1e-4, max_nfev=15)
    gained = float(np.sum(residual(origin) ** 2)) / 2.0 - best.cost
    return at(best.x) if gained > _EVIDENCE else start


def with_weights(
    edges: Image,
    table: Mapping[Family, Lines],
    hats: Image,
    total: Image,
    calibration: Calibration,
    amounts: Image,
    mean: Image,
) -> dict[Family, Lines]:
    """The families with the weights of their lines that have the greatest posterior; those of faint lines stay.

    Parameters
    ----------
    edges, hats, total, calibration : as for `calibrated`.
    table : the families with the weights of the table.
    amounts : counts of the families by a former fit, (k,).
    mean : counts of the sum by the same, (bins,).
    """
    from scipy.optimize import nnls

    both = np.concatenate([peaks(edges, table, calibration), hats])
    root = np.sqrt(np.maximum(mean, 0.5))
    own = [(family, index) for family, lines in table.items() for index in range(len(lines)) if len(lines) > 1]
    if not own:
        return dict(table)
    alone = {(family[0], f"{family[1]}{index}"): [table[family][index]] for family, index in own}
    shares = [table[family][index][1] / sum(weight for _, weight in table[family]) for family, index in own]
    counts = amounts[[list(table).index(family) for family, _ in own]] * shares
    columns = counts[:, None] * peaks(edges, alone, calibration) / root
    seen = np.flatnonzero(np.sum(columns**2, axis=1) > _VISIBLE**2)
    changes = np.concatenate([columns[seen], -columns[seen]])
    prior = np.concatenate([np.zeros((len(both), len(seen))), np.eye(len(seen)), -np.eye(len(seen))]) / _WEIGHTS
    system = np.concatenate([np.concatenate([both / root, changes]), prior], axis=1).T
    parts = nnls(system, np.append(total / root, np.zeros(len(seen))))[0][len(both) :]
    result = {family: list(lines) for family, lines in table.items()}
    for place, change in zip(seen, parts[: len(seen)] - parts[len(seen) :], strict=True):
        family, index = own[place]
        energy, weight = table[family][index]
        result[family][index] = energy, weight * max(1.0 + float(change), 0.0)
    return {
        family: lines if any(weight > 0.0 for _, weight in lines) else list(table[family])
        for family, lines in result.items()
    }
