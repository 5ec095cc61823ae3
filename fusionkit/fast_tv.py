r"""Isotropic total variation in compiled code: gradient, projection on the dual ball and divergence at parts of a row.

They are parts of the passes of `fusionkit.fast_engine` and `fusionkit.fast_check`; the definition of the differences,
for x (n, ny, nx) and its dual variable p (2, n, ny, nx), is `fusionkit.operators.gradient`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fusionkit.fast_jit import inlined


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
def relax(p_down: Any, p_right: Any, down: Any, right: Any, ahead: Any, behind: Any, at: Any) -> None:
    """p <- behind p + ahead p~ at a chunk of one map; p~ = (down, right[1:]) is overwritten with 2 p~ - p."""
    j, first, m = at
    a, b = p_down[j, first : first + m], p_right[j, first : first + m]
    for k in range(m):
        old, new = a[k], down[k]
        down[k] = (new - old) + new
        a[k] = behind * old + ahead * new
    for k in range(m):
        old, new = b[k], right[k + 1]
        right[k + 1] = (new - old) + new
        b[k] = behind * old + ahead * new


@inlined
def pull(above: Any, down: Any, right: Any, pulled: Any, shape: Any, at: Any) -> None:
    """pulled = K'p at a chunk of one map, where its dual variable is (down, right[1:]).

    ``above`` is p_down of the chunk above, zero for the first row; ``right[0]`` is p_right left of the chunk, zero in
    the first column. Differences across the last row and column are zero by definition, whatever p is there: it is
    zeroed.
    """
    j, first, m = at
    ny, nx = shape
    if first + m == nx:
        right[m] = right[m] - right[m]
    if j == ny - 1:
        for k in range(m):
            down[k] = down[k] - down[k]
    for k in range(m):
        pulled[k] = (right[k] - right[k + 1]) + (above[k] - down[k])


def dual_numbers(sigma: float, weight: float, dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """The numbers that `ascend` takes."""
    number = dtype.type
    return number(sigma), number(weight), number(1)
