r"""The damped projected Newton step on a chunk of pixels, as loops that the compiler turns into SIMD code.

A chunk has up to `fusionkit.engines.cpu.compile.CHUNK` pixels of a row. The outer loop runs over elements, the inner
one over pixels, and intermediate values stay in the first-level cache for any number of elements.

These functions run in compiled code only. Their arrays (elements, pixels), or rows of them, come from
`fusionkit.engines.cpu.compile.scratch`; ``fit`` is a `fusionkit.engines.cpu.joint_prox.Fit`, ``at`` is (row, first
column, number of pixels) of the chunk. A datum that is NaN was not measured: its weight is 0.
"""

from typing import Any

import numpy as np

from fusionkit.engines.cpu.compile import copy, inlined, merged
from fusionkit.engines.cpu.maths import power, rough_log
from fusionkit.engines.cpu.mixture import bound_mixture, change_mixture, expand_mixture
from fusionkit.engines.cpu.scalars import (
    bound_others,
    change_chains,
    change_others,
    expand_chains,
    expand_others,
)
from fusionkit.engines.losses import log

_ATTEMPTS = 8  # step lengths to try, as in fusionkit.pixelwise
_TOTAL, _ACROSS, _SHARE = 16, 20, 24  # rows of scratch for each image


@inlined
def predict(x: Any, y: Any, prediction: Any, fit: Any, m: int) -> None:
    """y = (Z x)^(gamma - 1) and prediction = sum_i y_i Z_i x_i of the first m pixels."""
    zero, parts = fit.zero, (fit.high, fit.low, fit.scaled)
    for k in range(m):
        prediction[k] = zero
    for i in range(fit.elements):
        xi, yi, z = x[i], y[i], fit.z[i]
        if fit.linear:
            for k in range(m):
                yi[k] = fit.one
                prediction[k] += z * xi[k]
        else:
            for k in range(m):
                s = z * xi[k]
                s = zero if s < zero else s
                raised = power(s, parts)
                yi[k] = raised
                prediction[k] += raised * s


@inlined
def expand(x: Any, v: Any, y: Any, g: Any, c: Any, rows: Any, fit: Any, inverse: Any, at: Any) -> None:
    """Gradient g, diagonal curvature c and coupling u (in place of y) of all terms and the quadratic."""
    j, first, m = at
    zero, one, prediction = fit.zero, fit.one, rows[0]
    for i in range(fit.elements):
        xi, vi, gi, ci, weight = x[i], v[i], g[i], c[i], inverse[i]
        for k in range(m):
            gi[k] = (xi[k] - vi[k]) * weight[k]
            ci[k] = weight[k]
        if fit.poisson:
            b, w = fit.counts[i, j, first : first + m], fit.poisson_weight
            for k in range(m):
                mean = xi[k] + fit.epsilon
                reciprocal = one / (fit.mean_floor if mean < fit.mean_floor else mean)
                ratio = (zero if np.isnan(b[k]) else b[k]) * reciprocal
                own = zero if np.isnan(b[k]) else w
                gi[k] += own * (one - ratio)
                ci[k] += own * (ratio * reciprocal)
        if fit.squares:
            b, w = fit.targets[i, j, first : first + m], fit.squares_weight
            for k in range(m):
                gi[k] += w * (xi[k] - (xi[k] if np.isnan(b[k]) else b[k]))
                ci[k] += zero if np.isnan(b[k]) else w
        expand_others(fit.others, xi, gi, ci, i, rows, at)
        if fit.power:
            image, yi, z = fit.image[j, first : first + m], y[i], fit.z[i]
            slope, bend = fit.gamma * z, fit.gamma * (fit.gamma - one) * z * z
            root, w = np.sqrt(fit.coupled_weight), fit.coupled_weight
            for k in range(m):
                missing = np.isnan(image[k])
                residual = w * (prediction[k] - (prediction[k] if missing else image[k]))
                s = z * xi[k]
                s = fit.floor if s < fit.floor else s
                raised = fit.floor_power if yi[k] < fit.floor_power else yi[k]
                curvature = residual * (bend * raised / s)
                gi[k] += residual * (slope * yi[k])
                ci[k] += zero if curvature < zero else curvature
                yi[k] = (zero if missing else root) * (slope * yi[k])
    expand_chains(fit.chains, x, y, g, c, rows, fit.elements, at)
    expand_mixture(fit.mixture, x, g, c, fit.elements, rows, at)


@inlined
def newton_direction(x: Any, u: Any, g: Any, c: Any, rows: Any, fit: Any, m: int) -> None:
    """The projected Newton direction in place of g, by the Sherman-Morrison formula; overwrites c.

    ``u`` has a row for each element and image, and one for each element beyond them for several images.
    """
    n, along, across, more = fit.elements, rows[1], rows[_ACROSS], rows[4]
    zero, one = fit.zero, fit.one
    for k in range(m):
        along[k] = zero
        across[k] = one
        more[k] = zero
    for a in range(fit.images):
        total = rows[_TOTAL + a]
        for k in range(m):
            total[k] = zero
        for i in range(n):
            ui = u[a * n + i]
            for k in range(m):
                total[k] += abs(ui[k])
    total = rows[_TOTAL]
    for i in range(n):
        xi, ui, gi, ci, free = x[i], u[i], g[i], c[i], u[fit.images * n + i]
        if fit.images > 1:
            for k in range(m):
                more[k] = zero
        for a in range(1, fit.images):
            further, its = u[a * n + i], rows[_TOTAL + a]
            for k in range(m):
                more[k] += abs(further[k]) * its[k]
        for k in range(m):
            # as in fusionkit.pixelwise: an element that the diagonal majorant moves to a bound stays there
            majorant = ci[k] + abs(ui[k]) * total[k] + more[k] if fit.coupled else ci[k]
            down, up = xi[k] - fit.lower, xi[k] - fit.upper
            sinks = (gi[k] > zero) & (gi[k] >= down * majorant)
            rises = (gi[k] < zero) & (gi[k] <= up * majorant)
            reciprocal = one / ci[k]
            gi[k] = down if sinks else (up if rises else gi[k] * reciprocal)
            if fit.coupled:
                ci[k] = zero if sinks | rises else ui[k] * reciprocal
                along[k] += ui[k] * gi[k]
                across[k] += ui[k] * ci[k]
            if fit.images > 1:
                free[k] = zero if sinks | rises else reciprocal
    if fit.coupled:
        _correct(g, c, 0, along, across, n, m)
    for a in range(1, fit.images):
        _add_image(u, g, c, rows, a, fit, m)


@inlined
def _correct(g: Any, s: Any, first: int, along: Any, across: Any, n: int, m: int) -> None:
    """g - s along / across, s in the rows from ``first``; overwrites ``along``."""
    for k in range(m):
        along[k] /= across[k]
    for i in range(n):
        gi, si = g[i], s[first + i]
        for k in range(m):
            gi[k] -= si[k] * along[k]


@inlined
def _add_image(u: Any, g: Any, c: Any, rows: Any, a: int, fit: Any, m: int) -> None:
    """Correct the direction for image a > 0 by s = H^-1 u, with H that of the images before, which replaces u."""
    n, along, across = fit.elements, rows[1], rows[_ACROSS + a]
    for b in range(a):
        share, below = rows[_SHARE + b], rows[_ACROSS + b]
        for k in range(m):
            share[k] = fit.zero
        for i in range(n):
            si, ui = (c[i] if b == 0 else u[b * n + i]), u[a * n + i]
            for k in range(m):
                share[k] += si[k] * ui[k]
        for k in range(m):
            share[k] /= below[k]
    for k in range(m):
        along[k] = fit.zero
        across[k] = fit.one
    for i in range(n):
        ui, gi, free, new = u[a * n + i], g[i], u[fit.images * n + i], rows[4]
        for k in range(m):
            new[k] = free[k] * ui[k]
        for b in range(a):
            si, share = (c[i] if b == 0 else u[b * n + i]), rows[_SHARE + b]
            for k in range(m):
                new[k] -= si[k] * share[k]
        for k in range(m):
            along[k] += ui[k] * gi[k]
            across[k] += ui[k] * new[k]
            ui[k] = new[k]
    _correct(g, u, a * n, along, across, n, m)


@inlined
def clipped(x: Any, move: Any, new: Any, fit: Any, m: int) -> None:
    """new = clip(x - move)."""
    for i in range(fit.elements):
        xi, di, ni = x[i], move[i], new[i]
        for k in range(m):
            t = xi[k] - di[k]
            t = fit.lower if t < fit.lower else t
            ni[k] = fit.upper if t > fit.upper else t


@inlined
def change_of(x: Any, v: Any, new: Any, y: Any, rows: Any, fit: Any, inverse: Any, at: Any) -> None:
    """The change of each pixel's objective (rows[1]) and its former value, roughly (rows[2])."""
    j, first, m = at
    prediction, change, before, after = rows[0], rows[1], rows[2], rows[3]
    zero, half, tiny, infinite = fit.zero, fit.half, fit.tiny, fit.infinite
    for k in range(m):
        change[k] = zero
        before[k] = zero
    for i in range(fit.elements):
        xi, vi, ni, weight = x[i], v[i], new[i], inverse[i]
        for k in range(m):
            far = xi[k] - vi[k]
            change[k] += half * weight[k] * ((ni[k] - xi[k]) * ((ni[k] - vi[k]) + far))
            before[k] += half * weight[k] * (far * far)
        if fit.poisson:
            b, w = fit.counts[i, j, first : first + m], fit.poisson_weight
            for k in range(m):
                old, mean = xi[k] + fit.epsilon, ni[k] + fit.epsilon
                outside = (mean < zero) | ((mean == zero) & (b[k] > zero))
                old = tiny if old < tiny else old
                mean = tiny if mean < tiny else mean
                gain = infinite if outside else (ni[k] - xi[k]) - b[k] * log(mean / old)
                former = xi[k] - b[k] * rough_log(old)
                change[k] += w * (zero if np.isnan(b[k]) else gain)
                before[k] += w * (zero if np.isnan(b[k]) else former)
        if fit.squares:
            b, w = fit.targets[i, j, first : first + m], half * fit.squares_weight
            for k in range(m):
                off = xi[k] - b[k]
                gain = (ni[k] - xi[k]) * ((ni[k] - b[k]) + off)
                change[k] += w * (zero if np.isnan(b[k]) else gain)
                before[k] += w * (zero if np.isnan(b[k]) else off * off)
        change_others(fit.others, xi, ni, change, before, i, rows, at)
    change_chains(fit.chains, new, y, rows, change, before, fit.elements, at)
    change_mixture(fit.mixture, x, new, change, before, fit.elements, rows, at)
    if fit.power:
        predict(new, y, after, fit, m)
        image, w = fit.image[j, first : first + m], half * fit.coupled_weight
        for k in range(m):
            off = prediction[k] - image[k]
            gain = (after[k] - prediction[k]) * ((after[k] - image[k]) + off)
            change[k] += w * (zero if np.isnan(image[k]) else gain)
            before[k] += w * (zero if np.isnan(image[k]) else off * off)


@inlined
def decreases(x: Any, v: Any, new: Any, u: Any, rows: Any, fit: Any, inverse: Any, at: Any) -> bool:
    r"""Whether the objective of every pixel decreases, by upper bounds without powers and logarithms.

    With d the move, t = d / (x + epsilon) and s = Z x, for t >= -1/2 and 1 <= gamma <= 2

    .. math::
        -\log(1 + t) \le -t + t^2/2 - t^3/3 + t^4/2, \qquad
        l \le (s + Z d)^\gamma - s^\gamma \le l (1 + c (\gamma - 1) d / x), \quad l = \gamma s^{\gamma - 1} Z d,

    with c = 1/2 for d > 0 and c = 1 / gamma for d < 0. The squared residual is convex and so greatest at one of the
    two ends. Nearly every step passes; otherwise `change_of` decides.
    """
    j, first, m = at
    low, high, change, size = rows[1], rows[2], rows[3], rows[4]
    zero, half, one, third = fit.zero, fit.half, fit.one, fit.third
    for k in range(m):
        low[k] = zero
        high[k] = zero
        change[k] = zero
        size[k] = zero
    for i in range(fit.elements):
        xi, vi, ni, weight = x[i], v[i], new[i], inverse[i]
        for k in range(m):
            part = half * weight[k] * ((ni[k] - xi[k]) * ((ni[k] - vi[k]) + (xi[k] - vi[k])))
            change[k] += part
            size[k] += abs(part)
        if fit.poisson:
            b, w = fit.counts[i, j, first : first + m], fit.poisson_weight
            for k in range(m):
                d, mean = ni[k] - xi[k], xi[k] + fit.epsilon
                t = d / (fit.mean_floor if mean < fit.mean_floor else mean)
                bound = t * (one - t * (half - t * (third - half * t)))
                part = w * (d - b[k] * bound)
                part = part if (t >= -half) & (mean >= fit.mean_floor) else fit.infinite
                reach = abs(d) + b[k] * abs(t)
                change[k] += zero if np.isnan(b[k]) else part
                size[k] += w * (zero if np.isnan(b[k]) else reach)
        if fit.squares:
            b, w = fit.targets[i, j, first : first + m], half * fit.squares_weight
            for k in range(m):
                part = w * ((ni[k] - xi[k]) * ((ni[k] - b[k]) + (xi[k] - b[k])))
                part = zero if np.isnan(b[k]) else part
                change[k] += part
                size[k] += abs(part)
        bound_others(fit.others, xi, ni, change, size, i, rows, at)
        if fit.power:
            ui, z = u[i], fit.z[i]
            floor, steep = fit.floor / z, fit.gamma * z * fit.floor_power * np.sqrt(fit.coupled_weight)
            up, down = half * (fit.gamma - one), (fit.gamma - one) / fit.gamma
            for k in range(m):
                d, slope = ni[k] - xi[k], ui[k]
                low[k] += slope * d
                least = floor if xi[k] < floor else xi[k]
                ratio = d / least
                slope = steep if (slope < steep) & (d > zero) else slope
                falls = one + down * ratio if (xi[k] >= floor) & (ratio >= -one) else zero
                high[k] += slope * d * (one + up * ratio if d > zero else falls)
    change_chains(fit.chains, new, u, rows, change, size, fit.elements, at)
    bound_mixture(fit.mixture, x, new, change, size, fit.elements, rows, at)
    if fit.power:
        prediction, image, root = rows[0], fit.image[j, first : first + m], np.sqrt(fit.coupled_weight)
        for k in range(m):
            off = root * (prediction[k] - image[k])
            a, b = low[k] * (off + half * low[k]), high[k] * (off + half * high[k])
            most = a if a > b else b
            change[k] += zero if np.isnan(image[k]) else most
            size[k] += zero if np.isnan(image[k]) else abs(high[k] * off)
    passed = 0
    for k in range(m):
        passed += change[k] <= fit.rounding * size[k]
    return passed == m


@merged
def newton(x: Any, v: Any, new: Any, work: Any, fit: Any, inverse: Any, steps: int, at: Any) -> None:
    """new = the prox of the chunk ``v``, by damped Newton steps from ``x``, which is overwritten if ``steps`` > 1.

    Parameters
    ----------
    work : scratch arrays y, g, c and rows.
    inverse : 1 / step of the prox, an array like x.
    """
    y, g, c, rows = work
    m = at[2]
    for step in range(steps):
        if step > 0:
            for i in range(fit.elements):
                copy(new[i], x[i], m)
        if fit.power:
            predict(x, y, rows[0], fit, m)
        expand(x, v, y, g, c, rows, fit, inverse, at)
        newton_direction(x, y, g, c, rows, fit, m)
        clipped(x, g, new, fit, m)
        if fit.bounded and decreases(x, v, new, y, rows, fit, inverse, at):
            continue
        for attempt in range(_ATTEMPTS):
            change_of(x, v, new, y, rows, fit, inverse, at)
            if not _shorten(g, rows, fit, attempt == _ATTEMPTS - 1, m):
                break
            clipped(x, g, new, fit, m)


@inlined
def _shorten(move: Any, rows: Any, fit: Any, last: bool, m: int) -> bool:
    """Quarter the move of every pixel whose objective grew, or undo it; returns whether there was such a pixel."""
    change, before, factor = rows[1], rows[2], rows[3]
    shorter = fit.zero if last else fit.half * fit.half
    worse = 0
    for k in range(m):
        # rounding must not shorten the step of a converged pixel; NaN counts as no decrease
        size = before[k] if before[k] > fit.zero else -before[k]
        grew = not (change[k] <= fit.rounding * size)
        factor[k] = shorter if grew else fit.one
        worse += grew
    if worse == 0:
        return False
    for i in range(fit.elements):
        mi = move[i]
        for k in range(m):
            mi[k] *= factor[k]
    return True
