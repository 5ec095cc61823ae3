"""Groups of similar patches of all maps, shrunk to low rank on the square root of the counts.

Singular values are shrunk as M. Gavish, D. L. Donoho, IEEE Trans. Inf. Theory 63, 2137 (2017), for unit noise. The
groups are found in the smoothed maps first, then in the result, to which a quarter of the residual is added back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.specimens import Case
from benchmarks.accuracy.stabilised import counts_of, root
from fusionkit.arrays import Array

_SIDE, _SIMILAR, _SEARCH, _STEP = 5, 60, 20, 2
_BACK = 0.25
_PILOT = 1.5  # width of the first smoothing


def maps_alone(case: Case) -> tuple[Array, dict[str, Any]]:
    """Groups from the maps."""
    return counts_of(_denoised(root(case.dataset.arrays["maps"]))), {}


def with_image(case: Case) -> tuple[Array, dict[str, Any]]:
    """Groups from the maps and the image, which is one more channel of unit noise."""
    image = case.dataset.arrays["haadf"]
    channel = (image - image.mean()) / _noise(image)
    stack = np.concatenate([root(case.dataset.arrays["maps"]), channel[None]])
    return counts_of(_denoised(stack)[:-1]), {}


def _noise(image: Array) -> float:
    """Standard deviation of the noise, from second differences along both axes."""
    differences = np.diff(np.diff(image, 2, axis=0), 2, axis=1)
    return float(np.median(np.abs(differences)) / 0.6745 / 6)


def _denoised(channels: Array) -> Array:
    """Denoise channels (c, ny, nx) of unit noise."""
    pilot = np.stack([gaussian_filter(one, _PILOT) for one in channels])
    first = _pass(channels, pilot, 1.0)
    return _pass(first + _BACK * (channels - first), first, float(np.sqrt(_BACK + 0.02)))


def _patches(channels: Array) -> Array:
    """All patches, shape (ny - side + 1, nx - side + 1, c side side)."""
    windows = np.lib.stride_tricks.sliding_window_view(channels, (_SIDE, _SIDE), (1, 2))
    return windows.transpose(1, 2, 0, 3, 4).reshape(*windows.shape[1:3], -1)


def _pass(channels: Array, leading: Array, noise: float) -> Array:
    """Weighted mean of the shrunk patches of ``channels``, grouped by similarity in ``leading``."""
    search, values = _patches(leading).astype(np.float32), _patches(channels)
    height, width = values.shape[:2]
    total, weights = np.zeros(channels.shape), np.zeros(channels.shape[1:])
    columns = _places(width)
    for i in _places(height):
        groups = [_similar(search, i, j) for j in columns]
        rows, starts = (np.stack(part) for part in zip(*groups, strict=True))
        low, rank = _shrunk(values[rows, starts], noise)
        weight = 1.0 / (1 + rank)
        patches = (low * weight[:, None, None]).reshape(*low.shape[:2], len(channels), _SIDE, _SIDE)
        for y, x in np.ndindex(_SIDE, _SIDE):
            at = rows + y, starts + x
            np.add.at(weights, at, np.broadcast_to(weight[:, None], rows.shape))
            for channel, one in enumerate(total):
                np.add.at(one, at, patches[:, :, channel, y, x])
    return total / np.maximum(weights, 1e-9)


def _places(length: int) -> npt.NDArray[np.int_]:
    return np.unique(np.r_[np.arange(0, length, _STEP), length - 1])


def _similar(search: Array, i: int, j: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of the patches most similar to the one at (i, j)."""
    top, left = max(0, i - _SEARCH), max(0, j - _SEARCH)
    near = search[top : i + _SEARCH + 1, left : j + _SEARCH + 1]
    distance = ((near - search[i, j]) ** 2).sum(-1)
    rows, columns = np.divmod(np.argpartition(distance.ravel(), _SIMILAR)[:_SIMILAR], distance.shape[1])
    return rows + top, columns + left


def _shrunk(groups: Array, noise: float) -> tuple[Array, Array]:
    """Shrink groups (g, patches, values) to low rank; also the rank of each."""
    mean = groups.mean(1, keepdims=True)
    left, values, right = np.linalg.svd(groups - mean, full_matrices=False)
    small, large = sorted(groups.shape[1:])
    beta, unit = small / large, noise * np.sqrt(large)
    scaled = values / unit
    bulk = np.sqrt(np.maximum((scaled**2 - beta - 1) ** 2 - 4 * beta, 0)) / np.maximum(scaled, 1e-9)
    kept = np.where(scaled > 1 + np.sqrt(beta), bulk, 0.0)
    return (left * (kept * unit)[:, None, :]) @ right + mean, np.asarray((kept > 0).sum(1))
