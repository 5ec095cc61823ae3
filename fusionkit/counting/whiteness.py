"""Whether pixels share their noise, as they do in maps that were smoothed or interpolated."""

from __future__ import annotations

import numpy as np

from fusionkit.terms import Array

# correlation of neighbouring second differences: white noise -2/3, on phantoms -0.61 to -0.70; smoothed by a Gaussian
# of half a pixel -0.57, of 0.7 pixels -0.28
_SHARED = -0.5


def shares_noise(image: Array) -> bool:
    """Whether neighbouring pixels of a map (ny, nx) share their noise; False where it is too small to tell."""
    b = np.asarray(image, np.float64)
    if min(b.shape) < 16:
        return False
    rows = b[:-2] - 2.0 * b[1:-1] + b[2:]
    mixed = rows[:, :-2] - 2.0 * rows[:, 1:-1] + rows[:, 2:]
    energy = float(np.mean(mixed * mixed))
    across, down = float(np.mean(mixed[:, 1:] * mixed[:, :-1])), float(np.mean(mixed[1:] * mixed[:-1]))
    return energy > 0.0 and (across + down) / (2.0 * energy) > _SHARED
