r"""One iteration of Chambolle and Pock's algorithm for pixelwise terms and total generalised variation.

.. math::
    (\tilde p, \tilde q) &= \mathrm{proj}(p + \sigma (\nabla x - M w),\ q + \sigma E w), \qquad
    (s, t) = 2 (\tilde p, \tilde q) - (p, q) \\
    \tilde x &= \mathrm{prox}_{\tau G}(x + \tau\,\mathrm{div}\,s), \qquad
    \tilde w = w - \tau (E^\top t - M s)

and every variable moves by rho of its way. The definition of the operators is `fusionkit.operators.penalty.tgv`. Two
passes: the dual one leaves (s, t), the primal one needs them at the neighbours. Dual components across a border are
zero from the start, and stay so, since no difference moves them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fusionkit.engines.cpu.compile import CHUNK, STAMP, cached, copy, inlined, scratch
from fusionkit.engines.cpu.differences import differences, pull
from fusionkit.engines.cpu.joint_prox import fit_of
from fusionkit.engines.cpu.primal import aim, land
from fusionkit.engines.cpu.threads import run, shares, thread_count
from fusionkit.engines.kernel import PixelwiseSpec, TotalGeneralisedVariation
from fusionkit.terms import Array


@inlined
def _left(row: Any, left: Any, first: int, m: int) -> None:
    """The values left of a chunk's; the first of the row stands in for what is left of it."""
    left[0] = row[max(first - 1, 0)]
    copy(row[first : first + m - 1], left[1:], m - 1)


@inlined
def _right(row: Any, right: Any, zero: Any, first: int, m: int) -> None:
    """The values right of a chunk's; zero beyond the row."""
    inner = min(m, row.shape[0] - 1 - first)
    copy(row[first + 1 : first + 1 + inner], right, inner)
    if inner < m:
        right[m - 1] = zero


@inlined
def squares(group: Any, i: int, count: int, total: Any, fresh: Any, zero: Any, m: int) -> None:
    """Add the squares of the first ``count`` arrays of the group at map i to ``total``, from zero where ``fresh``."""
    if fresh:
        for k in range(m):
            total[k] = zero
    for c in range(count):
        one = group[c][i]
        for k in range(m):
            total[k] += one[k] * one[k]


@inlined
def scales(total: Any, radius: Any, one: Any, m: int) -> None:
    """Squared lengths become the factors that bring the vectors into the ball."""
    for k in range(m):
        length = np.sqrt(total[k])
        total[k] = one if length <= radius else radius / length


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
def images(x: Any, w: Any, i: int, group: Any, rows: Any, half: Any, at: Any) -> None:
    """grad x - M w and E w at a chunk of map i, into the five arrays of the group."""
    j, first, m = at
    ny, nx = x.shape[1], x.shape[2]
    end = first + m
    down, right, left = rows[0], rows[1], rows[2]
    u, v = w[0, i, j, first:end], w[1, i, j, first:end]
    over_u, over_v = w[0, i, max(j - 1, 0), first:end], w[1, i, max(j - 1, 0), first:end]
    differences(x[i], down, right, at)
    a, b = group[0][i], group[1][i]
    for k in range(m):
        a[k] = down[k] - u[k] if j < ny - 1 else down[k]
    last = m - 1 if end == nx else m
    for k in range(last):
        b[k] = right[k + 1] - v[k]
    if last < m:
        b[last] = right[last + 1]
    a, b, c = group[2][i], group[3][i], group[4][i]
    _left(w[0, i, j], left, first, m)
    for k in range(m):
        a[k] = u[k] - over_u[k]
        c[k] = half * ((v[k] - over_v[k]) + (u[k] - left[k]))
    _left(w[1, i, j], left, first, m)
    for k in range(m):
        b[k] = v[k] - left[k]


@inlined
def _ascend(p: Any, i: int, group: Any, sigma: Any, at: Any) -> None:
    """p + sigma y at a chunk of map i, in place of the group y."""
    j, first, m = at
    for c in range(5):
        old, new = p[c, i, j, first : first + m], group[c][i]
        for k in range(m):
            new[k] = old[k] + sigma * new[k]


def _build_dual(stamp: int) -> Callable[..., None]:
    def dual(x: Any, w: Any, p: Any, s: Any, numbers: Any, joint: bool, row: int, end: int) -> None:
        """The dual step of rows, in place of p; ``s`` becomes 2 p~ - p."""
        if stamp < 0:  # never: it is here so that it is part of the cache's key
            return
        n, nx = x.shape[0], x.shape[2]
        sigma, first_radius, second_radius, half, zero, one, ahead, behind = numbers
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
                    _ascend(p, i, group, sigma, at)
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

    return cached(dual)


@inlined
def field_pull(s: Any, zeros: Any, i: int, rows: Any, half: Any, at: Any) -> None:
    """E't - M s at a chunk of map i, into rows[0] and rows[1]; the dual variable is (s, t), zero across the borders."""
    j, first, m = at
    ny, end = s.shape[2], first + m
    pull_u, pull_v, right = rows[0], rows[1], rows[2]
    one, two = s[0, i, j, first:end], s[1, i, j, first:end]
    here, mixed = s[2, i, j, first:end], s[4, i, j, first:end]
    below = s[2, i, j + 1, first:end] if j < ny - 1 else zeros[first:end]
    mixed_below = s[4, i, j + 1, first:end] if j < ny - 1 else zeros[first:end]
    _right(s[4, i, j], right, zeros[0], first, m)
    for k in range(m):
        pull_u[k] = (here[k] - below[k]) + half * (mixed[k] - right[k]) - one[k]
    if first == 0:  # no mixed difference to the left of the first column
        pull_u[0] -= half * mixed[0]
    straight = s[3, i, j, first:end]
    _right(s[3, i, j], right, zeros[0], first, m)
    if j > 0:
        for k in range(m):
            pull_v[k] = (straight[k] - right[k]) + half * (mixed[k] - mixed_below[k]) - two[k]
    else:  # nor above the first row
        for k in range(m):
            pull_v[k] = (straight[k] - right[k]) - half * mixed_below[k] - two[k]


def _build_primal(stamp: int) -> Callable[..., None]:
    def descent(
        x: Any, w: Any, s: Any, zeros: Any, fit: Any, primal: Any, half: Any, steps: int, moves: Any, rows: Any
    ) -> None:
        """The primal step of rows, in place of x and w."""
        if stamp < 0:  # never: it is here so that it is part of the cache's key
            return
        n, ny, nx = x.shape
        tau, _, ahead, _ = primal
        old, target, new = scratch(x), scratch(x), scratch(x)
        work = (scratch(x), scratch(x), scratch(x), scratch(x))
        parts = scratch(x)
        down, right, pulled = parts[1], parts[2], parts[3]
        for j in range(rows[0], rows[1]):
            moves[j] = 0.0
            for first in range(0, nx, CHUNK):
                m = min(CHUNK, nx - first)
                at = (j, first, m)
                for i in range(n):
                    field_pull(s, zeros, i, parts, half, at)
                    for c in range(2):
                        wi, gi = w[c, i, j, first : first + m], parts[c]
                        for k in range(m):
                            wi[k] -= tau * ahead * gi[k]
                    copy(s[0, i, j, first : first + m], down, m)
                    copy(s[1, i, j, first : first + m], right[1:], m)
                    right[0] = s[1, i, j, first - 1] if first > 0 else fit.zero
                    above = s[0, i, j - 1] if j > 0 else zeros
                    pull(above[first : first + m], down, right, pulled, (ny, nx), at)
                    aim(x[i, j, first : first + m], pulled, tau, fit, old[i], target[i], m)
                moves[j] += land(x, old, target, new, work, fit, primal, steps, at)

    return cached(descent)


_DUAL, _PRIMAL = _build_dual(STAMP), _build_primal(STAMP)


class TGVEngine:
    """Iterations on arrays of one shape; holds 2 p~ - p, so that none allocates.

    Parameters
    ----------
    spec : the pixelwise terms with the bounds.
    penalty : the total generalised variation.
    shape : of the unknown, (n, ny, nx).
    dtype : float32 or float64.
    newton_steps : of the joint prox in each iteration.
    threads : how many; None for `fusionkit.engines.cpu.threads.thread_count`.
    """

    def __init__(
        self,
        spec: PixelwiseSpec,
        penalty: TotalGeneralisedVariation,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        newton_steps: int = 1,
        threads: int | None = None,
    ) -> None:
        self.spec, self.penalty, self.shape = spec, penalty, shape
        self.dtype, self.newton_steps = np.dtype(dtype), newton_steps
        self.fit = fit_of(spec, shape, self.dtype)
        self.shares = shares(shape[1], thread_count(threads))
        self._s: Array | None = None  # an engine that only checks needs none
        self._zeros = np.zeros(shape[2], self.dtype)
        self._moves = np.zeros(shape[1])  # ||x+ - x||^2 of each row

    def step(self, x: Array, w: Array, p: Array, steps: tuple[float, float], relaxation: float = 1.0) -> None:
        """One iteration in place.

        Parameters
        ----------
        x : the unknown, shape (n, ny, nx), C-contiguous; overwritten.
        w : the field, shape (2, n, ny, nx), C-contiguous; overwritten.
        p : the dual variables, shape (5, n, ny, nx), C-contiguous, zero across the borders; overwritten.
        steps : tau and sigma.
        relaxation : rho; with 1, x is within the bounds and p in the dual balls afterwards.
        """
        if self._s is None:
            self._s = np.zeros((5, *self.shape), self.dtype)
        number, (tau, sigma), penalty = self.dtype.type, steps, self.penalty
        half, ahead, behind = number(0.5**0.5), number(relaxation), number(1.0 - relaxation)
        radii = number(penalty.weight), number(penalty.weight * penalty.ratio)
        dual = (number(sigma), *radii, half, number(0), number(1), ahead, behind)
        run(_DUAL, [(x, w, p, self._s, dual, penalty.joint, *rows) for rows in self.shares])
        primal = number(tau), number(1.0 / tau), ahead, behind
        fixed = (x, w, self._s, self._zeros, self.fit, primal, half, self.newton_steps, self._moves)
        run(_PRIMAL, [(*fixed, rows) for rows in self.shares])

    def change(self) -> float:
        """||x+ - x|| of the last iteration, which had rho = 1."""
        return float(self._moves.sum()) ** 0.5
