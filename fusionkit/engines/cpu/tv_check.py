r"""Objective and certificate of pixelwise terms and total variation, compiled, in two passes.

The first pass computes the value of every term, the sums of `fusionkit.certificate`, which defines them, and the
residual r = grad f + K'p. The second one measures stationarity, whose step depends on the sums. Every sum is
accumulated in float64 for each row, and the rows are added in a fixed order, so that threads do not change a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionkit.certificate import LEAST_IMAGE
from fusionkit.engines.cpu.compile import (
    CHUNK,
    copy,
    couplings,
    dot,
    inlined,
    kernel,
    read_only,
    scratch,
    total,
)
from fusionkit.engines.cpu.differences import differences, factors_of, field_of, project_out, pull
from fusionkit.engines.cpu.joint_prox import fit_of
from fusionkit.engines.cpu.mixture import collect_mixture, pull_mixture
from fusionkit.engines.cpu.newton import predict
from fusionkit.engines.cpu.scalars import collect_chains, collect_others, ours, pull_chains
from fusionkit.engines.cpu.threads import run, shares, spread, thread_count
from fusionkit.engines.kernel_terms import PixelwiseSpec, TotalVariation
from fusionkit.engines.losses import log
from fusionkit.engines.sums import (
    COUPLED,
    DUAL,
    DUAL_GRADIENT,
    INNER,
    OUTSIDE,
    POISSON,
    SIZE,
    SQUARES,
    SUMS,
    TV,
    Evaluation,
    PenaltySums,
    Sample,
    evaluation,
    norm_sums,
    row_stride,
)
from fusionkit.terms import Array


@inlined
def _coupled(prediction: Any, residual: Any, rows: Any, fit: Any, sums: Any, at: Any) -> None:
    """Add the value of the coupled term to the sums; ``residual`` = w (m - b)."""
    j, first, m = at
    image, value = fit.image[j, first : first + m], rows[0]
    for k in range(m):
        off = prediction[k] - (prediction[k] if np.isnan(image[k]) else image[k])
        residual[k] = fit.coupled_weight * off
        value[k] = fit.half * (off * off)
    sums[COUPLED] += total(value, m)


@inlined
def _gradients(
    xi: Any, y: Any, i: int, r: Any, residual: Any, slopes: Any, rows: Any, fit: Any, sums: Any, at: Any
) -> None:
    """Add the gradients of the terms for one map to r, and their values and squares to the sums."""
    j, first, m = at
    slope, value = rows[0], rows[1]
    zero, one = fit.zero, fit.one
    if fit.power:
        factor, yi = fit.gamma * fit.z[i], y[i]
        for k in range(m):
            slope[k] = residual[k] * (factor * yi[k])
            r[k] += slope[k]
        sums[COUPLED + 1] += dot(slope, slope, m)
    if fit.poisson:
        b = fit.counts[i, j, first : first + m]
        for k in range(m):
            mean = xi[k] + fit.epsilon
            outside = (mean < zero) | ((mean == zero) & (b[k] > zero))
            slope[k] = one - b[k] / (fit.mean_floor if mean < fit.mean_floor else mean)
            slope[k] = fit.poisson_weight * (zero if np.isnan(b[k]) else slope[k])
            r[k] += slope[k]
            logarithm = log(fit.tiny if mean < fit.tiny else mean)
            value[k] = fit.infinite if outside else xi[k] - b[k] * logarithm
            value[k] = zero if np.isnan(b[k]) else value[k]
        sums[POISSON] += total(value, m)
        sums[POISSON + 1] += dot(slope, slope, m)
    if fit.squares:
        t = fit.targets[i, j, first : first + m]
        for k in range(m):
            off = xi[k] - (xi[k] if np.isnan(t[k]) else t[k])
            value[k] = fit.half * (off * off)
            slope[k] = fit.squares_weight * off
            r[k] += slope[k]
        sums[SQUARES] += total(value, m)
        sums[SQUARES + 1] += dot(slope, slope, m)
    pull_chains(fit.chains, r, y, i, rows, fit.elements, sums, m)
    collect_others(fit.others, xi, r, i, rows, sums, at)
    pull_mixture(fit.mixture, r, slopes, i, rows, sums, m)


@inlined
def _joint_sums(x: Any, p: Any, down: Any, right: Any, duals: Any, weight: Any, fit: Any, sums: Any, at: Any) -> None:
    """As `_dual_sums`, for all maps in a joint dual ball; ``weight`` is (radii, xi)."""
    j, first, m = at
    radii, xi = weight
    radius = radii[0]
    length, outside, inner, square = duals[0], duals[1], duals[2], duals[3]
    for k in range(m):
        length[k] = fit.zero
        inner[k] = fit.zero
        square[k] = fit.zero
    for i in range(x.shape[0]):
        differences(x[i], down, right, at)
        project_out(down, right, xi, at)
        a, b = p[0, i, j, first : first + m], p[1, i, j, first : first + m]
        for k in range(m):
            length[k] += down[k] * down[k] + right[k + 1] * right[k + 1]
            square[k] += a[k] * a[k] + b[k] * b[k]
            inner[k] += a[k] * down[k] + b[k] * right[k + 1]
    for k in range(m):
        length[k] = np.sqrt(length[k])
        size = np.sqrt(square[k])
        over = size > radius
        inner[k] *= radius / size if over else fit.one
        excess = size - radius
        outside[k] = excess * excess if over else fit.zero
    sums[TV] += total(length, m)
    sums[DUAL] += total(square, m)
    sums[OUTSIDE] += total(outside, m)
    sums[INNER] += total(inner, m)


@inlined
def _pulled_back(p: Any, i: int, above: Any, down: Any, right: Any, spare: Any, xi: Any, at: Any) -> None:
    """D p of a chunk of map i in place of p = (down, right[1:]), its left neighbour in right[0], the upper in above."""
    j, first, m = at
    project_out(down, right, xi, at)
    if j > 0:
        copy(p[0, i, j - 1, first : first + m], above, m)
        copy(p[1, i, j - 1, first : first + m], spare[1:], m)
        project_out(above, spare, xi, (j - 1, first, m))
    if first > 0:
        a, b = xi[0, j, first - 1], xi[1, j, first - 1]
        right[0] -= b * (a * p[0, i, j, first - 1] + b * right[0])


@inlined
def _dual_sums(
    p_down: Any, p_right: Any, down: Any, right: Any, duals: Any, weight: Any, fit: Any, sums: Any, at: Any
) -> None:
    """Add the sums of a chunk of one map with the differences (down, right[1:]), and overwrite these with p.

    ``weight`` is the radius of the map's dual ball, and its factor.
    """
    j, first, m = at
    radius, factor = weight
    length, outside, inner, square = duals[0], duals[1], duals[2], duals[3]
    a, b = p_down[j, first : first + m], p_right[j, first : first + m]
    # a checked p is in the ball up to rounding, so roots and quotients are rarely needed
    limit = radius * radius * (fit.one + fit.rounding)
    for k in range(m):
        length[k] = np.sqrt(down[k] * down[k] + right[k + 1] * right[k + 1])
        square[k] = a[k] * a[k] + b[k] * b[k]
        inner[k] = a[k] * down[k] + b[k] * right[k + 1]
        outside[k] = fit.one if square[k] > limit else fit.zero
        down[k] = a[k]
        right[k + 1] = b[k]
    if total(outside, m) > 0.0:
        for k in range(m):
            size = np.sqrt(square[k])
            over = size > radius
            inner[k] *= radius / size if over else fit.one
            excess = size - radius
            outside[k] = excess * excess if over else fit.zero
        sums[OUTSIDE] += total(outside, m)
    sums[TV] += factor * total(length, m)
    sums[DUAL] += total(square, m)
    sums[INNER] += total(inner, m)


@inlined
def _other_sums(p: Any, i: int, down: Any, right: Any, duals: Any, weights: Any, fit: Any, sums: Any, at: Any) -> None:
    """As `_dual_sums` for anisotropic TV, or Huber's; of the latter, INNER and OUTSIDE add up other squares.

    These are ||y||^2 and ||y - prox_sg(y + s p)||^2, with s in ``weights``.
    """
    j, first, m = at
    radius, smoothing, step = weights[0][i], weights[2], weights[3]
    length, outside, inner, square = duals[0], duals[1], duals[2], duals[3]
    a, b = p[0, i, j, first : first + m], p[1, i, j, first : first + m]
    for k in range(m):
        u, v = down[k], right[k + 1]
        square[k] = a[k] * a[k] + b[k] * b[k]
        if smoothing > 0:
            inner[k] = u * u + v * v
            size = np.sqrt(inner[k])
            near = smoothing if size > smoothing else size
            length[k] = fit.half * near * (near / smoothing) + (size - near)
            over_u, over_v, shorter = u + step * a[k], v + step * b[k], step * radius
            size = np.sqrt(over_u * over_u + over_v * over_v)
            scale = fit.one - shorter / (size if size > shorter + smoothing else shorter + smoothing)
            u, v = u - scale * over_u, v - scale * over_v
        else:
            length[k] = abs(u) + abs(v)
            near_a, near_b = min(max(a[k], -radius), radius), min(max(b[k], -radius), radius)
            inner[k] = near_a * u + near_b * v
            u, v = a[k] - near_a, b[k] - near_b
        outside[k] = u * u + v * v
        down[k] = a[k]
        right[k + 1] = b[k]
    sums[TV] += total(length, m)
    sums[DUAL] += total(square, m)
    sums[OUTSIDE] += total(outside, m)
    sums[INNER] += total(inner, m)


@kernel
def _collect(
    x: Any, p: Any, zeros: Any, residuals: Any, fit: Any, field: Any, weights: Any, table: Any, span: Any
) -> None:
    n, ny, nx = x.shape
    point, y, rows, duals = scratch(x), couplings(x), scratch(x), scratch(x)
    prediction, residual, down, right, pulled = rows[2], rows[3], rows[4], rows[5], rows[6]
    higher, spare, slopes = scratch(x)[0], scratch(x)[0], scratch(x)
    for j in range(span[0], span[1], span[2]):
        sums = table[j]
        sums[:] = 0.0
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            at = (j, first, m)
            for i in range(n):
                copy(x[i, j, first : first + m], point[i], m)
            collect_chains(fit.chains, point, y, rows, n, sums, at)
            collect_mixture(fit.mixture, point, slopes, rows, n, sums, at)
            if fit.power:
                predict(point, y, prediction, fit, m)
                _coupled(prediction, residual, rows, fit, sums, at)
            if field is not None and field[1]:
                _joint_sums(x, p, down, right, duals, (weights[0], field[0]), fit, sums, at)
            for i in range(n):
                above = p[0, i, j - 1] if j > 0 else zeros
                weight = weights[0][i], weights[1][i]
                if field is None:
                    differences(x[i], down, right, at)
                    _dual_sums(p[0, i], p[1, i], down, right, duals, weight, fit, sums, at)
                    right[0] = p[1, i, j, first - 1] if first > 0 else fit.zero
                    pull(above[first : first + m], down, right, pulled, (ny, nx), at)
                else:
                    if field[1]:
                        copy(p[0, i, j, first : first + m], down, m)
                        copy(p[1, i, j, first : first + m], right[1:], m)
                    else:
                        differences(x[i], down, right, at)
                        project_out(down, right, field[0], at)
                        if weights[2] < 0:
                            _dual_sums(p[0, i], p[1, i], down, right, duals, weight, fit, sums, at)
                        else:
                            _other_sums(p, i, down, right, duals, weights, fit, sums, at)
                    copy(above[first : first + m], higher, m)
                    right[0] = p[1, i, j, first - 1] if first > 0 else fit.zero
                    if field[0].shape[1] > 0:
                        _pulled_back(p, i, higher, down, right, spare, field[0], at)
                    pull(higher, down, right, pulled, (ny, nx), at)
                sums[DUAL_GRADIENT] += dot(pulled, pulled, m)
                sums[SIZE] += dot(point[i], point[i], m)
                _gradients(point[i], y, i, pulled, residual, slopes, rows, fit, sums, at)
                copy(pulled, residuals[i, j, first : first + m], m)


@kernel
def _stationarity(x: Any, residuals: Any, step: Any, bounds: Any, table: Any, span: Any) -> None:
    """The sum over each row of (x - clip(x - step r))^2."""
    n, nx = x.shape[0], x.shape[2]
    lower, upper = bounds
    away = scratch(x)[0]
    for j in range(span[0], span[1], span[2]):
        total = 0.0
        for i in range(n):
            for first in range(0, nx, CHUNK):
                m = min(CHUNK, nx - first)
                xi, ri = x[i, j, first : first + m], residuals[i, j, first : first + m]
                for k in range(m):
                    moved = xi[k] - step * ri[k]
                    moved = lower if moved < lower else moved
                    moved = upper if moved > upper else moved
                    away[k] = xi[k] - moved
                total += dot(away, away, m)
        table[j, 0] = total


def summed(table: Array, span: tuple[int, int, int]) -> list[float]:
    """The column sums of the rows' sums (ny, columns), extrapolated from the rows of a sample."""
    rows = table[span[0] :: span[2]]
    return (rows.sum(axis=0) * (len(table) / len(rows))).tolist()


class TVCheck:
    """Checks of iterates of one shape.

    Parameters
    ----------
    spec : the pixelwise terms with the bounds.
    penalty : the total variation.
    shape : of the unknown, (n, ny, nx).
    dtype : float32 or float64.
    newton_steps : Newton steps of the joint prox in each iteration.
    former : engine with other parameters of the terms, whose memory is reused.
    threads : number of threads; None for `fusionkit.engines.cpu.threads.thread_count`.
    """

    def __init__(
        self,
        spec: PixelwiseSpec,
        penalty: TotalVariation,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        newton_steps: int = 1,
        former: TVCheck | None = None,
        threads: int | None = None,
    ) -> None:
        self.spec, self.penalty, self.shape = spec, penalty, shape
        self.dtype, self.newton_steps = np.dtype(dtype), newton_steps
        self.fit, self.field = fit_of(spec, shape, self.dtype), field_of(penalty, self.dtype)
        self.factors = factors_of(penalty, shape[0], self.dtype)
        self.radii = read_only(self.factors * self.dtype.type(penalty.weight), self.dtype)
        self.shares = shares(shape[1], thread_count(threads))
        self.is_kept = ours(spec)  # whether the kernels are cached on disk
        self._zeros = read_only(np.zeros(shape[2]), self.dtype)
        # sums of the rows and residual, kept from the first check on: fresh memory costs more than the writes to it
        self._memory: tuple[Array, Array] | None = None if former is None else former._memory

    @property
    def memory(self) -> tuple[Array, Array]:
        """Sums of the rows and an array like x, which hold between two calls only."""
        if self._memory is None:
            self._memory = (
                np.empty((self.shape[1], SUMS + 2 * len(self.spec.further))),
                np.empty(self.shape, self.dtype),
            )
        return self._memory

    def check(
        self, x: Array, auxiliary: Sequence[Array], duals: Sequence[Array], sample: Sample | None = None
    ) -> Evaluation:
        """As `fusionkit.engines.engine.Engine`; p has the shape (2, n, ny, nx)."""
        sums, costs = self.collect(x, auxiliary, duals, sample)
        return self.evaluate(x, sums, (costs,), sample)

    def collect(
        self, x: Array, auxiliary: Sequence[Array], duals: Sequence[Array], sample: Sample | None = None
    ) -> tuple[list[float], PenaltySums]:
        """The sums over the image, and what the penalty adds; r = grad f(x) + K'p is in `memory` until the next call.

        Parameters
        ----------
        x, auxiliary, duals : the iterate, C-contiguous.
        sample : rows to evaluate, for an estimate; None for all.
        """
        sums, tv = self.sums(x, duals[0], sample), self.penalty
        if not tv.smoothing:
            return sums, norm_sums(sums, tv.weight)
        length = max(sums[INNER] ** 0.5, LEAST_IMAGE * tv.norm * sums[SIZE] ** 0.5) or 1.0
        apart = self.sums(x, duals[0], sample, length / (sums[DUAL] ** 0.5 or 1.0))[OUTSIDE] ** 0.5
        return sums, PenaltySums(tv.weight * sums[TV], sums[DUAL_GRADIENT], alignment=apart / length)

    def sums(self, x: Array, p: Array, sample: Sample | None, step: float = 0.0) -> list[float]:
        """The sums over the image; ``step`` is s of `_other_sums`."""
        number, tv, (table, residual) = self.dtype.type, self.penalty, self.memory
        x, p = read_only(x, self.dtype), read_only(p, self.dtype)
        weights = self.radii, self.factors, number(-1.0 if tv.isotropic else tv.smoothing), number(step)
        arguments = (x, p, self._zeros, residual, self.fit, self.field, weights, table)
        spans = spread(self.shares, row_stride(sample))
        run(_collect[self.is_kept], [(*arguments, span) for span in spans])
        return summed(table, spans[0])

    def evaluate(
        self, x: Array, sums: Sequence[float], penalties: Sequence[PenaltySums], sample: Sample | None
    ) -> Evaluation:
        """Values and certificate, from `collect` with r in `memory`."""
        number, (table, residual) = self.dtype.type, self.memory

        def squared_move(step: float) -> float:
            if sample is not None:
                return (sample.change * step) ** 2
            bounds = number(self.spec.lower), number(self.spec.upper)
            arguments = (read_only(x, self.dtype), read_only(residual, self.dtype), number(step), bounds, table)
            run(_stationarity.kept, [(*arguments, span) for span in spread(self.shares, 1)])
            return float(table[:, 0].sum())

        return evaluation(sums, self.spec, penalties, squared_move, x, row_stride(sample))
