"""Layers of a device on silicon: oxide, HfO2, TiN, W and an oxide cap, rough, with stripes from the ion beam."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import erf

from benchmarks.accuracy.independent.scene import SIZE, Scene, X, Y, random_field

_EDGES = (34.0, 41.0, 50.0, 64.0, 98.0)  # of the layers, from the substrate upwards
_INTERFACE = 1.1  # width of an interface


def layers(random: np.random.Generator) -> Scene:
    """Si, O, Hf, Ti, W."""
    depth = Y + 1.2 * gaussian_filter1d(random.standard_normal(SIZE), 8)[None] * 3
    ends = (-1e3, *_EDGES, 1e3)
    si, oxide, hafnia, nitride, tungsten, cap = (
        0.5 * (erf((depth - low) / _INTERFACE) - erf((depth - high) / _INTERFACE)) for low, high in pairwise(ends)
    )
    stripes = gaussian_filter1d(random.standard_normal(SIZE), 1.5, mode="wrap")[None] * 2.5
    thickness = (0.7 + 1.1 * Y / SIZE) * (1 + 0.035 * np.repeat(stripes, SIZE, 0))
    density = [
        50 * si + 22 * oxide + 22 * cap,
        44 * oxide + 55 * hafnia + 44 * cap + 4 * nitride,
        27.5 * hafnia,
        52 * nitride,
        63 * tungsten,
    ]
    return Scene(
        elements=("Si", "O", "Hf", "Ti", "W"),
        density=np.stack(density) * thickness,
        film=15 + 5 * random_field(random, 3),
        film_share=0.02,
        diffraction=1 + 0.12 * si * np.sign(np.sin(X / 9.0)) + 0.1 * nitride * random_field(random, 2.0),
        regions={
            "SiO2": oxide > 0.9,
            "HfO2": hafnia > 0.9,
            "TiN": nitride > 0.95,
            "W": tungsten > 0.95,
            "Si": si > 0.95,
        },
    )
