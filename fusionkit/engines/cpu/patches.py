r"""Filters for groups of similar patches: all channels of a group form one matrix, which is shrunk and put back.

The K patches nearest to a reference patch, within a window around it and in any of the 8 orientations of a square, are
the rows of a matrix (K, channels x P x P), each turned as the reference.
Its columns, minus their means, are divided by the standard deviation of the noise, so that their noise is white with
variance 1. `low_rank` shrinks the singular values,

.. math:: s \mapsto \sqrt{(s^2 - \beta - 1)^2 - 4 \beta} \,/\, s \quad (s > 1 + \sqrt\beta), \qquad 0 \text{ elsewhere,}

in units of :math:`\sqrt{\max(K, D)}`, with D columns and :math:`\beta = \min(K, D) / \max(K, D)`, which has the least
squared error of all shrinkage functions (M. Gavish, D. L. Donoho, IEEE Trans. Inf. Theory 63, 2137 (2017)). `wiener`
computes the posterior mean :math:`y C (C + I)^{-1}` for a Gaussian prior with the covariance C of the same patches in a
less noisy pilot (M. Lebrun, A. Buades, J.-M. Morel, SIAM J. Imaging Sci. 6, 1665 (2013)). A guide image is one more
channel of the prior: it informs the maps as far as the pilot's covariance couples the two. NaN in y marks values that
were not measured: `wiener` then conditions on the others, :math:`y_O (C_{OO} + I)^{-1} C_{O \cdot}`. The pilot
is smooth, so C couples few combinations of the columns; a random projection finds them (N. Halko, P.-G. Martinsson,
J. A. Tropp, SIAM Rev. 53, 217 (2011)).

Overlapping patches are averaged. Bands of rows are summed separately and added in a fixed order, so that the result
does not depend on the number of threads.
"""

from typing import Any

import numpy as np

from fusionkit.arrays import Array
from fusionkit.engines.cpu.compile import called, dot, kernel
from fusionkit.engines.cpu.patch_groups import (
    Grouping,
    banded,
    collect,
    compared_by,
    gather,
    lines,
    means_of,
    nearest,
    scratch,
)

_OWN = 0.75  # weight of a pixel's own mean variance; the rest is the mean variance of its patch
_LEFT = 0.01  # of the noise's variance of a patch may be missing in its prior
_STEP = 16  # vectors by which a basis grows
_ROUNDING = 1e-5  # of the trace, so that a basis of dependent rows exists


@called
def _mean_of_measured(values: Any, count: int, pilot: Any, out: Any) -> bool:
    """The mean of the measured values of each column, the pilot's where most are NaN; returns whether any is."""
    sparse = False
    for f in range(out.size):
        if not np.isnan(out[f]):
            continue
        sparse, number, total = True, 0, 0.0
        for k in range(count):
            if not np.isnan(values[k, f]):
                number, total = number + 1, total + values[k, f]
        out[f] = total / number if 2 * number > count else pilot[f]
    return sparse


@called
def _conditional(white: Any, known: Any, size: int) -> Any:
    """The posterior mean of the first ``size`` columns where ``white`` is NaN for what was not measured."""
    count = len(known)
    prior = known.T @ known / count
    rest, expected = np.ascontiguousarray(prior[:size, :size]), np.zeros((count, size))
    if known.shape[1] > size:  # the guide is known everywhere
        gain = np.linalg.solve(prior[size:, size:] + np.eye(known.shape[1] - size), prior[size:, :size].copy())
        rest -= np.ascontiguousarray(prior[:size, size:]) @ gain
        expected = np.ascontiguousarray(white[:, size:]) @ gain
    complete = np.linalg.solve(rest + np.eye(size), rest)
    for k in range(count):
        seen = np.flatnonzero(~np.isnan(white[k, :size]))
        if seen.size == size:
            apart = np.empty((1, size))
            for b in range(size):
                apart[0, b] = white[k, b] - expected[k, b]
            apart = apart @ complete
            for b in range(size):
                expected[k, b] += apart[0, b]
            continue
        covariance, left = np.empty((seen.size, seen.size)), np.empty((seen.size, 1))
        for a in range(seen.size):
            for b in range(seen.size):
                covariance[a, b] = rest[seen[a], seen[b]]
            covariance[a, a] += 1.0
            left[a, 0] = white[k, seen[a]] - expected[k, seen[a]]
        left = np.linalg.solve(covariance, left)
        for a in range(seen.size):
            for b in range(size):
                expected[k, b] += left[a, 0] * rest[seen[a], b]
    return expected


@called
def _spreads(means: Any, channels: int, floors: Any, out: Any) -> None:
    """The noise's standard deviation in each column, from the mean variance of the column and of its channel."""
    size = means.size // channels
    for channel in range(channels):
        level = 0.0
        for f in range(channel, means.size, channels):
            level += means[f] / size
        for f in range(channel, means.size, channels):
            out[f] = np.sqrt(max(_OWN * means[f] + (1.0 - _OWN) * level, floors[channel]))


@called
def _scatter(
    values: Any, means: Any, spreads: Any, weight: float, places: Any, orders: Any, sizes: Any, total: Any, cover: Any
) -> None:
    """Add the filtered patches of a group to the sums of a band, whose first row is sizes[3]."""
    count, patch, channels, first = sizes
    rows, columns, turns, _ = places
    for k in range(count):
        for f in range(patch * patch):
            at = orders[turns[k], f]
            row, column = rows[k] + at // patch - first, columns[k] + at % patch
            for c in range(channels):
                g = f * channels + c
                total[row, column * channels + c] += weight * (values[k, g] * spreads[g] + means[g])
            cover[row, column] += weight


@kernel
def _low_rank(
    data: Any, noise: Any, floors: Any, compared: Any, centres: Any, how: Any, first: int, total: Any, cover: Any
) -> None:
    channels, size = floors.size, floors.size * how.patch * how.patch
    best, turned, places = scratch(compared, how)
    orders = compared[3]
    values = np.empty((how.similar, size))
    means, variances, spreads = np.empty(size), np.empty(size), np.empty(size)
    for i, j in centres:
        count = nearest(compared, i, j, how, best, turned, places)
        sizes = (count, how.patch, channels, first)
        collect(data, noise, places, orders, sizes, values, means, variances)
        _spreads(variances, channels, floors, spreads)
        white = (values[:count] - means) / spreads
        tall = count > size
        eigenvalues, vectors = np.linalg.eigh(white.T @ white if tall else white @ white.T)
        few, many = min(count, size), max(count, size)
        beta, rank = few / many, 0
        shrink = np.zeros(few)
        for k in range(few):
            square = max(eigenvalues[k], 0.0) / many
            if square > (1.0 + np.sqrt(beta)) ** 2:
                shrink[k] = np.sqrt(max((square - beta - 1.0) ** 2 - 4.0 * beta, 0.0)) / square
                rank += 1
        kept = np.ascontiguousarray(vectors[:, few - rank :])
        scaled = kept * shrink[few - rank :]
        filtered = (white @ scaled) @ kept.T if tall else scaled @ (kept.T @ white)
        _scatter(filtered, means, spreads, 1.0 / (1 + rank), places, orders, sizes, total, cover)


@called
def _posterior(white: Any, known: Any, size: int) -> Any:
    """The posterior mean y C (C + I)^-1 of the first ``size`` columns, with C of ``known``."""
    count, columns = known.shape
    # with C = A'A / K, it equals y A' (A A' + K I)^-1 A: solve the smaller of the two systems
    if count > columns:
        normal = known.T @ known
        right = normal[:, :size].copy()
        for f in range(columns):
            normal[f, f] += count
        return white @ np.linalg.solve(normal, right)
    normal = known @ known.T
    right = known @ white.T
    for k in range(count):
        normal[k, k] += count
    return np.linalg.solve(normal, right).T @ np.ascontiguousarray(known[:, :size])


@called
def _project(prior: Any, signs: Any, first: int, most_left: float, basis: Any, inside: Any) -> int:
    """An orthonormal basis of what the rows of ``prior`` have in common, and the rows in it.

    It spans ``first`` and more sums of the rows with random signs, until at most ``most_left`` of the trace of the
    covariance is missing. Returns their number, 0 where that takes more than half of the rows.
    """
    count, size = prior.shape
    left, rank, step = 0.0, 0, first
    for k in range(count):
        left += dot(prior[k], prior[k], size)
    while 2 * (rank + step) <= min(count, size):
        sums, own = np.ascontiguousarray(signs[rank : rank + step, :count]) @ prior, basis[rank : rank + step]
        if rank:
            known = (sums @ basis[:rank].T) @ basis[:rank]
            for k in range(step):
                for f in range(size):
                    sums[k, f] -= known[k, f]
        gram = (sums @ sums.T).astype(np.float64)
        for k in range(step):
            gram[k, k] += _ROUNDING * left + 1e-30
        np.dot(np.linalg.inv(np.linalg.cholesky(gram)).astype(np.float32), sums, own)
        added = prior @ own.T
        for k in range(count):
            left -= dot(added[k], added[k], step)
            for f in range(step):
                inside[k, rank + f] = added[k, f]
        rank += step
        if left <= most_left * count:
            return rank
        step = _STEP
    return 0


@kernel
def _wiener(
    data: Any,
    noise: Any,
    floors: Any,
    pilot: Any,
    guide: Any,
    signs: Any,
    compared: Any,
    centres: Any,
    how: Any,
    first: int,
    total: Any,
    cover: Any,
) -> None:
    channels, size, of_guide = floors.size, floors.size * how.patch * how.patch, how.patch * how.patch
    shown = of_guide if guide.size else 0
    best, turned, places = scratch(compared, how)
    orders = compared[3]
    values, prior = np.empty((how.similar, size), np.float32), np.empty((how.similar, size), np.float32)
    basis, images = np.empty_like(prior), np.empty((how.similar, of_guide))
    within = np.empty((how.similar, how.similar), np.float32)
    level, level_before, scale = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    means, variances, spreads = np.empty(size), np.empty(size), np.empty(size)
    before, brightness, start = np.empty(size), np.empty(of_guide), _STEP
    for i, j in centres:
        count = nearest(compared, i, j, how, best, turned, places)
        sizes = (count, how.patch, channels, first)
        collect(data, noise, places, orders, sizes, values, means, variances)
        _spreads(variances, channels, floors, spreads)
        gather(pilot, places, orders, count, channels, how.patch, prior)
        means_of(prior, count, before)
        sparse = _mean_of_measured(values, count, before, means)
        for f in range(size):
            level[f], level_before[f], scale[f] = means[f], before[f], 1.0 / spreads[f]
        for k in range(count):
            for f in range(size):
                values[k, f] = (values[k, f] - level[f]) * scale[f]
                prior[k, f] = (prior[k, f] - level_before[f]) * scale[f]
        rank, columns, inside, seen = 0, size, prior, values[:count]
        if not sparse:
            rank = _project(prior[:count], signs, start, _LEFT * of_guide, basis, within)
        if rank:
            columns, inside, seen = rank, within, values[:count] @ basis[:rank].T
            start = max(rank - _STEP // 2, _STEP)
        white, known = np.empty((count, columns + shown)), np.empty((count, columns + shown))
        if shown:
            gather(guide, places, orders, count, 1, how.patch, images)
            means_of(images, count, brightness)
        for k in range(count):  # slices would check their shapes, which takes seconds to compile
            for f in range(columns):
                white[k, f], known[k, f] = seen[k, f], inside[k, f]
            for f in range(shown):
                white[k, columns + f] = known[k, columns + f] = images[k, f] - brightness[f]
        posterior = _conditional(white, known, columns) if sparse else _posterior(white, known, columns)
        filtered = posterior.astype(np.float32)
        if rank:
            filtered = filtered @ basis[:rank]
        _scatter(filtered, means, spreads, 1.0, places, orders, sizes, total, cover)


def low_rank(data: Array, noise: Array, floors: Array, features: Array, how: Grouping) -> Array:
    """The data with the singular values of each group shrunk.

    Parameters
    ----------
    data : (n, ny, nx).
    noise : variance of the noise of each value, of the shape of ``data``; averaged over a group.
    floors : least variance of the noise of each channel, (n,).
    features : images by which patches are compared, (m, ny, nx), with one noise variance.
    how : sizes of patches and groups; a patch must fit into the image.
    """
    fixed = (lines(data), lines(noise), np.asarray(floors, np.float64), compared_by(features, how))
    return _averaged(_low_rank.kept, fixed, data.shape, how)


def wiener(
    data: Array, noise: Array, floors: Array, pilot: Array, guide: Array | None, features: Array, how: Grouping
) -> Array:
    """The data with each group filtered by its covariance in the pilot.

    Parameters
    ----------
    pilot : of the shape of ``data``.
    guide : image (ny, nx) with noise of variance 1; None for none.
    data, noise, floors, features, how : as in `low_rank`; NaN in ``data`` was not measured.
    """
    shown = np.zeros((0, 0)) if guide is None else np.ascontiguousarray(guide, np.float64)
    signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0], np.float32), (how.similar, how.similar))
    images = (lines(data, np.float32), lines(noise, np.float32), np.asarray(floors, np.float64))
    fixed = (*images, lines(pilot, np.float32), shown, signs, compared_by(features, how))
    return _averaged(_wiener.kept, fixed, data.shape, how)


def _averaged(compiled: Any, fixed: tuple[Any, ...], shape: tuple[int, ...], how: Grouping) -> Array:
    """The average of each pixel over all groups."""
    total, cover = banded(compiled, fixed, shape, how)
    return total / cover
