r"""Objective and certificate of pixelwise terms and total generalised variation, compiled.

The first two dual components are those of a gradient, so `fusionkit.engines.cpu.tv_check` computes the pixelwise terms,
K'p and stationarity. TGV adds its value, alignment and feasibility, and the stationarity of the field w.
`fusionkit.certificate` defines them. Sums are accumulated in float64 for each row and added in a fixed order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionkit.engines.cpu.compile import CHUNK, dot, inlined, kernel, read_only, scratch, total
from fusionkit.engines.cpu.scalars import ours
from fusionkit.engines.cpu.second_order import field_pull, images, scales, squares
from fusionkit.engines.cpu.threads import run, spread
from fusionkit.engines.cpu.tv_check import TVCheck, summed
from fusionkit.engines.kernel_terms import PixelwiseSpec, TotalGeneralisedVariation, TotalVariation
from fusionkit.engines.sums import DUAL_GRADIENT, Evaluation, PenaltySums, Sample, row_stride
from fusionkit.terms import Array

# sums of a row: the two norms, ||p||^2, ||p - proj(p)||^2, <proj(p), y>, ||A'p||^2
_FIRST, _SECOND, _DUAL, _OUTSIDE, _INNER, _FIELD = range(6)


@inlined
def _compare(p: Any, image: Any, scale: Any, i: int, c: int, rows: Any, sums: Any, one: Any, at: Any) -> None:
    """Add ||p||^2, ||p - proj(p)||^2 and <proj(p), y> of one component of one map."""
    j, first, m = at
    old, out = p[c, i, j, first : first + m], rows[0]
    y, inner = image[i], rows[1]
    for k in range(m):
        out[k] = (one - scale[k]) * old[k]
        inner[k] = (scale[k] * old[k]) * y[k]
    sums[_DUAL] += dot(old, old, m)
    sums[_OUTSIDE] += dot(out, out, m)
    sums[_INNER] += total(inner, m)


@inlined
def _lengths(totals: Any, sums: Any, at: int, m: int) -> None:
    """Add the lengths whose squares are ``totals``."""
    for k in range(m):
        totals[k] = np.sqrt(totals[k])
    sums[at] += total(totals, m)


@kernel
def _collect(x: Any, w: Any, p: Any, zeros: Any, numbers: Any, joint: bool, table: Any, span: Any) -> None:
    n, nx = x.shape[0], x.shape[2]
    first_radius, second_radius, half, zero, one = numbers
    group = (scratch(x), scratch(x), scratch(x), scratch(x), scratch(x))
    duals = (scratch(x), scratch(x), scratch(x), scratch(x), scratch(x))
    norms, first_scales, second_scales, rows = scratch(x), scratch(x), scratch(x), scratch(x)
    for j in range(span[0], span[1], span[2]):
        sums = table[j]
        sums[:] = 0.0
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            at = (j, first, m)
            for i in range(n):
                place, fresh = (0, i == 0) if joint else (i, True)
                images(x, w, i, group, rows, half, at)
                for c in range(5):
                    old, copied = p[c, i, j, first : first + m], duals[c][i]
                    for k in range(m):
                        copied[k] = old[k]
                squares((duals[0], duals[1]), i, 2, first_scales[place], fresh, zero, m)
                squares((duals[2], duals[3], duals[4]), i, 3, second_scales[place], fresh, zero, m)
                squares((group[0], group[1]), i, 2, norms[0], fresh, zero, m)
                squares((group[2], group[3], group[4]), i, 3, norms[1], fresh, zero, m)
                if not joint or i == n - 1:
                    _lengths(norms[0], sums, _FIRST, m)
                    _lengths(norms[1], sums, _SECOND, m)
                field_pull(p, zeros, i, rows, half, at)
                sums[_FIELD] += dot(rows[0], rows[0], m) + dot(rows[1], rows[1], m)
            for place in range(1 if joint else n):
                scales(first_scales[place], first_radius, one, m)
                scales(second_scales[place], second_radius, one, m)
            for i in range(n):
                place = 0 if joint else i
                _compare(p, group[0], first_scales[place], i, 0, rows, sums, one, at)
                _compare(p, group[1], first_scales[place], i, 1, rows, sums, one, at)
                _compare(p, group[2], second_scales[place], i, 2, rows, sums, one, at)
                _compare(p, group[3], second_scales[place], i, 3, rows, sums, one, at)
                _compare(p, group[4], second_scales[place], i, 4, rows, sums, one, at)


class TGVCheck:
    """Checks of iterates of one shape.

    Parameters
    ----------
    spec : the pixelwise terms with the bounds.
    penalty : the total generalised variation.
    shape : of the unknown, (n, ny, nx).
    dtype : float32 or float64.
    newton_steps : Newton steps of the joint prox in each iteration.
    former : engine with other parameters of the terms, whose memory is reused.
    threads : number of threads; None for `fusionkit.engines.cpu.threads.thread_count`.
    """

    def __init__(
        self,
        spec: PixelwiseSpec,
        penalty: TotalGeneralisedVariation,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        newton_steps: int = 1,
        former: TGVCheck | None = None,
        threads: int | None = None,
    ) -> None:
        self.spec, self.penalty, self.shape, self.dtype = spec, penalty, shape, np.dtype(dtype)
        # checks the pixelwise terms with the dual components of the gradient
        before = None if former is None else former.plain
        self.plain = TVCheck(spec, TotalVariation(0.0), shape, dtype, newton_steps, before, threads)
        self.extrapolated = None if former is None else former.extrapolated  # 2 p~ - p of an iteration
        self.shares, self.is_kept = self.plain.shares, ours(spec)
        self._table = np.empty((shape[1], 6), np.float64)
        self._zeros = read_only(np.zeros(shape[2]), self.dtype)

    def check(
        self, x: Array, auxiliary: Sequence[Array], duals: Sequence[Array], sample: Sample | None = None
    ) -> Evaluation:
        """As `fusionkit.engines.engine.Engine`; w has the shape (2, n, ny, nx), p (5, n, ny, nx)."""
        sums, costs = self.collect(x, auxiliary, duals, sample)
        return self.plain.evaluate(x, sums, (costs,), sample)

    def collect(
        self, x: Array, auxiliary: Sequence[Array], duals: Sequence[Array], sample: Sample | None = None
    ) -> tuple[list[float], PenaltySums]:
        """As `TVCheck.collect`, with r in the memory of `plain`."""
        number, penalty = self.dtype.type, self.penalty
        plain = self.plain.sums(x, duals[0][:2], sample)
        x, w, p = (read_only(one, self.dtype) for one in (x, auxiliary[0], duals[0]))
        radii = number(penalty.weight), number(penalty.weight * penalty.ratio)
        numbers = (*radii, number(0.5**0.5), number(0), number(1))
        fixed = (x, w, p, self._zeros, numbers, penalty.joint, self._table)
        spans = spread(self.shares, row_stride(sample))
        run(_collect.kept, [(*fixed, span) for span in spans])
        sums = summed(self._table, spans[0])
        value = penalty.weight * (sums[_FIRST] + penalty.ratio * sums[_SECOND])
        value = value if penalty.weight else 0.0
        length = sums[_DUAL] ** 0.5
        costs = PenaltySums(
            value,
            plain[DUAL_GRADIENT],
            value - sums[_INNER],
            sums[_OUTSIDE] ** 0.5 / length if length else 0.0,
            stationarity=sums[_FIELD] ** 0.5 / (penalty.field_norm * length) if length else 0.0,
        )
        return plain, costs

    @property
    def memory(self) -> tuple[Array, Array]:
        """As `TVCheck`."""
        return self.plain.memory
