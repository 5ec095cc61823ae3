r"""One iteration of Chambolle and Pock's algorithm for pixelwise terms and total variation, in one pass over memory.

.. math::
    p &\leftarrow \mathrm{proj}_{\|p\| \le \lambda}(p + \sigma \nabla \bar x), \qquad
    x^+ = \mathrm{prox}_{\tau G}(x + \tau\,\mathrm{div}\,p), \qquad \bar x = 2 x^+ - x

The dual step at a row needs :math:`\bar x` at this row and the next, the primal step needs p at this row and the last.
Both are done row by row, in place: x, :math:`\bar x`, p and the data are read once and the first three written once,
37 bytes for each float32 value of three maps. Threads work on shares of the rows; the dual variable of the last row of
each share is computed beforehand, from values that the next share overwrites. The result does not depend on the shares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fusionkit.fast_jit import CHUNK, STAMP, cached, copy, scratch
from fusionkit.fast_newton import newton
from fusionkit.fast_pixelwise import fit_of
from fusionkit.fast_spec import PixelwiseSpec
from fusionkit.fast_threads import run, shares, thread_count
from fusionkit.fast_tv import ascend, differences, dual_numbers, pull, store
from fusionkit.terms import Array


def _build_edges(stamp: int) -> Callable[..., None]:
    def edge(x_bar: Any, p: Any, out: Any, numbers: Any, j: int) -> None:
        """The next dual variable of row j, into ``out`` (2, n, nx)."""
        if stamp < 0:  # never: it is here so that it is part of the cache's key
            return
        n, nx = x_bar.shape[0], x_bar.shape[2]
        work = scratch(x_bar)
        down, right = work[0], work[1]
        for i in range(n):
            for first in range(0, nx, CHUNK):
                m = min(CHUNK, nx - first)
                differences(x_bar[i], down, right, (j, first, m))
                ascend(p[0, i], p[1, i], down, right, numbers, (j, first, m))
                copy(down, out[0, i, first : first + m], m)
                copy(right[1:], out[1, i, first : first + m], m)

    return cached(edge)


def _build_iteration(stamp: int) -> Callable[..., None]:
    def iteration(
        x: Any, x_bar: Any, p: Any, above: Any, last: Any, fit: Any, numbers: Any, primal: Any, steps: int, rows: Any
    ) -> None:
        """Rows of one iteration: ``above`` is the new p_down over the first row, ``last`` the new p of the last row."""
        if stamp < 0:  # never: it is here so that it is part of the cache's key
            return
        n, ny, nx = x.shape
        tau, inverse = primal
        old, target, new, work_y = scratch(x), scratch(x), scratch(x), scratch(x)
        work = (work_y, scratch(x), scratch(x), scratch(x))
        duals = scratch(x)
        down, right, pulled = duals[0], duals[1], duals[2]
        for j in range(rows[0], rows[1]):
            for first in range(0, nx, CHUNK):
                m = min(CHUNK, nx - first)
                at = (j, first, m)
                for i in range(n):
                    if j == rows[1] - 1 and j < ny - 1:
                        copy(last[0, i, first : first + m], down, m)
                        copy(last[1, i, first : first + m], right[1:], m)
                    else:
                        differences(x_bar[i], down, right, at)
                        ascend(p[0, i], p[1, i], down, right, numbers, at)
                    store(p[0, i], p[1, i], down, right, at)
                    over = above[i] if j == rows[0] else p[0, i, j - 1]
                    pull(p[1, i], over, down, right, pulled, fit.zero, at)
                    xi, oi, ti = x[i, j, first : first + m], old[i], target[i]
                    for k in range(m):
                        oi[k] = xi[k]
                        ti[k] = xi[k] - tau * pulled[k]
                newton(old, target, new, work, fit, inverse, steps, at)
                for i in range(n):
                    xi, bi, ni = x[i, j, first : first + m], x_bar[i, j, first : first + m], new[i]
                    for k in range(m):
                        bi[k] = (ni[k] - xi[k]) + ni[k]
                    copy(ni, xi, m)

    return cached(iteration)


_EDGE, _ITERATION = _build_edges(STAMP), _build_iteration(STAMP)


class Engine:
    """Iterations on arrays of one shape; holds the few rows that the threads exchange, so that none allocates.

    Parameters
    ----------
    spec : the pixelwise terms with the bounds.
    weight : lambda >= 0 of the total variation.
    shape : of the unknown, (n, ny, nx).
    dtype : float32 or float64.
    newton_steps : of the joint prox in each iteration.
    threads : how many; None for `fusionkit.fast_threads.thread_count`.
    """

    def __init__(
        self,
        spec: PixelwiseSpec,
        weight: float,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        newton_steps: int = 1,
        threads: int | None = None,
    ) -> None:
        self.spec, self.weight, self.shape = spec, weight, shape
        self.dtype, self.newton_steps = np.dtype(dtype), newton_steps
        self.fit = fit_of(spec, shape, self.dtype)
        self.shares = shares(shape[1], thread_count(threads))
        # the first row has none above: zeros, which are never written
        self._edges = np.zeros((len(self.shares) + 1, 2, shape[0], shape[2]), self.dtype)

    def step(self, x: Array, x_bar: Array, p: Array, tau: float, sigma: float) -> None:
        """One iteration in place.

        Parameters
        ----------
        x, x_bar : the unknown and its extrapolation, shape (n, ny, nx), C-contiguous; overwritten.
        p : the dual variable, shape (2, n, ny, nx), C-contiguous; overwritten.
        tau, sigma : primal and dual step.
        """
        number, numbers = self.dtype.type, dual_numbers(sigma, self.weight, self.dtype)
        primal = number(tau), number(1.0 / tau)
        for index, (_, end) in enumerate(self.shares[:-1]):
            _EDGE(x_bar, p, self._edges[index + 1], numbers, end - 1)
        calls = []
        for index, rows in enumerate(self.shares):
            above, last = self._edges[index, 0], self._edges[index + 1]
            calls.append((x, x_bar, p, above, last, self.fit, numbers, primal, self.newton_steps, rows))
        run(_ITERATION, calls)
