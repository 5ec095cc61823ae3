"""A nickel alloy: grain boundaries rich in Mo and poor in Cr, with carbides on them; a wedge in thickness."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.independent.scene import (
    SIZE,
    Scene,
    X,
    Y,
    boundary_distance,
    inside,
    nearest,
    random_field,
)

_GRAINS, _CARBIDES = 11, 3


def grain_boundary(random: np.random.Generator) -> Scene:
    """Ni, Cr, Mo."""
    centres = random.uniform(4, SIZE - 4, (_GRAINS, 2))
    edge = boundary_distance(centres, Y + 3 * random_field(random, 9) * 0.6)
    cr = 0.20 - 0.10 * np.exp(-((edge / 4.0) ** 2))
    mo = 0.02 + 0.13 * np.exp(-0.5 * (edge / 1.3) ** 2)
    carbide = np.zeros((SIZE, SIZE))
    rows, columns = np.nonzero(edge < 0.6)
    for place in random.choice(len(rows), _CARBIDES, replace=False):
        distance = np.hypot(Y - rows[place], (X - columns[place]) * 0.6)
        carbide = np.maximum(carbide, inside(distance, 6))
    cr = cr * (1 - carbide) + 0.72 * carbide
    mo = mo * (1 - carbide) + 0.06 * carbide
    thickness = 0.75 + 0.7 * (X + 0.5 * Y) / (1.5 * SIZE)
    grains = random.uniform(0.88, 1.12, _GRAINS)[nearest(centres)]
    return Scene(
        elements=("Ni", "Cr", "Mo"),
        density=np.stack([1 - cr - mo, cr, mo]) * thickness * 90,
        film=20 + 6 * random_field(random, 4),
        film_share=0.02,
        diffraction=gaussian_filter(grains, 0.8),
        regions={
            "boundary": (edge < 1.5) & (carbide < 0.1),
            "matrix": (edge > 9) & (carbide < 0.05),
            "carbide": carbide > 0.8,
        },
    )
