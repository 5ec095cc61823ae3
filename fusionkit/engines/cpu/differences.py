r"""Building blocks of TV kernels: gradient, projection onto the dual ball and divergence of a chunk of a row.

`fusionkit.engines.cpu.tv` and `fusionkit.engines.cpu.tv_check` use them. `fusionkit.operators.linear.gradient` defines
the differences for x (n, ny, nx) with the dual variable p (2, n, ny, nx). ``field`` is None for plain TV, else
(xi, joint): xi (2, ny, nx) of `fusionkit.operators.linear.guided_gradient`, empty without a guide, and whether the maps
share a dual ball.
"""

from typing import Any

import numpy as np

from fusionkit.engines.cpu.compile import inlined, read_only
from fusionkit.engines.kernel_terms import TotalVariation
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
def stretch(down: Any, right: Any, boost: Any, i: int, quarter: Any, one: Any, at: Any) -> None:
    """Multiply (down, right[1:]) by 1 + boost / 4 at a chunk of map i: a longer dual step; unchanged without boost."""
    j, first, m = at
    if boost.shape[0] > 0:
        more = boost[i, j, first : first + m]
        for k in range(m):
            factor = one + quarter * more[k]
            down[k] *= factor
            right[k + 1] *= factor


@inlined
def ascend(p_down: Any, p_right: Any, down: Any, right: Any, boost: Any, numbers: Any, i: int, at: Any) -> None:
    """down, right = proj(p + sigma (down, right)) at a chunk of map i; ``numbers`` come from `dual_numbers`."""
    j, first, m = at
    sigma, radii, one, quarter, _, _ = numbers
    stretch(down, right, boost, i, quarter, one, at)
    radius = radii[i]
    old_down, old_right = p_down[j, first : first + m], p_right[j, first : first + m]
    for k in range(m):
        a, b = old_down[k] + sigma * down[k], old_right[k] + sigma * right[k + 1]
        length = np.sqrt(a * a + b * b)
        scale = one if length <= radius else radius / length
        down[k] = a * scale
        right[k + 1] = b * scale


@inlined
def project_out(down: Any, right: Any, xi: Any, at: Any) -> None:
    """D (down, right[1:]) in place at a chunk: v - xi (xi . v); unchanged without a field."""
    j, first, m = at
    if xi.shape[1] > 0:
        a, b = xi[0, j, first : first + m], xi[1, j, first : first + m]
        for k in range(m):
            across = a[k] * down[k] + b[k] * right[k + 1]
            down[k] -= a[k] * across
            right[k + 1] -= b[k] * across


@inlined
def clip(values: Any, radius: Any, m: int) -> None:
    """The nearest values within -radius and radius, in place."""
    for k in range(m):
        below = radius if values[k] > radius else values[k]
        values[k] = -radius if below < -radius else below


@inlined
def ascend_all(
    x: Any, p: Any, downs: Any, rights: Any, spare: Any, field: Any, boost: Any, numbers: Any, at: Any
) -> None:
    """downs[i], rights[i, 1:] = proj(p + sigma D grad x) at a chunk of all maps, in one joint ball or one ball each."""
    j, first, m = at
    sigma, radii, one, quarter, extra, anisotropic = numbers
    xi, joint = field
    n = x.shape[0]
    down, right, square = spare[0], spare[1], spare[2]
    for i in range(n):
        differences(x[i], down, right, at)
        project_out(down, right, xi, at)
        stretch(down, right, boost, i, quarter, one, at)
        old_down, old_right = p[0, i, j, first : first + m], p[1, i, j, first : first + m]
        di, ri = downs[i], rights[i]
        begins = i == 0 or not joint
        for k in range(m):
            a, b = old_down[k] + sigma * down[k], old_right[k] + sigma * right[k + 1]
            before = square[k]
            square[k] = a * a + b * b + (one - one if begins else before)
            di[k] = a
            ri[k + 1] = b
        if joint and i < n - 1:
            continue
        radius = radii[i]
        if anisotropic:
            clip(di, radius, m)
            clip(ri[1:], radius, m)
            continue
        least = radius + extra
        for k in range(m):
            length = np.sqrt(square[k])
            longer = least if length < least else length
            square[k] = one if (length <= radius) & (least == radius) else radius / longer
        for other in range(0 if joint else i, i + 1):
            di, ri = downs[other], rights[other]
            for k in range(m):
                di[k] *= square[k]
                ri[k + 1] *= square[k]


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
    """pulled = K'p at a chunk of one map with the dual variable (down, right[1:]).

    ``above`` is p_down of the chunk above, zero for the first row; ``right[0]`` is p_right left of the chunk, zero in
    the first column. Differences across the last row and column are zero by definition, so p is set to zero there.
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


def field_of(tv: TotalVariation, dtype: np.dtype[Any]) -> tuple[Array, bool] | None:
    """The argument ``field`` of the kernels; None for plain TV, which gets kernels of its own."""
    if tv.xi is None and not tv.joint and tv.isotropic:
        return None
    return read_only(np.zeros((2, 0, 0)) if tv.xi is None else tv.xi, dtype), tv.joint


def factors_of(tv: TotalVariation, maps: int, dtype: np.dtype[Any]) -> Array:
    """The factor of each map's weight."""
    return read_only(np.ones(maps) if tv.factors is None else np.array(tv.factors), dtype)


def dual_numbers(sigma: float, radii: Array, tv: TotalVariation, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """The argument ``numbers`` of `ascend`: sigma, the radius of each dual ball, 1, 1/4, sigma alpha, anisotropic."""
    number = dtype.type
    return number(sigma), radii, number(1), number(0.25), number(sigma * tv.smoothing), tv.anisotropic
