"""The specimen of a simulated recording, and shapes for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from fusionkit.data.phantoms.base import FloatArray

Mask = npt.NDArray[np.bool_]
SIZE = 128  # pixels along both axes; the lengths below are in pixels
Y, X = np.mgrid[:SIZE, :SIZE].astype(np.float64)


@dataclass(frozen=True)
class Scene:
    """A specimen.

    Parameters
    ----------
    elements : those that have a map.
    density : atoms of each element in a pixel, relative, shape (n, ny, nx).
    film : thickness of the carbon that only the image sees, relative, shape (ny, nx).
    film_share : brightness of the film over the greatest brightness of the specimen.
    diffraction : factor of diffraction contrast in the image, shape (ny, nx).
    regions : parts of uniform composition by name.
    """

    elements: tuple[str, ...]
    density: FloatArray
    film: FloatArray
    film_share: float
    diffraction: FloatArray
    regions: Mapping[str, Mask]


def random_field(random: np.random.Generator, width: float) -> FloatArray:
    """Gaussian random field of unit variance with correlation length ``width``, periodic."""
    field = gaussian_filter(random.standard_normal((SIZE, SIZE)), width, mode="wrap")
    return field / field.std()


def distances(points: FloatArray, y: FloatArray = Y) -> FloatArray:
    """Distance of each pixel from each of the points (y, x), shape (ny, nx, n)."""
    return np.hypot(y[..., None] - points[:, 0], X[..., None] - points[:, 1])


def nearest(points: FloatArray) -> npt.NDArray[np.intp]:
    """Index of the nearest point for each pixel: the grains of a Voronoi tessellation."""
    return np.argmin(distances(points), -1)


def boundary_distance(points: FloatArray, y: FloatArray = Y) -> FloatArray:
    """Approximate distance of each pixel from the boundary between the two nearest grains."""
    near = np.sort(distances(points, y), -1)
    return (near[..., 1] - near[..., 0]) / 2


def inside(distance: FloatArray, radius: float, steepness: float = 2.0) -> FloatArray:
    """1 within ``radius`` and 0 outside, with a logistic edge."""
    return 1 / (1 + np.exp((distance - radius) * steepness))
