"""A particle of a battery's cathode: grains, cracks, pores, Mn rising towards the rim, Co at the boundaries."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy.independent.scene import SIZE, Scene, X, Y, boundary_distance, inside, nearest, random_field

_CENTRE, _RADIUS = 64, 58
_PORES = 9


def cathode(random: np.random.Generator) -> Scene:
    """Ni, Mn, Co, O."""
    centres = random.uniform(0, SIZE, (26, 2))
    centres = centres[np.hypot(centres[:, 0] - _CENTRE, centres[:, 1] - _CENTRE) < 62]
    edge = boundary_distance(centres)
    radius = np.hypot(Y - _CENTRE, X - _CENTRE) + 2 * random_field(random, 8)
    solid = inside(radius, _RADIUS, 1.6)
    crack = np.exp(-((np.maximum(edge - 0.3, 0) / 0.9) ** 2)) * (random_field(random, 7) > -0.3)
    pores = np.zeros((SIZE, SIZE))
    for _ in range(_PORES):
        angle, far, wide = random.uniform(0, 6.3), random.uniform(0, 48), random.uniform(2, 5)
        distance = np.hypot(Y - _CENTRE - far * np.sin(angle), X - _CENTRE - far * np.cos(angle))
        pores = np.maximum(pores, inside(distance, wide))
    thickness = solid * (1 - 0.8 * crack) * (1 - pores) * (0.9 + 0.25 * Y / SIZE)
    mn = np.clip(0.08 + 0.35 * np.clip((radius - 20) / 38, 0, 1) ** 2, 0, 1)
    co = 0.12 + 0.08 * np.exp(-((edge / 2) ** 2))
    diffraction = random.uniform(0.92, 1.08, len(centres))[nearest(centres)]
    return Scene(
        elements=("Ni", "Mn", "Co", "O"),
        density=np.stack([1 - mn - co, mn, co, 2 + 0 * mn]) * thickness * 30,
        film=12 + 4 * random_field(random, 4),
        film_share=0.03,
        diffraction=diffraction,
        regions={
            "core": (radius < 22) & (thickness > 0.7),
            "rim": (radius > 48) & (radius < 55) & (thickness > 0.6),
        },
    )
