"""Values of the terms and the certificate of an iterate, from sums over the image that kernels accumulate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fusionkit.certificate import Certificate, relative_gap, square_of_means, varying_length
from fusionkit.engines.kernel_terms import PixelwiseSpec

# columns: values of the pixelwise terms, each followed by the square of its gradient; then sums for the certificate
COUPLED, POISSON, SQUARES, TV, DUAL_GRADIENT, SIZE, DUAL, OUTSIDE, INNER = 0, 2, 4, 6, 7, 8, 9, 10, 11
SUMS = 12  # then value and squared gradient of each further loss of the maps, and of the mixture


@dataclass(frozen=True)
class Evaluation:
    """Values and certificate of an iterate."""

    values: tuple[float, ...]  # weighted values of the pixelwise terms, in the order of `PixelwiseSpec.weights`
    penalties: tuple[float, ...]  # weighted value of each penalty
    # None if only one summand of the gradient is not zero: the sums then lack its scale
    # (`fusionkit.certificate.certify` computes it)
    certificate: Certificate | None
    order: tuple[int, ...] = ()  # index of each pixelwise term of the problem in ``values``


@dataclass(frozen=True)
class Sample:
    """The rows that a sampled check evaluates."""

    stride: int  # distance between the rows
    # ||x+ - x|| / tau of the last iteration over all rows, in place of ||x - clip(x - t r)|| / t: near the solution
    # single pixels determine it, which a sample would miss
    change: float


def row_stride(sample: Sample | None) -> int:
    """The row stride; 1 without a sample."""
    return 1 if sample is None else sample.stride


@dataclass(frozen=True)
class PenaltySums:
    """What a penalty adds to values and certificate."""

    value: float  # weighted
    pull: float  # ||K'p||^2
    gap: float = 0.0  # g(y) - <proj(p), y> of a norm g
    feasibility: float = 0.0  # relative distance of p from the dual ball
    alignment: float = 0.0  # of a function that is no norm
    stationarity: float = 0.0  # of the auxiliary unknown


def norm_sums(sums: Sequence[float], weight: float) -> PenaltySums:
    """Those of TV from the sums over the image."""
    length, value = sums[DUAL] ** 0.5, weight * sums[TV] if weight else 0.0
    return PenaltySums(
        value, sums[DUAL_GRADIENT], value - sums[INNER], sums[OUTSIDE] ** 0.5 / length if length else 0.0
    )


def evaluation(
    sums: Sequence[float],
    spec: PixelwiseSpec,
    penalties: Sequence[PenaltySums],
    squared_move: Callable[[float], float],
    x: Any,
    stride: int,
) -> Evaluation:
    """Values and certificate.

    Parameters
    ----------
    sums : over the image, `SUMS` of them and two for each of ``spec.further``.
    spec : the pixelwise terms.
    penalties : what each penalty adds.
    squared_move : the sum of (x - clip(x - t r))^2 for a step t; called only for a certificate.
    x, stride : the iterate, and the distance between the rows that the sums are from.
    """
    columns = (COUPLED, POISSON, SQUARES, *range(SUMS, SUMS + 2 * len(spec.further), 2))
    # a weight of 0 switches a term off, even where its value is infinite
    values = tuple(w * sums[column] if w else 0.0 for w, column in zip(spec.weights, columns, strict=True))
    squares = [sums[column + 1] for column in columns]
    squares[3:3] = [one.pull for one in penalties]
    costs = tuple(one.value for one in penalties)
    if squares.count(0.0) == len(squares) - 1:
        return Evaluation(values, costs, None, spec.order)
    size, slope = sums[SIZE] ** 0.5, sum(squares) ** 0.5
    rows = x[:, stride // 2 :: stride]
    scale = slope * varying_length(sums[SIZE], square_of_means(rows) * x.size / rows.size)  # no K sees the means
    moved = squared_move((size or 1.0) / slope) ** 0.5 / (size or 1.0) if slope else 0.0
    certificate = Certificate(
        max(moved, *(one.stationarity for one in penalties)),
        max(max(relative_gap(one.gap, scale), one.alignment) for one in penalties),
        max(one.feasibility for one in penalties),
    )
    return Evaluation(values, costs, certificate, spec.order)
