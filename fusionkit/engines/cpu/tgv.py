r"""One iteration of Chambolle and Pock's algorithm for pixelwise terms and total generalised variation.

.. math::
    (\tilde p, \tilde q) &= \mathrm{proj}(p + \sigma (\nabla x - M w),\ q + 2 \sigma E w), \qquad
    (s, t) = 2 (\tilde p, \tilde q) - (p, q) \\
    \tilde x &= \mathrm{prox}_{\tau G}(x + \tau\,\mathrm{div}\,s), \qquad
    \tilde w = w - \frac{1}{19 \sigma} (E^\top t - M s)

followed by over-relaxation with rho. `fusionkit.operators.penalty.tgv` defines the operators. The dual pass stores
(s, t), which the primal pass needs at neighbouring pixels. Dual components across a border start and stay at zero.
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
from fusionkit.engines.cpu.differences import pull
from fusionkit.engines.cpu.joint_prox import fill, primal_step, prox_input
from fusionkit.engines.cpu.second_order import field_pull, images, scales, squares
from fusionkit.engines.cpu.tgv_check import TGVCheck
from fusionkit.engines.cpu.threads import run
from fusionkit.engines.cpu.tv import boost_of, inverse_steps
from fusionkit.engines.local_steps import SECOND, PixelSteps
from fusionkit.terms import Array, Arrays


@inlined
def _move(p: Any, s: Any, new: Any, scale: Any, ahead: Any, behind: Any, at: Any) -> None:
    """p~ = scale new; s = 2 p~ - p, p <- behind p + ahead p~, at a chunk of one component of one map."""
    j, first, m = at
    a, b = p[j, first : first + m], s[j, first : first + m]
    for k in range(m):
        old, point = a[k], new[k] * scale[k]
        b[k] = (point - old) + point
        a[k] = behind * old + ahead * point


@inlined
def _ascend(p: Any, i: int, group: Any, boost: Any, sigmas: Any, at: Any) -> None:
    """p + sigma y at a chunk of map i, in place of the group y."""
    j, first, m = at
    sigma, second, quarter = sigmas
    for c in range(2):
        old, new = p[c, i, j, first : first + m], group[c][i]
        if boost.shape[0] > 0:
            more = boost[i, j, first : first + m]
            for k in range(m):
                new[k] += new[k] * (quarter * more[k])
        for k in range(m):
            new[k] = old[k] + sigma * new[k]
    for c in range(2, 5):
        old, new = p[c, i, j, first : first + m], group[c][i]
        for k in range(m):
            new[k] = old[k] + second * new[k]


@kernel
def _dual(x: Any, w: Any, p: Any, s: Any, boost: Any, numbers: Any, joint: bool, row: int, end: int) -> None:
    """The dual step of rows, in place; ``s`` becomes 2 p~ - p."""
    n, nx = x.shape[0], x.shape[2]
    sigmas, first_radius, second_radius, half, zero, one, ahead, behind = numbers
    group = (scratch(x), scratch(x), scratch(x), scratch(x), scratch(x))
    first_scales, second_scales, rows = scratch(x), scratch(x), scratch(x)
    for j in range(row, end):
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            at = (j, first, m)
            for i in range(n):
                place = 0 if joint else i
                fresh = not joint or i == 0
                images(x, w, i, group, rows, half, at)
                _ascend(p, i, group, boost, sigmas, at)
                squares((group[0], group[1]), i, 2, first_scales[place], fresh, zero, m)
                squares((group[2], group[3], group[4]), i, 3, second_scales[place], fresh, zero, m)
            for place in range(1 if joint else n):
                scales(first_scales[place], first_radius, one, m)
                scales(second_scales[place], second_radius, one, m)
            for i in range(n):
                place = 0 if joint else i
                _move(p[0, i], s[0, i], group[0][i], first_scales[place], ahead, behind, at)
                _move(p[1, i], s[1, i], group[1][i], first_scales[place], ahead, behind, at)
                _move(p[2, i], s[2, i], group[2][i], second_scales[place], ahead, behind, at)
                _move(p[3, i], s[3, i], group[3][i], second_scales[place], ahead, behind, at)
                _move(p[4, i], s[4, i], group[4][i], second_scales[place], ahead, behind, at)


@kernel
def _descent(
    x: Any,
    w: Any,
    s: Any,
    zeros: Any,
    fit: Any,
    boost: Any,
    primal: Any,
    half: Any,
    steps: int,
    moves: Any,
    pulls: Any,
    lead: bool,
    rows: Any,
) -> None:
    """The primal step of rows, in place; ``pulls`` and ``lead`` as in `fusionkit.engines.cpu.tv`."""
    n, ny, nx = x.shape
    inverse, quarter, of_w, ahead, behind = primal
    inverses, inverses_w = scratch(x), scratch(x)[0]
    fill(inverses, inverse, n)
    for k in range(CHUNK):
        inverses_w[k] = of_w[0] + of_w[1]
    old, target, new = scratch(x), scratch(x), scratch(x)
    work = (couplings(x), scratch(x), scratch(x), scratch(x))
    parts = scratch(x)
    down, right, pulled = parts[1], parts[2], parts[3]
    for j in range(rows[0], rows[1]):
        moves[j] = 0.0
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            at = (j, first, m)
            for i in range(n):
                field_pull(s, zeros, i, parts, half, at)
                inverse_steps(inverses[i], boost, i, inverse, quarter, at)
                if boost.shape[0] > 0:
                    more = boost[i, j, first : first + m]
                    for k in range(m):
                        inverses_w[k] = of_w[0] * (fit.one + quarter * more[k]) + of_w[1]
                for c in range(2):
                    wi, gi = w[c, i, j, first : first + m], parts[c]
                    for k in range(m):
                        wi[k] -= ahead * gi[k] / inverses_w[k]
                copy(s[0, i, j, first : first + m], down, m)
                copy(s[1, i, j, first : first + m], right[1:], m)
                right[0] = s[1, i, j, first - 1] if first > 0 else fit.zero
                above = s[0, i, j - 1] if j > 0 else zeros
                pull(above[first : first + m], down, right, pulled, (ny, nx), at)
                if lead and pulls.shape[0] > 0:
                    add(pulls[i, j, first : first + m], pulled, m)
                elif not lead:
                    add(pulled, pulls[i, j, first : first + m], m)
                    continue
                prox_input(x[i, j, first : first + m], pulled, inverses[i], fit, old[i], target[i], m)
            if lead:
                moves[j] += primal_step(x, old, target, new, work, fit, inverses, (ahead, behind), steps, at)


class TGVEngine(TGVCheck):
    """Iterations and checks; parameters as `TGVCheck`. Memory is allocated by the first iteration only."""

    @cached_property
    def _moves(self) -> Array:
        """||x+ - x||^2 of each row."""
        return np.zeros(self.shape[1])

    @cached_property
    def _outside(self) -> Array:
        """A row of duals outside the image; writeable, as those inside are."""
        return np.zeros(self.shape[2], self.dtype)

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
        """As `TVEngine`; w (2, n, ny, nx), p (5, n, ny, nx), zero across borders."""
        if self.extrapolated is None:
            self.extrapolated = np.zeros((5, *self.shape), self.dtype)
        (w,), (p,), (tau, sigma), s = auxiliary, duals, steps, self.extrapolated
        number, penalty = self.dtype.type, self.penalty
        half, ahead, behind = number(0.5**0.5), number(relaxation), number(1.0 - relaxation)
        radii = number(penalty.weight), number(penalty.weight * penalty.ratio)
        quarter = number(0.25)
        sigmas = number(sigma), number(SECOND * sigma), quarter
        boost = read_only(np.zeros((0, 0, 0)) if boost is None else boost, np.dtype(np.uint8))
        dual = (sigmas, *radii, half, number(0), number(1), ahead, behind)
        run(_dual.kept, [(x, w, p, s, boost, dual, penalty.joint, *rows) for rows in self.shares])
        primal = number(1.0 / tau), quarter, (number(3.0 * sigma), number(8.0 * SECOND * sigma)), ahead, behind
        pulls, plain = np.zeros((0, 0, 0), self.dtype) if pulls is None else pulls, self.plain
        fixed = (x, w, s, self._outside, plain.fit, boost, primal, half, plain.newton_steps, self._moves, pulls, lead)
        run(_descent[self.is_kept], [(*fixed, rows) for rows in self.shares])
        return x, (p,)

    def boost(self, x: Array, scale: float, former: PixelSteps | None) -> PixelSteps | None:
        """As `fusionkit.engines.engine.Engine`."""
        return boost_of(self.plain, self.penalty.joint, x, scale, former)

    def change(self) -> float:
        """As `fusionkit.engines.engine.Engine`."""
        return float(self._moves.sum()) ** 0.5
