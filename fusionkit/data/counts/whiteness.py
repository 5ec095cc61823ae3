"""Whether pixels share their noise, as they do in maps that were smoothed or interpolated."""

from __future__ import annotations

import numpy as np

from fusionkit.data.noise import mixed_differences
from fusionkit.terms import Array

# correlation of neighbouring second differences: white noise -2/3, on phantoms -0.61 to -0.70; smoothed by a Gaussian
# of half a pixel -0.57, of 0.7 pixels -0.28
_SHARED = -0.5


def shares_noise(image: Array) -> bool:
    """Whether neighbouring pixels of a map (ny, nx) share their noise; False where it is too small to tell."""
    if min(image.shape) < 16:
        return False
    mixed = mixed_differences(image)
    energy = float(np.mean(mixed * mixed))
    across, down = float(np.mean(mixed[:, 1:] * mixed[:, :-1])), float(np.mean(mixed[1:] * mixed[:-1]))
    return energy > 0.0 and (across + down) / (2.0 * energy) > _SHARED
