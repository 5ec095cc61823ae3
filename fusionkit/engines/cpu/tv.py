r"""One iteration of Chambolle and Pock's algorithm for pixelwise terms and total variation, in one pass over memory.

.. math::
    \tilde p &= \mathrm{proj}_{\|p\| \le \lambda}(p + \sigma D \nabla x), \qquad
    \tilde x = \mathrm{prox}_{\tau G}(x + \tau\,\mathrm{div}\,D (2 \tilde p - p)) \\
    x &\leftarrow x + \rho (\tilde x - x), \qquad p \leftarrow p + \rho (\tilde p - p)

D = I - xi xi' removes the component across the edges of a guide image; without a guide it is the identity and free.
The dual step at a row needs x at this row and the next, the primal step 2 p~ - p at this row and the previous one. Both
run in place, row by row: x and p are read and written once and the data read once, 29 bytes for each float32 value of
three maps. Each thread has a share of the rows. The dual step of a share's last row is computed beforehand, since the
next share overwrites the values that it needs. The result does not depend on the shares.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from fusionkit.engines.cpu.compile import (
    CHUNK,
    add,
    copy,
    couplings,
    inlined,
    kernel,
    read_only,
    scratch,
)
from fusionkit.engines.cpu.differences import ascend, ascend_all, differences, dual_numbers, project_out, pull, relax
from fusionkit.engines.cpu.joint_prox import fill, primal_step, prox_input
from fusionkit.engines.cpu.newton import predict
from fusionkit.engines.cpu.scalars import concave_chains
from fusionkit.engines.cpu.threads import run
from fusionkit.engines.cpu.tv_check import TVCheck
from fusionkit.engines.local_steps import MOST, STAYS, PixelSteps
from fusionkit.terms import Array, Arrays


@inlined
def inverse_steps(inverses: Any, boost: Any, i: int, inverse: Any, quarter: Any, at: Any) -> None:
    """1 / tau at a chunk of map i: the mean of 1 + boost / 4 over the edges of each pixel, times ``inverse``."""
    j, first, m = at
    if boost.shape[0] == 0:
        return
    sixteenth = inverse * quarter * quarter
    here, above = boost[i, j, first : first + m], boost[i, max(j - 1, 0), first : first + m]
    for k in range(m):
        inverses[k] = 16 + 2 * here[k] + above[k]
    start = 0 if first > 0 else 1
    if start == 1:
        inverses[0] += here[0]  # no left neighbour
    beside = boost[i, j, first + start - 1 : first + m - 1]
    for k in range(m - start):
        inverses[k + start] += beside[k]
    for k in range(m):
        inverses[k] *= sixteenth


@kernel
def _edge(x: Any, p: Any, new: Any, over: Any, field: Any, boost: Any, numbers: Any, j: int) -> None:
    """Dual step of row j: p~ into ``new`` (2, n, nx), the vertical part of D (2 p~ - p) into ``over`` (n, nx)."""
    n, nx = x.shape[0], x.shape[2]
    work, downs, rights, spare = scratch(x), scratch(x), scratch(x), scratch(x)
    down, right = work[0], work[1]
    for first in range(0, nx, CHUNK):
        m = min(CHUNK, nx - first)
        at = (j, first, m)
        if field is not None:
            ascend_all(x, p, downs, rights, spare, field, boost, numbers, at)
        for i in range(n):
            if field is None:
                differences(x[i], down, right, at)
                ascend(p[0, i], p[1, i], down, right, boost, numbers, i, at)
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
                project_out(down, right, field[0], at)
            copy(down, over[i, first : first + m], m)


@kernel
def _iteration(
    x: Any,
    p: Any,
    over: Any,
    last: Any,
    fit: Any,
    field: Any,
    boost: Any,
    numbers: Any,
    primal: Any,
    steps: int,
    moves: Any,
    pulls: Any,
    lead: bool,
    rows: Any,
) -> None:
    """One iteration of a share: ``over`` is the vertical D (2 p~ - p) of the row above, ``last`` p~ of its end.

    If ``pulls`` is not empty, the lead uses what others have added to it, K'(2 p~ - p).
    """
    n, ny, nx = x.shape
    inverse, ahead, behind = primal
    old, target, new, inverses = scratch(x), scratch(x), scratch(x), scratch(x)
    fill(inverses, inverse, n)
    work = (couplings(x), scratch(x), scratch(x), scratch(x))
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
                ascend_all(x, p, downs, rights, spare, field, boost, numbers, at)
            for i in range(n):
                if known:
                    copy(last[0, i, first : first + m], down, m)
                    copy(last[1, i, first : first + m], right[1:], m)
                elif field is None:
                    differences(x[i], down, right, at)
                    ascend(p[0, i], p[1, i], down, right, boost, numbers, i, at)
                else:
                    copy(downs[i], down, m)
                    copy(rights[i, 1:], right[1:], m)
                relax(p[0, i], p[1, i], down, right, ahead, behind, at)
                if field is not None:
                    project_out(down, right, field[0], at)
                above = over[i, first : first + m]
                right[0] = lefts[i]
                lefts[i] = right[m]
                pull(above, down, right, pulled, (ny, nx), at)
                copy(down, above, m)
                if lead and pulls.shape[0] > 0:
                    add(pulls[i, j, first : first + m], pulled, m)
                elif not lead:
                    add(pulled, pulls[i, j, first : first + m], m)
                    continue
                inverse_steps(inverses[i], boost, i, inverse, numbers[3], at)
                prox_input(x[i, j, first : first + m], pulled, inverses[i], fit, old[i], target[i], m)
            if lead:
                moves[j] += primal_step(x, old, target, new, work, fit, inverses, (ahead, behind), steps, at)


@kernel
def _concavity(x: Any, need: Any, fit: Any, factor: Any, rows: Any) -> None:
    """need = factor times minus the second derivative of the fits of power sums."""
    n, _, nx = x.shape
    point, y, work = scratch(x), couplings(x), scratch(x)
    prediction = work[0]
    for j in range(rows[0], rows[1]):
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            for i in range(n):
                copy(x[i, j, first : first + m], point[i], m)
            for i in range(n):
                need[i, j, first : first + m] = fit.zero
            if fit.power:
                predict(point, y, prediction, fit, m)
                image = fit.image[j, first : first + m]
                for i in range(n):
                    xi, yi, z, out = point[i], y[i], fit.z[i], need[i, j, first : first + m]
                    bend = factor * fit.coupled_weight * fit.gamma * (fit.gamma - fit.one) * z * z
                    for k in range(m):
                        s = z * xi[k]
                        s = fit.floor if s < fit.floor else s
                        raised = fit.floor_power if yi[k] < fit.floor_power else yi[k]
                        off = image[k] - prediction[k]
                        out[k] = (fit.zero if np.isnan(image[k]) else off) * (bend * raised / s)
            concave_chains(fit.chains, point, y, need, factor, work, n, (j, first, m))


@kernel
def _runs(x: Any, seen: Any, runs: Any, boost: Any, sums: Any, rows: Any) -> None:
    """Follow the moves of the values in place; squares of moves over tau that go on as before, less others, and all."""
    n, nx = x.shape[0], x.shape[2]
    for j in range(rows[0], rows[1]):
        on, total = 0.0, 0.0
        for i in range(n):
            now, last, its, old = x[i, j], seen[i, j], runs[i, j], boost[i, j]
            for k in range(nx):
                move, before = now[k] - last[k], np.int32(its[k])
                up = np.int32(move > 0) - np.int32(move < 0)
                same = up * (np.int32(before > 0) - np.int32(before < 0))
                length = move * (1.0 + 0.25 * old[k])
                total += length * length
                on += same * (length * length)
                its[k] = min(max(before + up, -MOST), MOST) if same > 0 else up
                last[k] = now[k]
        sums[0, j], sums[1, j] = on, total


@inlined
def _boosted(need: Any, run: Any, old: Any, numbers: Any) -> Any:
    """b from the greatest need and run of a pixel and its neighbours."""
    one, two, four, most, stays = numbers
    beyond = max(run - two, one - one)
    kept = old * (stays if beyond < one else one / two)
    return np.int32(min(max(need * (two / (two + beyond * beyond)) - four, kept), most))


@kernel
def _boost(need: Any, former: Any, runs: Any, numbers: Any, new: Any, joint: bool, rows: Any) -> None:
    """The boost of `fusionkit.engines.local_steps.local_boost` from need and runs of each pixel."""
    n, ny, nx = need.shape
    for j in range(rows[0], rows[1]):
        below = min(j + 1, ny - 1)
        for i in range(n):
            here, under, right = need[i, j], need[i, below], need[i, j, 1:]
            its, lower, beside = runs[i, j], runs[i, below], runs[i, j, 1:]
            old, to, end = former[i, j], new[i, j], nx - 1
            for k in range(nx - 1):
                run = max(abs(np.int32(its[k])), max(abs(np.int32(lower[k])), abs(np.int32(beside[k]))))
                to[k] = _boosted(max(here[k], max(under[k], right[k])), run, old[k], numbers)
            run = max(abs(np.int32(its[end])), abs(np.int32(lower[end])))
            to[end] = _boosted(max(here[end], under[end]), run, old[end], numbers)
        for k in range(nx if joint else 0):
            most = new[0, j, k]
            for i in range(n):
                most = max(most, new[i, j, k])
            for i in range(n):
                new[i, j, k] = most


def boost_of(check: TVCheck, joint: bool, x: Array, scale: float, former: PixelSteps | None) -> PixelSteps | None:
    """As `fusionkit.engines.local_steps.local_boost` for the pixelwise terms of ``check``; reuses memory of former."""
    fit, dtype = check.fit, check.dtype
    if not (fit.power and fit.gamma > 1.0) and not any(chain.concave for chain in fit.chains):
        return None
    new: Any = np.empty(x.shape, np.uint8)
    _, need = check.memory
    if former is None:
        former = PixelSteps(np.zeros_like(new), x.copy(), np.zeros(x.shape, np.int8))
    old, sums = read_only(former.boost, new.dtype), np.zeros((2, x.shape[1]))
    x, factor = read_only(x, dtype), dtype.type(4.0 * scale)
    run(_concavity[check.is_kept], [(x, need, fit, factor, rows) for rows in check.shares])
    run(_runs.kept, [(x, former.seen, former.runs, old, sums, rows) for rows in check.shares])
    numbers = tuple(dtype.type(one) for one in (1.0, 2.0, 4.0, 255.0, STAYS))
    fixed = read_only(need, dtype), old, read_only(former.runs, np.dtype(np.int8)), numbers, new, joint
    run(_boost.kept, [(*fixed, rows) for rows in check.shares])
    on, total = sums.sum(axis=1)
    return PixelSteps(new, former.seen, former.runs, float(on / (total or 1.0)))


class TVEngine(TVCheck):
    """Iterations and checks; parameters as `TVCheck`. Memory is allocated by the first iteration only."""

    @cached_property
    def _moves(self) -> Array:
        """||x+ - x||^2 of each row."""
        return np.zeros(self.shape[1])

    @cached_property
    def _exchanged(self) -> tuple[Array, Array]:
        """Rows that the threads exchange: ``over`` and ``last`` of each share."""
        shares, n, nx = len(self.shares), self.shape[0], self.shape[2]
        return np.zeros((shares, n, nx), self.dtype), np.zeros((shares, 2, n, nx), self.dtype)

    def step(
        self,
        x: Array,
        auxiliary: Sequence[Array],
        duals: Sequence[Array],
        steps: Sequence[float],
        relaxation: float = 1.0,
        boost: Array | None = None,
        pulls: Array | None = None,
        lead: bool = True,
    ) -> tuple[Array, Arrays]:
        """As `fusionkit.engines.engine.Engine`, in place; p has the shape (2, n, ny, nx).

        Of several penalties, all but the lead add K'(2 p~ - p) to ``pulls`` (n, ny, nx) and leave x.
        """
        (p,), (tau, sigma), (over, last) = duals, steps, self._exchanged
        number, numbers = self.dtype.type, dual_numbers(sigma, self.radii, self.penalty, self.dtype)
        primal = number(1.0 / tau), number(relaxation), number(1.0 - relaxation)
        boost = read_only(np.zeros((0, 0, 0)) if boost is None else boost, np.dtype(np.uint8))
        over[0].fill(0)  # nothing is above the first row
        for index, (_, end) in enumerate(self.shares[:-1]):
            _edge.kept(x, p, last[index], over[index + 1], self.field, boost, numbers, end - 1)
        pulls = np.zeros((0, 0, 0), self.dtype) if pulls is None else pulls
        common = self.fit, self.field, boost, numbers, primal, self.newton_steps, self._moves, pulls, lead
        calls = [(x, p, over[index], last[index], *common, rows) for index, rows in enumerate(self.shares)]
        run(_iteration[self.is_kept], calls)
        return x, (p,)

    def boost(self, x: Array, scale: float, former: PixelSteps | None) -> PixelSteps | None:
        """As `fusionkit.engines.engine.Engine`."""
        return boost_of(self, self.penalty.joint, x, scale, former)

    def change(self) -> float:
        """As `fusionkit.engines.engine.Engine`."""
        return float(self._moves.sum()) ** 0.5
