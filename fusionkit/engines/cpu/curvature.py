"""The dual step and check of a penalty of the Laplacian L = L', defined by `fusionkit.operators.linear.laplacian`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionkit.certificate import LEAST_IMAGE, inner, norm
from fusionkit.engines.cpu.compile import CHUNK, inlined, kernel, read_only, scratch
from fusionkit.engines.cpu.differences import clip
from fusionkit.engines.cpu.threads import run, shares, spread, thread_count
from fusionkit.engines.kernel_terms import Curvature, PixelwiseSpec
from fusionkit.engines.sums import PenaltySums, Sample, row_stride
from fusionkit.terms import Array, Arrays


@inlined
def laplace(x: Any, out: Any, at: Any) -> None:
    """out = L x at a chunk of one map: the sum of the differences to the neighbours."""
    j, first, m = at
    ny, nx = x.shape
    here, above = x[j, first : first + m], x[max(j - 1, 0), first : first + m]
    below = x[min(j + 1, ny - 1), first : first + m]
    for k in range(m):
        out[k] = (above[k] - here[k]) + (below[k] - here[k])
    start = 0 if first > 0 else 1
    left = x[j, first + start - 1 : first + m - 1]
    for k in range(m - start):
        out[k + start] += left[k] - here[k + start]
    inner = min(m, nx - 1 - first)
    right = x[j, first + 1 : first + 1 + inner]
    for k in range(inner):
        out[k] += right[k] - here[k]


@kernel
def _laplacian(x: Any, out: Any, more: bool, span: Any) -> None:
    """out = L x at the rows, or ``more``."""
    n, nx = x.shape[0], x.shape[2]
    row = scratch(x)[0]
    for j in range(span[0], span[1], span[2]):
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            for i in range(n):
                laplace(x[i], row, (j, first, m))
                to = out[i, j, first : first + m]
                for k in range(m):
                    to[k] = row[k] + (to[k] if more else row[k] - row[k])


@kernel
def _dual(x: Any, p: Any, s: Any, numbers: Any, row: int, end: int) -> None:
    """The dual step of rows, in place; ``s`` becomes 2 p~ - p."""
    n, nx = x.shape[0], x.shape[2]
    sigma, radius, shrink, ahead, behind = numbers
    new = scratch(x)[0]
    for j in range(row, end):
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            for i in range(n):
                laplace(x[i], new, (j, first, m))
                old, over = p[i, j, first : first + m], s[i, j, first : first + m]
                for k in range(m):
                    new[k] = (old[k] + sigma * new[k]) * shrink
                clip(new, radius, m)
                for k in range(m):
                    before = old[k]
                    over[k] = (new[k] - before) + new[k]
                    old[k] = behind * before + ahead * new[k]


class CurvatureEngine:
    """A part of `fusionkit.engines.cpu.several.SeveralEngine` that never leads; parameters as `TVEngine`."""

    def __init__(
        self,
        spec: PixelwiseSpec,
        penalty: Curvature,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        newton_steps: int = 1,
        former: CurvatureEngine | None = None,
    ) -> None:
        self.penalty, self.dtype, self.shares = penalty, np.dtype(dtype), shares(shape[1], thread_count())
        # L x, and L p or 2 p~ - p
        self.memory = (np.empty(shape, dtype), np.empty(shape, dtype)) if former is None else former.memory

    def step(
        self,
        x: Array,
        auxiliary: Sequence[Array],
        duals: Sequence[Array],
        steps: Sequence[float],
        relaxation: float,
        boost: Array | None,
        pulls: Array,
        lead: bool,
    ) -> tuple[Array, Arrays]:
        """As `fusionkit.engines.cpu.tv.TVEngine`."""
        (p,), sigma, weight, over = duals, steps[1], self.penalty.weight, self.memory[1]
        radius, shrink = (np.inf, weight / (weight + sigma)) if self.penalty.squared else (weight, 1.0)
        numbers = tuple(self.dtype.type(one) for one in (sigma, radius, shrink, relaxation, 1.0 - relaxation))
        run(_dual.kept, [(read_only(x, self.dtype), p, over, numbers, *rows) for rows in self.shares])
        run(_laplacian.kept, [(read_only(over, self.dtype), pulls, True, (*rows, 1)) for rows in self.shares])
        return x, (p,)

    def collect(
        self, x: Array, auxiliary: Sequence[Array], duals: Sequence[Array], sample: Sample | None
    ) -> tuple[list[float], PenaltySums]:
        """As `TVCheck`, in NumPy but for the Laplacian."""
        (y, pull), penalty, spans = self.memory, self.penalty, spread(self.shares, row_stride(sample))
        for of, to in ((x, y), (duals[0], pull)):
            run(_laplacian.kept, [(read_only(of, self.dtype), to, False, span) for span in spans])
        rows = slice(spans[0][0], None, spans[0][2])
        x, p, y, pull = (np.ascontiguousarray(one[:, rows]) for one in (x, duals[0], y, pull))
        share = len(self.memory[0][0]) / x.shape[1]  # all rows over those of a sample
        length, square = norm(p), share * inner(pull, pull)
        if not penalty.squared:
            near = np.clip(p, -penalty.weight, penalty.weight)
            value = penalty.weight * float(np.abs(y).sum(dtype=np.float64))
            gap, outside = value - inner(near, y), norm(near - p) / length if length else 0.0
            return [], PenaltySums(share * value, square, share * gap, outside)
        image = max(norm(y), LEAST_IMAGE * penalty.norm * norm(x)) or 1.0
        weight, step = penalty.weight, image / (length or 1.0)
        apart = step * norm(weight * y - p) / (1.0 + step * weight) / image
        return [], PenaltySums(share * 0.5 * weight * inner(y, y), square, alignment=apart)
