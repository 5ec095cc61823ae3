"""Groups of similar patches: where they are, in which orientation, and their pixels, for `patches`.

Two patches are compared in the 8 orientations of a square. Rings around the centre of a patch stay where they are: the
distance of their means is at most that of the patches in any orientation, and most candidates go no further.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fusionkit.arrays import Array
from fusionkit.engines.cpu.compile import announce_compilation, called, inlined, summing
from fusionkit.engines.cpu.threads import run_in_order

_LIKELY = 0.5  # share of the greatest distance in the group before, below which patches are compared first

_BAND = 24  # rows of a band

Integers = npt.NDArray[np.int_]


class Grouping(NamedTuple):
    """How patches are grouped."""

    patch: int = 5  # side P of a patch, in pixels
    similar: int = 120  # K, patches in a group
    search: int = 28  # half width of the search window around the reference, in pixels
    stride: int = 3  # pixels from one reference patch to the next
    turns: int = 8  # orientations in which patches are compared: those of the square, or 1


@summing
def _distance(one: Any, features: Any, row: int, column: int, length: int, patch: int, worst: Any) -> Any:
    """Squared distance of a patch, a vector, and one of (ny, nx * channels); stops early beyond ``worst``."""
    total = features[0, 0] * 0
    for u in range(patch):
        other = features[row + u, column : column + length]
        for k in range(length):
            step = one[u * length + k] - other[k]
            total += step * step
        if total > worst:
            break
    return total


@summing
def _least_distance(one: Any, other: Any) -> Any:
    """Squared distance of the rings of two patches: no orientation has a smaller one."""
    total = one[0] * 0
    for k in range(one.size):
        step = one[k] - other[k]
        total += step * step
    return total


@inlined
def _put(best: Any, which: Any, far: Any, one: int, at: int, count: int) -> None:
    """Put a distance into the heap of ``count``, greatest first, from ``at`` down."""
    while 2 * at + 1 < count:
        below = 2 * at + 1
        if below + 1 < count and best[below + 1] > best[below]:
            below += 1
        if best[below] <= far:
            break
        best[at], which[at], at = best[below], which[below], below
    best[at], which[at] = far, one


@called
def nearest(compared: Any, i: int, j: int, how: Any, best: Any, turned: Any, places: Any) -> int:
    """Find the patches nearest to the one at (i, j), itself included, in no order; returns their number."""
    features, rings, backs, _ = compared
    rows, columns, turns, bounds = places
    ny, nx = rings.shape[0], rings.shape[1]
    channels = features.shape[1] // (nx + how.patch - 1)
    length, count = how.patch * channels, 0
    for turn in range(how.turns):
        for k in range(how.patch * how.patch):
            first = (j + backs[turn, k] % how.patch) * channels
            for c in range(channels):
                turned[turn, k * channels + c] = features[i + backs[turn, k] // how.patch, first + c]
    worst, width = features.dtype.type(np.inf), 2 * how.search + 1
    limit = _LIKELY * best[0]  # of the group before: those below it come first, so that few others are near enough
    for likely in (True, False):
        for row in range(max(0, i - how.search), min(ny, i + how.search + 1)):
            for column in range(max(0, j - how.search), min(nx, j + how.search + 1)):
                at = (row - i + how.search) * width + column - j + how.search
                if likely:
                    bounds[at] = _least_distance(rings[i, j], rings[row, column])
                if bounds[at] >= worst or (bounds[at] < limit) != likely or (row == i and column == j):
                    continue
                least, which = worst, 0
                for turn in range(how.turns):
                    far = _distance(turned[turn], features, row, column * channels, length, how.patch, least)
                    if far < least:
                        least, which = far, (row * nx + column) * how.turns + turn
                if least >= worst:
                    continue
                if count < how.similar - 1:
                    best[count], rows[count] = least, which
                    count += 1
                    for k in range(count // 2 - 1, -1, -1) if count == how.similar - 1 else range(0):
                        _put(best, rows, best[k], rows[k], k, count)
                else:
                    _put(best, rows, least, which, 0, count)
                if count == how.similar - 1:
                    worst = best[0]
    # the reference belongs to the group even if many patches equal it
    rows[count] = (i * nx + j) * how.turns
    for k in range(count + 1):
        which = rows[k]
        rows[k], columns[k], turns[k] = which // how.turns // nx, which // how.turns % nx, which % how.turns
    return count + 1


@called
def gather(image: Any, places: Any, orders: Any, count: int, channels: int, patch: int, out: Any) -> None:
    """Copy the patches of an image (ny, nx * channels), turned, into the rows of ``out`` (count, P * P * channels)."""
    rows, columns, turns, _ = places
    for k in range(count):
        for f in range(patch * patch):
            at = orders[turns[k], f]
            row, first = rows[k] + at // patch, (columns[k] + at % patch) * channels
            for c in range(channels):
                out[k, f * channels + c] = image[row, first + c]


@called
def means_of(rows: Any, count: int, out: Any) -> None:
    """The mean of the rows."""
    out[:] = 0.0
    for k in range(count):
        for f in range(out.size):
            out[f] += rows[k, f]
    for f in range(out.size):
        out[f] /= count


@called
def collect(
    data: Any, noise: Any, places: Any, orders: Any, sizes: Any, values: Any, means: Any, variances: Any
) -> None:
    """The patches of a group in ``values``, their mean, and the mean variance of their noise."""
    count, patch, channels, _ = sizes
    gather(noise, places, orders, count, channels, patch, values)
    means_of(values, count, variances)
    gather(data, places, orders, count, channels, patch, values)
    means_of(values, count, means)


@called
def scratch(compared: Any, how: Any) -> tuple[Any, Any, Any]:
    """Distances of a group, the turned reference, and the places (rows, columns, orientations) of its patches."""
    features, rings, _, _ = compared
    channels = features.shape[1] // (rings.shape[1] + how.patch - 1)
    turned = np.empty((how.turns, how.patch * how.patch * channels), features.dtype)
    rows, columns, turns = (
        np.empty(how.similar, np.int64),
        np.empty(how.similar, np.int64),
        np.empty(how.similar, np.int64),
    )
    bounds = np.empty((2 * how.search + 1) ** 2, features.dtype)
    return np.zeros(how.similar, features.dtype), turned, (rows, columns, turns, bounds)


def compared_by(features: Array, how: Grouping) -> tuple[Array, Array, Integers, Integers]:
    """Features, the rings of each patch, and the order of its pixels in the inverse of each orientation and in it."""
    pixels = np.arange(how.patch**2).reshape(how.patch, how.patch)
    orders = np.array([np.rot90(p, k).ravel() for p in (pixels, pixels[:, ::-1]) for k in range(4)])
    backs = orders[[0, 3, 2, 1, 4, 5, 6, 7]]
    return lines(features, np.float32), _rings(features, how.patch), backs, orders


def _rings(features: Array, patch: int) -> Array:
    """The features' means over the square rings of each patch, times the root of the number of pixels of a ring."""
    _, ny, nx = features.shape
    sums = np.pad(np.asarray(features, np.float64).cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
    rows, columns, former, rings = ny - patch + 1, nx - patch + 1, 0.0, []
    for size in range(2 - patch % 2, patch + 1, 2):
        low = (patch - size) // 2
        above, below = sums[:, low : low + rows], sums[:, low + size : low + size + rows]
        left, right = slice(low, low + columns), slice(low + size, low + size + columns)
        square = below[..., right] - below[..., left] - above[..., right] + above[..., left]
        rings.append((square - former) / np.sqrt(size**2 - max(size - 2, 0) ** 2))
        former = square
    return np.ascontiguousarray(np.moveaxis(np.concatenate(rings), 0, -1), np.float32)


def lines(stack: Array, dtype: npt.DTypeLike = np.float64) -> Array:
    """(n, ny, nx) as (ny, nx * n), so that a row of a patch is contiguous."""
    n, ny, nx = stack.shape
    return np.ascontiguousarray(np.moveaxis(np.asarray(stack, dtype), 0, -1)).reshape(ny, nx * n)


def banded(
    compiled: Any, fixed: tuple[Any, ...], shape: tuple[int, ...], how: Grouping, groups: dict[int, Any] | None = None
) -> tuple[Array, Array]:
    """The sums over all groups, (n, ny, nx) and (1, ny, nx), computed in bands, one for each thread at a time."""
    from threadpoolctl import threadpool_limits

    announce_compilation(compiled, np.float64)
    n, ny, nx = shape
    columns, rows = _references(nx, how), _references(ny, how)
    total, cover = np.zeros((ny, nx * n)), np.zeros((ny, nx))

    def calls() -> Iterator[tuple[Any, ...]]:
        for at in range(0, len(rows), _rows(how)):
            band = rows[at : at + _rows(how)]
            first, end = max(0, band[0] - how.search), min(ny, band[-1] + how.search + how.patch)
            centres = np.array([(i, j) for i in band for j in columns], np.int64)
            known = () if groups is None else (groups.setdefault(at, np.zeros((len(centres), how.similar), np.uint16)),)
            own = (np.zeros((end - first, nx * n)), np.zeros((end - first, nx)))
            yield (*fixed, *known, centres, how, first, *own)

    with threadpool_limits(limits=1, user_api="blas"):  # the bands use the threads
        for *_, first, sums, counts in run_in_order(compiled, calls()):
            total[first : first + len(sums)] += sums
            cover[first : first + len(sums)] += counts
    return np.moveaxis(total.reshape(ny, nx, n), -1, 0), cover[None]


def _rows(how: Grouping) -> int:
    """Rows of reference patches in a band."""
    return max(1, _BAND // how.stride)


def _references(size: int, how: Grouping) -> list[int]:
    """First pixels of the reference patches along an axis; together they cover it."""
    last = size - how.patch
    return sorted({*range(0, last + 1, min(how.stride, how.patch)), last})
