r"""One iteration of Chambolle and Pock's algorithm for pixelwise terms and total variation, in one pass over memory.

.. math::
    \tilde p &= \mathrm{proj}_{\|p\| \le \lambda}(p + \sigma D \nabla x), \qquad
    \tilde x = \mathrm{prox}_{\tau G}(x + \tau\,\mathrm{div}\,D (2 \tilde p - p)) \\
    x &\leftarrow x + \rho (\tilde x - x), \qquad p \leftarrow p + \rho (\tilde p - p)

D = I - xi xi' takes off the part across the edges of a guide image; without one it is the identity and costs nothing.
The dual step at a row needs x at this row and the next, the primal step needs 2 p~ - p at this row and the last. Both
are done row by row, in place: x and p are read once and written once and the data are read once, 29 bytes for each
float32 value of three maps. Threads work on shares of the rows; the dual step of the last row of each share is computed
beforehand, from values that the next share overwrites. The result does not depend on the shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionkit.engines.cpu.compile import CHUNK, STAMP, Versions, copy, kernel, scratch
from fusionkit.engines.cpu.differences import ascend, ascend_all, differences, dual_numbers, pull, relax, take_off
from fusionkit.engines.cpu.joint_prox import primal_step, prox_input
from fusionkit.engines.cpu.threads import run
from fusionkit.engines.cpu.tv_check import TVCheck
from fusionkit.engines.kernel_terms import PixelwiseSpec, TotalVariation
from fusionkit.terms import Array, Arrays


def _build_edges(stamp: int) -> Versions:
    def edge(x: Any, p: Any, new: Any, over: Any, field: Any, numbers: Any, j: int) -> None:
        """The dual step of row j, into ``new`` (2, n, nx), and D (2 p~ - p), downwards, into ``over`` (n, nx)."""
        if stamp < 0:  # never: it is here so that it is part of the cache's key
            return
        n, nx = x.shape[0], x.shape[2]
        work, downs, rights, spare = scratch(x), scratch(x), scratch(x), scratch(x)
        down, right = work[0], work[1]
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            at = (j, first, m)
            if field is not None:
                ascend_all(x, p, downs, rights, spare, field, numbers, at)
            for i in range(n):
                if field is None:
                    differences(x[i], down, right, at)
                    ascend(p[0, i], p[1, i], down, right, numbers, i, at)
                else:
                    copy(downs[i], down, m)
                    copy(rights[i, 1:], right[1:], m)
                copy(down, new[0, i, first : first + m], m)
                copy(right[1:], new[1, i, first : first + m], m)
                old = p[0, i, j, first : first + m]
                for k in range(m):
                    down[k] = (down[k] - old[k]) + down[k]
                if field is not None:
                    beside = p[1, i, j, first : first + m]
                    for k in range(m):
                        right[k + 1] = (right[k + 1] - beside[k]) + right[k + 1]
                    take_off(down, right, field[0], at)
                copy(down, over[i, first : first + m], m)

    return kernel(edge)


def _build_iteration(stamp: int) -> Versions:
    def iteration(
        x: Any,
        p: Any,
        over: Any,
        last: Any,
        fit: Any,
        field: Any,
        numbers: Any,
        primal: Any,
        steps: int,
        moves: Any,
        rows: Any,
    ) -> None:
        """Rows of one iteration: ``over`` is D (2 p~ - p) of the row above, downwards, ``last`` is p~ of the last."""
        if stamp < 0:  # never: it is here so that it is part of the cache's key
            return
        n, ny, nx = x.shape
        tau, _, ahead, behind = primal
        old, target, new = scratch(x), scratch(x), scratch(x)
        work = (scratch(x), scratch(x), scratch(x), scratch(x))
        duals, lefts = scratch(x), scratch(x)[0]
        down, right, pulled = duals[0], duals[1], duals[2]
        downs, rights, spare = scratch(x), scratch(x), scratch(x)
        for j in range(rows[0], rows[1]):
            known = j == rows[1] - 1 and j < ny - 1
            moves[j] = 0.0
            for i in range(n):
                lefts[i] = fit.zero
            for first in range(0, nx, CHUNK):
                m = min(CHUNK, nx - first)
                at = (j, first, m)
                if field is not None and not known:
                    ascend_all(x, p, downs, rights, spare, field, numbers, at)
                for i in range(n):
                    if known:
                        copy(last[0, i, first : first + m], down, m)
                        copy(last[1, i, first : first + m], right[1:], m)
                    elif field is None:
                        differences(x[i], down, right, at)
                        ascend(p[0, i], p[1, i], down, right, numbers, i, at)
                    else:
                        copy(downs[i], down, m)
                        copy(rights[i, 1:], right[1:], m)
                    relax(p[0, i], p[1, i], down, right, ahead, behind, at)
                    if field is not None:
                        take_off(down, right, field[0], at)
                    above = over[i, first : first + m]
                    right[0] = lefts[i]
                    lefts[i] = right[m]
                    pull(above, down, right, pulled, (ny, nx), at)
                    copy(down, above, m)
                    prox_input(x[i, j, first : first + m], pulled, tau, fit, old[i], target[i], m)
                moves[j] += primal_step(x, old, target, new, work, fit, primal, steps, at)

    return kernel(iteration)


_EDGE, _ITERATION = _build_edges(STAMP), _build_iteration(STAMP)


class TVEngine(TVCheck):
    """Iterations and checks; holds the few rows that the threads exchange, so that none allocates.

    Parameters
    ----------
    spec, penalty, shape, dtype, newton_steps, former, threads : as `TVCheck`.
    """

    def __init__(
        self,
        spec: PixelwiseSpec,
        penalty: TotalVariation,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        newton_steps: int = 1,
        former: TVEngine | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(spec, penalty, shape, dtype, newton_steps, former, threads)
        self._moves = np.zeros(shape[1])  # ||x+ - x||^2 of each row
        rows = len(self.shares), shape[0], shape[2]
        self._over, self._last = np.zeros(rows, self.dtype), np.zeros((rows[0], 2, *rows[1:]), self.dtype)

    def step(
        self,
        x: Array,
        auxiliary: Sequence[Array],
        duals: Sequence[Array],
        steps: Sequence[float],
        relaxation: float = 1.0,
    ) -> tuple[Array, Arrays]:
        """As `fusionkit.engines.engine.Engine`, in place; p has the shape (2, n, ny, nx)."""
        (p,), (tau, sigma) = duals, steps
        number, numbers = self.dtype.type, dual_numbers(sigma, self.radii, self.dtype)
        primal = number(tau), number(1.0 / tau), number(relaxation), number(1.0 - relaxation)
        self._over[0].fill(0)  # nothing is above the first row
        for index, (_, end) in enumerate(self.shares[:-1]):
            _EDGE.kept(x, p, self._last[index], self._over[index + 1], self.field, numbers, end - 1)
        common = self.fit, self.field, numbers, primal, self.newton_steps, self._moves
        calls = [(x, p, self._over[index], self._last[index], *common, rows) for index, rows in enumerate(self.shares)]
        run(_ITERATION[self._kept], calls)
        return x, (p,)

    def change(self) -> float:
        """||x+ - x|| of the last iteration, which had rho = 1."""
        return float(self._moves.sum()) ** 0.5
