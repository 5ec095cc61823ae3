"""Building blocks of TGV kernels: second-order differences of a chunk, defined by `fusionkit.operators.penalty.tgv`."""

from typing import Any

import numpy as np

from fusionkit.engines.cpu.compile import copy, inlined
from fusionkit.engines.cpu.differences import differences


@inlined
def _left(row: Any, left: Any, first: int, m: int) -> None:
    """The left neighbours of a chunk; the first value of the row is its own left neighbour."""
    left[0] = row[max(first - 1, 0)]
    copy(row[first : first + m - 1], left[1:], m - 1)


@inlined
def _right(row: Any, right: Any, zero: Any, first: int, m: int) -> None:
    """The right neighbours of a chunk; zero beyond the row."""
    inner = min(m, row.shape[0] - 1 - first)
    copy(row[first + 1 : first + 1 + inner], right, inner)
    if inner < m:
        right[m - 1] = zero


@inlined
def squares(group: Any, i: int, count: int, total: Any, fresh: Any, zero: Any, m: int) -> None:
    """Add the squares of the first ``count`` arrays of the group at map i to ``total``, zeroed if ``fresh``."""
    if fresh:
        for k in range(m):
            total[k] = zero
    for c in range(count):
        one = group[c][i]
        for k in range(m):
            total[k] += one[k] * one[k]


@inlined
def scales(total: Any, radius: Any, one: Any, m: int) -> None:
    """Replace squared lengths by the factors that project the vectors onto the ball."""
    for k in range(m):
        length = np.sqrt(total[k])
        total[k] = one if length <= radius else radius / length


@inlined
def images(x: Any, w: Any, i: int, group: Any, rows: Any, half: Any, at: Any) -> None:
    """Compute grad x - M w and E w at a chunk of map i, in the five arrays of the group."""
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
def field_pull(s: Any, zeros: Any, i: int, rows: Any, half: Any, at: Any) -> None:
    """Compute E't - M s at a chunk of map i, in rows[0:2]; the dual variable (s, t) is zero across the borders."""
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
