"""An aluminium film: needles of Al2Cu along two axes of each grain, and Zn that diffused along the boundaries."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy.independent.scene import SIZE, Scene, X, Y, boundary_distance, inside, nearest, random_field

_GRAINS, _NEEDLES = 7, 70
_DEPLETED = 4.0  # width of the zone without needles beside a boundary


def needles(random: np.random.Generator) -> Scene:
    """Al, Cu, Zn."""
    centres = random.uniform(0, SIZE, (_GRAINS, 2))
    grain, edge = nearest(centres), boundary_distance(centres)
    axes = random.uniform(0, np.pi / 2, _GRAINS)
    needle = np.zeros((SIZE, SIZE))
    for y, x in random.uniform(0, SIZE, (_NEEDLES, 2)):
        home = grain[int(y), int(x)]
        angle = axes[home] + random.integers(2) * np.pi / 2
        long, wide = random.uniform(4, 16), random.uniform(0.7, 1.6)
        along = np.abs(np.cos(angle) * (X - x) + np.sin(angle) * (Y - y))
        across = np.abs(np.cos(angle) * (Y - y) - np.sin(angle) * (X - x))
        needle = np.maximum(needle, inside(along, long) * inside(across, wide, 3.0) * (grain == home))
    needle *= 1 - np.exp(-((edge / _DEPLETED) ** 4))
    needle *= 0.8  # the rest of the thickness is matrix
    zn = 0.16 / (1 + np.exp((X - 50 - 40 * np.exp(-((edge / 5) ** 2))) / 14))
    cu = 0.015 + 0.06 * np.exp(-((edge / 1.2) ** 2))
    zn, cu = zn * (1 - needle), cu * (1 - needle) + 0.33 * needle
    thickness = 0.85 + 0.1 * random_field(random, 22)
    return Scene(
        elements=("Al", "Cu", "Zn"),
        density=np.stack([1 - cu - zn, cu, zn]) * thickness * 60,
        film=14 + 4 * random_field(random, 4),
        film_share=0.02,
        diffraction=random.uniform(0.9, 1.1, _GRAINS)[grain] * (1 + 0.05 * np.sin(X / 5.0 + 2 * grain)),
        regions={
            "rich in Zn": (X < 20) & (needle < 0.1),
            "poor in Zn": (X > 108) & (needle < 0.1) & (edge > 4),
            "needles": needle > 0.6,
        },
    )
