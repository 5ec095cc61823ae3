"""What sums over the image say of a state: the values of the terms, and the certificate, which is made of sums alone.

The columns are added up by the kernels, on the processor (`fusionkit.engines.cpu.tv_check`) or on a GPU
(`fusionkit.engines.gpu`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fusionkit.certificate import Certificate, relative_gap
from fusionkit.engines.kernel import PixelwiseSpec

# values of the pixelwise terms, each followed by the square of its gradient, and the ingredients of the certificate
COUPLED, POISSON, SQUARES, TV, TURN, SIZE, DUAL, OUTSIDE, INNER = 0, 2, 4, 6, 7, 8, 9, 10, 11
SUMS = 12


@dataclass(frozen=True)
class FastCheck:
    """What a check finds.

    Parameters
    ----------
    coupled, poisson, squares, tv : weighted values of the terms; 0 for a term that is not there.
    certificate : None where only one summand of the gradient is not zero, so that its scale is not among the sums
        (`fusionkit.certificate.certify` finds it).
    scale : what the alignment is relative to.
    """

    coupled: float
    poisson: float
    squares: float
    tv: float
    certificate: Certificate | None
    scale: float = 0.0


@dataclass(frozen=True)
class Sample:
    """What a look needs instead of a check.

    Parameters
    ----------
    every : only every so many rows are looked at.
    change : ||x+ - x|| / tau of the iteration before, over all rows, in place of ||x - clip(x - t r)|| / t: what is
        left of it near the end is at single pixels, which a sample would miss.
    """

    every: int
    change: float


def rows_apart(sample: Sample | None) -> int:
    """Every so many rows are looked at."""
    return 1 if sample is None else sample.every


def judged(sums: Sequence[float], spec: PixelwiseSpec, weight: float, away: Callable[[float], float]) -> FastCheck:
    """Values and certificate.

    Parameters
    ----------
    sums : over the image, SUMS of them.
    spec : the pixelwise terms.
    weight : of the total variation.
    away : the sum of (x - clip(x - t r))^2 for a step t; asked for only where a certificate can be given.
    """
    weights = [fit.weight if fit else 0.0 for fit in (spec.coupled, spec.poisson, spec.squares)]
    # a weight of 0 switches a term off, even where its value is infinite
    values = [w * sums[index] if w else 0.0 for w, index in zip(weights, (COUPLED, POISSON, SQUARES), strict=True)]
    tv = weight * sums[TV] if weight else 0.0
    certificate, scale = _certificate(sums, tv, away)
    return FastCheck(values[0], values[1], values[2], tv, certificate, scale)


def _certificate(sums: Sequence[float], tv: float, away: Callable[[float], float]) -> tuple[Certificate | None, float]:
    squares = [sums[index] for index in (COUPLED + 1, POISSON + 1, SQUARES + 1, TURN)]
    if squares.count(0.0) == len(squares) - 1:
        return None, 0.0
    size, slope = sums[SIZE] ** 0.5, sum(squares) ** 0.5
    length, scale = sums[DUAL] ** 0.5, slope * size
    feasibility = sums[OUTSIDE] ** 0.5 / length if length else 0.0
    alignment = relative_gap(tv - sums[INNER], scale)
    if slope == 0.0:
        return Certificate(0.0, alignment, feasibility), scale
    stationarity = away((size or 1.0) / slope) ** 0.5 / (size or 1.0)
    return Certificate(stationarity, alignment, feasibility), scale
