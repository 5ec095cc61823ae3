r"""Isotropic total variation, compiled: gradient, projection on the dual ball and divergence, each in one pass.

For x (n, ny, nx) and its dual variable p (2, n, ny, nx), with the forward differences of
`fusionkit.operators.gradient`, which is their definition:

.. math:: p \leftarrow \mathrm{proj}_{\|p\| \le \lambda}(p + \sigma \nabla \bar x), \qquad x \mapsto -\mathrm{div}\,p .
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fusionkit.fast_jit import CHUNK, STAMP, cached, copy, inlined, read_only, scratch
from fusionkit.fast_threads import run, shares, thread_count
from fusionkit.terms import Array


@inlined
def differences(x: Any, down: Any, right: Any, at: Any) -> None:
    """Forward differences of one map x (ny, nx) at a chunk, into ``down`` and ``right[1:]``."""
    j, first, m = at
    ny, nx = x.shape
    here, below = x[j, first : first + m], x[min(j + 1, ny - 1), first : first + m]
    for k in range(m):
        down[k] = below[k] - here[k]
    inner = min(m, nx - 1 - first)
    beside = x[j, first + 1 : first + 1 + inner]
    for k in range(inner):
        right[k + 1] = beside[k] - here[k]
    if inner < m:
        right[m] = here[m - 1] - here[m - 1]  # 0, or NaN


@inlined
def ascend(p_down: Any, p_right: Any, down: Any, right: Any, numbers: Any, at: Any) -> None:
    """down, right = proj(p + sigma (down, right)) at a chunk of one map; ``numbers`` are sigma, lambda and 1."""
    j, first, m = at
    sigma, radius, one = numbers
    old_down, old_right = p_down[j, first : first + m], p_right[j, first : first + m]
    for k in range(m):
        a, b = old_down[k] + sigma * down[k], old_right[k] + sigma * right[k + 1]
        length = np.sqrt(a * a + b * b)
        scale = one if length <= radius else radius / length
        down[k] = a * scale
        right[k + 1] = b * scale


@inlined
def store(p_down: Any, p_right: Any, down: Any, right: Any, at: Any) -> None:
    """Write the dual variable of a chunk of one map."""
    j, first, m = at
    new_down, new_right = p_down[j, first : first + m], p_right[j, first : first + m]
    copy(down, new_down, m)
    copy(right[1:], new_right, m)


@inlined
def pull(p_right: Any, above: Any, down: Any, right: Any, pulled: Any, zero: Any, at: Any) -> None:
    """pulled = K'p at a chunk of one map, where its dual variable is (down, right[1:]), which are overwritten.

    ``above`` is p_down of the row above, zero for the first row; ``p_right`` gives the value left of the chunk.
    """
    j, first, m = at
    ny, nx = p_right.shape
    # differences across the last row and column are zero by definition, whatever p is there
    if first + m == nx:
        right[m] = zero
    if j == ny - 1:
        for k in range(m):
            down[k] = zero
    right[0] = p_right[j, first - 1] if first > 0 else zero
    up = above[first : first + m]
    for k in range(m):
        pulled[k] = (right[k] - right[k + 1]) + (up[k] - down[k])


def _build_ascent(stamp: int) -> Callable[..., None]:
    def ascent(x_bar: Any, p: Any, numbers: Any, row: int, end: int) -> None:
        if stamp < 0:  # never: it is here so that it is part of the cache's key
            return
        n, nx = x_bar.shape[0], x_bar.shape[2]
        work = scratch(x_bar)
        down, right = work[0], work[1]
        for i in range(n):
            for j in range(row, end):
                for first in range(0, nx, CHUNK):
                    at = (j, first, min(CHUNK, nx - first))
                    differences(x_bar[i], down, right, at)
                    ascend(p[0, i], p[1, i], down, right, numbers, at)
                    store(p[0, i], p[1, i], down, right, at)

    return cached(ascent)


def _build_divergence(stamp: int) -> Callable[..., None]:
    def divergence(p: Any, zeros: Any, out: Any, row: int, end: int) -> None:
        if stamp < 0:  # never: it is here so that it is part of the cache's key
            return
        n, nx = out.shape[0], out.shape[2]
        work = scratch(out)
        down, right, pulled = work[0], work[1], work[2]
        for i in range(n):
            for j in range(row, end):
                for first in range(0, nx, CHUNK):
                    m = min(CHUNK, nx - first)
                    copy(p[0, i, j, first : first + m], down, m)
                    copy(p[1, i, j, first : first + m], right[1:], m)
                    above = p[0, i, j - 1] if j > 0 else zeros
                    pull(p[1, i], above, down, right, pulled, zeros[0], (j, first, m))
                    copy(pulled, out[i, j, first : first + m], m)

    return cached(divergence)


_ASCENT, _DIVERGENCE = _build_ascent(STAMP), _build_divergence(STAMP)


def dual_numbers(sigma: float, weight: float, dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """The numbers that `ascend` takes."""
    number = dtype.type
    return number(sigma), number(weight), number(1)


def dual_step(x_bar: Array, p: Array, sigma: float, weight: float, threads: int | None = None) -> None:
    r"""p <- proj(p + sigma K x_bar) in place.

    Parameters
    ----------
    x_bar : shape (n, ny, nx), C-contiguous.
    p : dual variable, shape (2, n, ny, nx), C-contiguous; overwritten.
    sigma : dual step.
    weight : lambda >= 0, the radius of the dual ball.
    threads : how many; None for `fusionkit.fast_threads.thread_count`.
    """
    numbers = dual_numbers(sigma, weight, x_bar.dtype)
    x_bar = read_only(x_bar, x_bar.dtype)
    run(_ASCENT, [(x_bar, p, numbers, *rows) for rows in shares(x_bar.shape[1], thread_count(threads))])


def adjoint(p: Array, out: Array, threads: int | None = None) -> Array:
    """K'p, minus the divergence of ``p`` (2, n, ny, nx), into ``out`` (n, ny, nx)."""
    zeros = np.zeros(out.shape[2], out.dtype)
    p = read_only(p, p.dtype)
    run(
        _DIVERGENCE,
        [(p, read_only(zeros, p.dtype), out, *rows) for rows in shares(out.shape[1], thread_count(threads))],
    )
    return out
