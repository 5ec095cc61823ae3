"""Simulated recordings of a scene in three variants.

``model`` is fusionkit's own: the image is the sum of the maps' powers, with white noise. In ``physics`` it is linear in
thickness, with Poisson noise, an unknown gain and offset, and k-factors in the maps. ``hard`` adds a carbon film,
diffraction contrast, saturation, a shift of a pixel, distortion by the scan, a broader EDX probe and an EDX background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from benchmarks.accuracy.independent import SCENES
from benchmarks.accuracy.independent.scene import SIZE, Scene, X, Y
from fusionkit.data.elements import atomic_number
from fusionkit.data.phantoms.base import FloatArray

VARIANTS = ("model", "physics", "hard")
# counts per atom, relative: cross-section, yield and absorption of a plausible line
_YIELDS = {
    **{"O": 0.35, "Al": 0.65, "Si": 0.8, "Ti": 1.0, "Cr": 1.05, "Mn": 1.0, "Fe": 1.0, "Co": 1.0, "Ni": 1.0},
    **{"Cu": 1.0, "Zn": 0.95, "Mo": 0.6, "Pd": 0.65, "Hf": 0.7, "W": 0.65, "Pt": 0.75},
}
_GAIN, _OFFSET, _ELECTRONS, _READOUT = 3.7, 812.0, 1500, 2  # detector; electrons at the brightest pixel
_SATURATION = 2.5
_PROBE = 0.9  # standard deviation, pixels, of the EDX probe
_BACKGROUND = 0.10  # counts of the EDX background over those of the maps


@dataclass(frozen=True)
class Recorded:
    """A recording.

    Parameters
    ----------
    scene : the specimen.
    haadf : the image (ny, nx) in units of the detector.
    clean : the image without noise, in other units.
    maps, truth : counts (n, ny, nx) and their mean.
    """

    scene: Scene
    haadf: FloatArray
    clean: FloatArray
    maps: FloatArray
    truth: FloatArray


def record(name: str, variant: str, dose: float, seed: int = 0) -> Recorded:
    """Record a scene.

    Parameters
    ----------
    name : of `SCENES`.
    variant : one of `VARIANTS`.
    dose : mean counts a pixel and element, over the pixels that hold matter.
    seed : of specimen and noise.
    """
    scene = SCENES[name](np.random.default_rng(1000 + seed))
    random = np.random.default_rng([seed, int(dose * 10), VARIANTS.index(variant)])
    numbers = np.array([atomic_number(element) for element in scene.elements], np.float64)[:, None, None]
    yields = np.array([_YIELDS[element] for element in scene.elements])[:, None, None]
    truth = scene.density * (yields if variant != "model" else 1.0)
    if variant == "hard":
        truth = gaussian_filter(truth, (0, _PROBE, _PROBE), mode="nearest")
    matter = truth.sum(0) > 0.05 * truth.sum(0).max()
    truth = truth * dose / truth[:, matter].mean()
    if variant == "model":
        clean = ((numbers / numbers.mean() * truth) ** 1.7).sum(0)
        haadf = clean + random.standard_normal(clean.shape) * clean.max() / 50
    else:
        clean = (numbers**1.8 * scene.density).sum(0)
        if variant == "hard":
            clean = _distorted(_contrast(clean, scene), random)
        electrons = random.poisson(clean / clean.max() * _ELECTRONS)
        haadf = _OFFSET + _GAIN * electrons + random.standard_normal(clean.shape) * _GAIN * _READOUT
    if variant == "hard":
        background = gaussian_filter(0.12 * (numbers * scene.density).sum(0), _PROBE)
        truth = truth + background / background[matter].mean() * _BACKGROUND * truth[:, matter].mean()
    return Recorded(scene, haadf, clean, random.poisson(truth).astype(np.float64), truth)


def _contrast(image: FloatArray, scene: Scene) -> FloatArray:
    """Diffraction contrast, carbon film and saturation."""
    film = scene.film / scene.film.mean() * image.max() * scene.film_share
    image = image * scene.diffraction + film
    return image.max() * _SATURATION * (1 - np.exp(-image / image.max() / _SATURATION))


def _distorted(image: FloatArray, random: np.random.Generator) -> FloatArray:
    """A shift of about a pixel, slow drift of the scan, and jitter of its rows."""
    jitter = gaussian_filter1d(random.standard_normal(SIZE), 0.7) * 0.35
    y = Y + 0.5 + 0.35 * np.sin(Y / 23.0)
    x = X - 0.9 + jitter[:, None] + 0.3 * np.sin(y / 17.0)
    return np.maximum(map_coordinates(image, [y, x], order=3, mode="nearest"), 0)
