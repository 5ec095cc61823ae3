"""Recordings that break the model, made from a phantom's ground truth.

All change only the image and keep maps and truth, except `stepped`, where the specimen itself has steps.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.phantoms.base import FloatArray
from fusionkit.data.phantoms.nanoparticle import sphere
from fusionkit.terms import Array

TERRACES = (1.0, 0.8, 0.6, 0.8)  # relative thickness, from left to right
_GAMMA = 1.7
_UNMAPPED = "Pd"
_INCLUSIONS = ((-9.0, -6.0), (-3.0, 11.0), (8.0, -10.0), (10.0, 6.0), (1.0, 0.0))  # centres (y, x), nm
_RADIUS = 3.0  # nm, of an inclusion
_ATOMS = 68.0  # of Pd per nm³


def terraces(width: int) -> FloatArray:
    """Relative thickness of each column of pixels, shape (width,)."""
    return np.asarray(TERRACES)[np.arange(width) * len(TERRACES) // width]


def predicted(maps: Array, elements: tuple[str, ...], gamma: float = _GAMMA) -> FloatArray:
    """The image of these maps, sum_i (Z_i x_i / mean Z)^gamma, shape (ny, nx)."""
    numbers = np.array([atomic_number(element) for element in elements], dtype=np.float64)
    return np.sum(((numbers / numbers.mean())[:, None, None] * maps) ** gamma, axis=0)


def stepped(dataset: Dataset, seed: int) -> Dataset:
    """A specimen with steps in thickness, in image and maps; the mean dose stays."""
    truth = _truth(dataset) * terraces(_truth(dataset).shape[2])
    filled = truth.sum(axis=0) > 0
    truth = truth * (_truth(dataset)[:, filled].mean() / truth[:, filled].mean())
    clean = predicted(truth, dataset.elements)
    random = np.random.default_rng([seed, 1])
    sigma = float(clean.max()) * _relative_noise(dataset)
    arrays = {"haadf": clean + sigma * random.standard_normal(clean.shape), "maps": random.poisson(truth).astype(float)}
    return replace(dataset, arrays=arrays, truth=truth, haadf_sigma=sigma)


def steps_in_the_image(dataset: Dataset) -> Dataset:
    """Only the image has the steps of `terraces`, as with diffraction contrast."""
    truth = _truth(dataset)
    change = predicted(truth * terraces(truth.shape[2]), dataset.elements) - predicted(truth, dataset.elements)
    return _image(dataset, dataset.arrays["haadf"] + change)


def unmapped_element(dataset: Dataset) -> Dataset:
    """Inclusions of Pd that the image shows and no map has."""
    truth = _truth(dataset)
    ny, nx = truth.shape[1:]
    pixel = dataset.pixel_size or 1.0
    y = (np.arange(ny)[:, None] - (ny - 1) / 2) * pixel
    x = (np.arange(nx)[None, :] - (nx - 1) / 2) * pixel
    thickness = sum((sphere(y - cy, x - cx, _RADIUS) for cy, cx in _INCLUSIONS), np.zeros((ny, nx)))
    mean = np.mean([atomic_number(element) for element in dataset.elements])
    added = (atomic_number(_UNMAPPED) / mean * _ATOMS * _counts_per_atom(dataset) * thickness) ** _GAMMA
    return _image(dataset, dataset.arrays["haadf"] + added)


def shifted_image(dataset: Dataset, pixels: int = 1) -> Dataset:
    """The image lies ``pixels`` to the right of the maps."""
    return _image(dataset, np.roll(dataset.arrays["haadf"], pixels, axis=1))


def calibrated(dataset: Dataset, gamma: float) -> Dataset:
    """The image in the units of a model with another exponent, by one factor fitted to the smoothed maps.

    Every user does this, since a detector has its own units. It does not use the truth.
    """
    image = dataset.arrays["haadf"]
    smooth = np.stack([gaussian_filter(np.asarray(one, np.float64), 3.0) for one in dataset.arrays["maps"]])
    model = predicted(smooth, dataset.elements, gamma)
    factor = float(np.vdot(image, model) / np.vdot(image, image))
    sigma = None if dataset.haadf_sigma is None else factor * dataset.haadf_sigma
    return replace(_image(dataset, factor * image), haadf_sigma=sigma)


def _image(dataset: Dataset, image: Array) -> Dataset:
    return replace(dataset, arrays={**dataset.arrays, "haadf": image})


def _truth(dataset: Dataset) -> Array:
    if dataset.truth is None:
        raise ValueError(f"{dataset.source} has no ground truth")
    return dataset.truth


def _relative_noise(dataset: Dataset) -> float:
    """Noise of the image over the maximum of the noiseless image."""
    assert dataset.haadf_sigma is not None
    return dataset.haadf_sigma / float(predicted(_truth(dataset), dataset.elements).max())


def _counts_per_atom(dataset: Dataset) -> float:
    """Expected counts per atom/nm²: CoO at the rim and CoS inside hold about 52 atoms of Co per nm³."""
    co = _truth(dataset)[dataset.elements.index("Co")]
    return float(co.max()) / (52.0 * 40.0)
