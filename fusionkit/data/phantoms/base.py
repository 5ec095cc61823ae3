r"""Options of all phantoms, and the simulation of images from areal densities of atoms.

A phantom is the projected areal density N_i of each element (atoms/nm²), thickness times number density. A common
factor k keeps the stoichiometry. The expected counts and the images are

.. math::
    x_i = k N_i, \qquad b_H = \sum_i (Z_i x_i / \bar Z)^\gamma + \mathcal N(0, \sigma^2), \qquad
    b_i \sim \mathrm{Poisson}(x_i), \qquad \sigma = \max(b_H) / \mathrm{SNR}.

The ground truth x therefore reproduces the HAADF image up to its noise under the term ``haadf`` with ``z: relative``
and the same gamma. Model: Schwartz et al., npj Comput. Mater. 8, 16 (2022).
"""

from abc import abstractmethod
from math import prod
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.ndimage import gaussian_filter

from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.options import Index, Options, Positive

FloatArray = npt.NDArray[np.float64]
Side = Annotated[int, Field(ge=8)]
# densities, truth, counts as integers and as floats, images and scratch, 8 bytes each
_BYTES_PER_VALUE = 64


class PhantomOptions(Options):
    """Options of every phantom.

    Parameters
    ----------
    seed : of the noise; the same seed gives the same bits.
    """

    seed: Index = 0

    @abstractmethod
    def bytes_needed(self) -> int:
        """Bytes that the simulation needs, roughly."""


class ImageOptions(PhantomOptions):
    """Options of the phantoms that have a HAADF image and maps.

    Parameters
    ----------
    size : pixels along both axes, or [ny, nx].
    field_of_view : width of the image along x, in nm.
    dose : mean counts per pixel, over the pixels that hold matter and over the elements.
    snr : maximum of the HAADF image over the standard deviation of its noise.
    gamma : exponent of the HAADF model.
    probe : standard deviation of the Gaussian probe that blurs the expected counts of the maps, in pixels; 0 for none.
    units : ``counts``, or ``relative`` to the greatest expected count, so that the ground truth is at most 1.
    """

    elements: ClassVar[tuple[str, ...]]

    size: Side | Annotated[list[Side], Field(min_length=2, max_length=2)] = 256
    field_of_view: Positive
    dose: Annotated[float, Field(gt=0, le=1e6)] = 20.0
    snr: Annotated[float, Field(ge=0.01, le=1e12)] = 50.0
    gamma: Annotated[float, Field(gt=0, le=4)] = 1.7
    probe: Annotated[float, Field(ge=0, le=100)] = 0.0
    units: Literal["counts", "relative"] = "counts"

    @property
    def grid(self) -> tuple[int, int]:
        """Pixels (ny, nx)."""
        return (self.size, self.size) if isinstance(self.size, int) else (self.size[0], self.size[1])

    @property
    def pixel_size(self) -> float:
        """Edge of a pixel, in nm."""
        return self.field_of_view / self.grid[1]

    def bytes_needed(self) -> int:
        """Bytes that the simulation needs, roughly."""
        return _BYTES_PER_VALUE * (len(self.elements) + 1) * prod(self.grid)

    def axes(self) -> tuple[FloatArray, FloatArray]:
        """Pixel centres from the centre of the image, in nm: y of shape (ny, 1), x of shape (1, nx)."""
        ny, nx = self.grid
        y = (np.arange(ny, dtype=np.float64)[:, None] - (ny - 1) / 2) * self.pixel_size
        x = (np.arange(nx, dtype=np.float64)[None, :] - (nx - 1) / 2) * self.pixel_size
        return y, x

    def check_resolved(self, name: str, length: float) -> None:
        """Refuse (`ValueError`, for a validator) a length in nm that is less than a pixel."""
        if length < self.pixel_size:
            pixel = f"a pixel of {self.pixel_size:.3g} nm"
            raise ValueError(f"{name} is {length:g} nm, less than {pixel}; lower field_of_view or raise size")


def record(options: ImageOptions, density: FloatArray, source: str) -> Dataset:
    """The recording of a specimen: HAADF image, maps and ground truth.

    Parameters
    ----------
    options : dose, noise, units and seed.
    density : projected areal density of each element, shape (n, ny, nx), in atoms/nm²; some of it positive.
    source : name of the dataset.
    """
    elements = options.elements
    matter = density.sum(axis=0) > 0
    truth = density * (options.dose / float(density[:, matter].mean()))
    # a stream for each image, so that no image changes the noise of another
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(1 + len(elements))]
    expected = [gaussian_filter(one, options.probe) if options.probe else one for one in truth]
    maps = np.stack([rng.poisson(one) for rng, one in zip(streams[1:], expected, strict=True)]).astype(np.float64)
    counts_per_unit = float(truth.max()) if options.units == "relative" else 1.0
    truth /= counts_per_unit
    maps /= counts_per_unit
    numbers = np.array([atomic_number(element) for element in elements], dtype=np.float64)
    scaled = (numbers / numbers.mean())[:, None, None] * truth
    clean = np.sum(scaled**options.gamma, axis=0)
    sigma = float(clean.max()) / options.snr
    haadf = clean + sigma * streams[0].standard_normal(clean.shape)
    return Dataset(
        {"haadf": haadf, "maps": maps},
        elements,
        options.pixel_size,
        "nm",
        truth=truth,
        source=source,
        seed=options.seed,
        haadf_sigma=sigma,
        counts_per_unit=counts_per_unit,
    )


def number_density(mass_density: float, formula_weight: float) -> float:
    """Formula units per nm³, from the mass density in g/cm³ and the formula weight in g/mol."""
    return mass_density / formula_weight * 602.214076  # Avogadro's number per mol, 1e21 nm³ per cm³
