"""Small particles on a carbon film that overlap in projection: cores of PdFe in thin shells of Pt."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.independent.scene import SIZE, Scene, X, Y, random_field
from fusionkit.data.phantoms.base import FloatArray

_PARTICLES = 24
_SHELL = 2.2  # thickness of the shell
_HOLLOW = 5  # every fifth particle has lost its core


def core_shell(random: np.random.Generator) -> Scene:
    """Pt, Pd, Fe."""
    core, shell = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    iron, factor = np.zeros((SIZE, SIZE)), np.ones((SIZE, SIZE))
    centre = np.array([SIZE / 2, SIZE / 2])
    for index in range(_PARTICLES):
        radius = random.uniform(5, 15)
        centre = np.clip(centre + random.normal(0, 15, 2), 14, SIZE - 14)  # a random walk: chains and clumps
        squash, tilt = random.uniform(0.75, 1.0), random.uniform(0, np.pi)
        whole = _ellipsoid(centre, radius, squash, tilt)
        hole = _ellipsoid(centre, radius - _SHELL, squash, tilt)
        shell += whole - hole
        if index % _HOLLOW:
            core += hole
            iron += hole * random.uniform(0.25, 0.55)  # no two cores are alike
        factor = np.where(whole > 0.3 * radius, random.uniform(0.85, 1.15), factor)
    total = core + shell
    return Scene(
        elements=("Pt", "Pd", "Fe"),
        density=np.stack([66 * shell, 68 * (core - iron), 75 * iron]),
        film=18 + 5 * random_field(random, 5),
        film_share=0.06,
        diffraction=gaussian_filter(factor, 0.8),
        regions={"shells": (shell > 0.9 * total) & (total > 2), "cores": core > 0.6 * np.maximum(total, 10)},
    )


def _ellipsoid(centre: FloatArray, radius: float, squash: float, tilt: float) -> FloatArray:
    """Projected thickness, shape (ny, nx)."""
    y, x = Y - centre[0], X - centre[1]
    along, across = np.cos(tilt) * x + np.sin(tilt) * y, (np.cos(tilt) * y - np.sin(tilt) * x) / squash
    return 2 * np.sqrt(np.maximum(radius**2 - along**2 - across**2, 0))
