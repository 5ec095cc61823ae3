"""A loss of sums of all maps (`LossOfMixture`), compiled into Newton steps and checks.

Functions take a tuple of none or one `Mixture`. It uses rows 5 and 6 of the scratch ``rows`` in a Newton step.
"""

from typing import Any, NamedTuple

import numpy as np

from fusionkit.engines.cpu.compile import dot, inlined, read_only, total
from fusionkit.engines.cpu.scalars import curvature_of, each, in_dtype, slope_of, value_of
from fusionkit.engines.kernel_terms import PixelwiseSpec
from fusionkit.engines.sums import SUMS
from fusionkit.terms import Array


class Mixture(NamedTuple):
    """A `LossOfMixture` for the kernels, every number in the dtype of the unknown."""

    loss: Any
    weight: Any
    column: int  # of its sums
    matrix: Array
    sums: Array  # of the rows of the matrix
    data: Array
    background: Array


def mixture_of(spec: PixelwiseSpec, dtype: np.dtype[Any]) -> tuple[Mixture, ...]:
    """The mixture for the kernels; an empty tuple without one."""
    term = spec.mixture
    if term is None:
        return ()
    background = np.zeros_like(term.data) if term.background is None else term.background
    mixture = Mixture(
        in_dtype(term.loss, dtype),
        dtype.type(term.weight),
        SUMS + 2 * len(spec.others),
        read_only(term.matrix, dtype),
        read_only(np.asarray(term.matrix.sum(axis=1)), dtype),
        read_only(term.data, dtype),
        read_only(background, dtype),
    )
    return (mixture,)


@inlined
def _mean(mixture: Any, x: Any, c: int, mean: Any, elements: int, at: Any) -> None:
    """mean = sum_i M_ci x_i + B_c at a chunk."""
    j, first, m = at
    b = mixture.background[c, j, first : first + m]
    for k in range(m):
        mean[k] = b[k]
    for i in range(elements):
        share, xi = mixture.matrix[c, i], x[i]
        if share != 0:
            for k in range(m):
                mean[k] += share * xi[k]


@each
@inlined
def expand_mixture(mixture: Any, x: Any, g: Any, c: Any, elements: int, rows: Any, at: Any) -> None:
    """Add the gradient to g and the majorant of the curvature to c."""
    j, first, m = at
    mean, bend = rows[5], rows[6]
    for index in range(mixture.matrix.shape[0]):
        b = mixture.data[index, j, first : first + m]
        _mean(mixture, x, index, mean, elements, at)
        weight = mixture.weight
        width = mixture.weight * mixture.sums[index]
        for k in range(m):
            bend[k] = width * curvature_of(mixture.loss, mean[k], b[k])
            mean[k] = weight * slope_of(mixture.loss, mean[k], b[k])
        for i in range(elements):
            share, gi, ci = mixture.matrix[index, i], g[i], c[i]
            if share != 0:
                for k in range(m):
                    gi[k] += share * mean[k]
                    ci[k] += share * bend[k]


@each
@inlined
def change_mixture(mixture: Any, x: Any, new: Any, change: Any, before: Any, elements: int, rows: Any, at: Any) -> None:
    """Add the change of the term from x to ``new``, and the size of its former value."""
    j, first, m = at
    old, mean = rows[5], rows[6]
    for index in range(mixture.matrix.shape[0]):
        b = mixture.data[index, j, first : first + m]
        _mean(mixture, x, index, old, elements, at)
        _mean(mixture, new, index, mean, elements, at)
        for k in range(m):
            value = mixture.weight * value_of(mixture.loss, old[k], b[k])
            change[k] += mixture.weight * value_of(mixture.loss, mean[k], b[k]) - value
            before[k] += abs(value)


@each
@inlined
def bound_mixture(mixture: Any, x: Any, new: Any, change: Any, size: Any, elements: int, rows: Any, at: Any) -> None:
    """Add an upper bound of the change of the convex term: its slope at ``new`` times the move."""
    j, first, m = at
    old, mean = rows[5], rows[6]
    for index in range(mixture.matrix.shape[0]):
        b = mixture.data[index, j, first : first + m]
        _mean(mixture, x, index, old, elements, at)
        _mean(mixture, new, index, mean, elements, at)
        for k in range(m):
            part = mixture.weight * slope_of(mixture.loss, mean[k], b[k]) * (mean[k] - old[k])
            change[k] += part
            size[k] += abs(part)


@each
@inlined
def collect_mixture(mixture: Any, x: Any, slopes: Any, rows: Any, elements: int, sums: Any, at: Any) -> None:
    """Add the value of the term to the sums; ``slopes`` = w phi', a row for each datum of a pixel."""
    j, first, m = at
    value = rows[1]
    for index in range(mixture.matrix.shape[0]):
        b, slope = mixture.data[index, j, first : first + m], slopes[index]
        _mean(mixture, x, index, slope, elements, at)
        for k in range(m):
            value[k] = value_of(mixture.loss, slope[k], b[k])
        sums[mixture.column] += total(value, m)
        for k in range(m):
            slope[k] = mixture.weight * slope_of(mixture.loss, slope[k], b[k])


@each
@inlined
def pull_mixture(mixture: Any, r: Any, slopes: Any, i: int, rows: Any, sums: Any, m: int) -> None:
    """Add the gradient with respect to element i to r, and its square to the sums."""
    gradient = rows[0]
    for k in range(m):
        gradient[k] = mixture.weight - mixture.weight
    for index in range(mixture.matrix.shape[0]):
        share, slope = mixture.matrix[index, i], slopes[index]
        if share != 0:
            for k in range(m):
                gradient[k] += share * slope[k]
    for k in range(m):
        r[k] += gradient[k]
    sums[mixture.column + 1] += dot(gradient, gradient, m)
