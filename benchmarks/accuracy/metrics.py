r"""Errors of maps against the ground truth, per element, and of the composition.

A method may return maps in its own units. So for NRMSE, PSNR and SSIM each map is rescaled to fit the truth, by
:math:`\langle x, t \rangle / \langle x, x \rangle`, for every method. The composition is not rescaled: atomic fractions
:math:`f_j = \sum x_j / \sum_k \sum x_k` of a region, with equal counts per atom for all elements, as in the phantoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.report.metrics import nrmse, psnr, ssim
from fusionkit.terms import Array

Mask = npt.NDArray[np.bool_]
_RICH = 0.9  # of an element's greatest fraction: the limit of its region
_TRACE = 0.05  # smaller fractions are ignored
_MATTER = 0.05  # of the greatest density: pixels with less have no composition


@dataclass(frozen=True)
class Scores:
    """The errors of a method.

    Parameters
    ----------
    nrmse, psnr, ssim : of each element after rescaling; PSNR in dB.
    plain : NRMSE of each element without rescaling.
    stoichiometry : the largest relative error of an atomic fraction over the regions.
    composition : median over the pixels of the largest relative error of an atomic fraction.
    """

    nrmse: tuple[float, ...]
    psnr: tuple[float, ...]
    ssim: tuple[float, ...]
    plain: tuple[float, ...]
    stoichiometry: float
    composition: float

    @property
    def mean(self) -> float:
        """Mean NRMSE over the elements."""
        return float(np.mean(self.nrmse))

    def row(self) -> dict[str, Any]:
        """The numbers by name, for a file."""
        return {**vars(self), "mean": self.mean}


def rescaled(x: Array, truth: Array) -> Array:
    """Each map times the factor that fits it to the truth, shapes (n, ny, nx); an empty map stays."""
    x = np.asarray(x, np.float64)
    power = np.sum(x * x, axis=(1, 2))
    factors = np.sum(x * truth, axis=(1, 2)) / np.where(power > 0.0, power, 1.0)
    return x * factors[:, None, None]


def errors(x: Array, truth: Array) -> list[float]:
    """NRMSE of each element after rescaling."""
    return [nrmse(one, known) for one, known in zip(rescaled(x, truth), truth, strict=True)]


def mean_nrmse(x: Array, truth: Array) -> float:
    """Mean of `errors` over the elements; infinite for maps that are not finite."""
    return float(np.mean(errors(x, truth))) if np.isfinite(x).all() else float("inf")


def scores(x: Array, truth: Array) -> Scores:
    """All errors of maps (n, ny, nx)."""
    near = rescaled(x, truth)
    pairs = list(zip(near, truth, strict=True))
    return Scores(
        tuple(errors(x, truth)),
        tuple(psnr(one, known) for one, known in pairs),
        tuple(ssim(one[None], known[None]) for one, known in pairs),
        tuple(nrmse(one, known) for one, known in zip(x, truth, strict=True)),
        stoichiometry(x, truth),
        composition(x, truth),
    )


def fractions(x: Array) -> Array:
    """Atomic fractions along the first axis; 0 where there is no matter."""
    total = np.sum(x, axis=0, dtype=np.float64)
    return np.divide(x, total, out=np.zeros(x.shape), where=total > 0.0)


def matter(truth: Array) -> Mask:
    """Pixels that hold enough atoms for a composition, shape (ny, nx)."""
    total = np.asarray(np.sum(truth, axis=0))
    return total > _MATTER * total.max()


def regions(truth: Array) -> list[Mask]:
    """For each element the pixels where its fraction is at least nine tenths of its greatest."""
    where = matter(truth)
    share = fractions(truth)
    return [where & (one >= _RICH * one[where].max()) for one in share]


def stoichiometry(x: Array, truth: Array) -> float:
    """The largest relative error of an atomic fraction, over elements and the regions of `regions`."""
    worst = 0.0
    for region in regions(truth):
        found, known = (fractions(maps[:, region].sum(axis=1)) for maps in (np.asarray(x, np.float64), truth))
        counted = known > _TRACE
        worst = max(worst, float(np.max(np.abs(found - known)[counted] / known[counted])))
    return worst


def composition(x: Array, truth: Array) -> float:
    """Median over the pixels with matter of the largest relative error of an atomic fraction there."""
    where = matter(truth)
    found, known = fractions(np.asarray(x, np.float64)[:, where]), fractions(truth[:, where])
    error = np.abs(found - known) / np.maximum(known, _TRACE)
    return float(np.median(np.max(np.where(known > _TRACE, error, 0.0), axis=0)))
