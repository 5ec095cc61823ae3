r"""A core-shell nanoparticle: a sphere of CoS inside a sphere of CoO, in vacuum.

A sphere of radius R has the projected thickness :math:`t(r) = 2 \sqrt{R^2 - r^2}` at the distance r from its centre.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import model_validator

from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_weight
from fusionkit.data.phantoms.base import FloatArray, ImageOptions, number_density, record
from fusionkit.options import NonNegative, Positive

# g/cm³; CRC Handbook of Chemistry and Physics, physical constants of inorganic compounds
_COS_DENSITY, _COO_DENSITY = 5.45, 6.44


class NanoparticleOptions(ImageOptions):
    """Options of ``cos_nanoparticle``.

    Parameters
    ----------
    radius : of the particle, in nm.
    core_radius : of the core, in nm.
    core_shift : how far the core lies off the centre along x, in nm; the core stays inside the particle.
    """

    elements: ClassVar[tuple[str, ...]] = ("Co", "S", "O")

    field_of_view: Positive = 50.0
    radius: Positive = 20.0
    core_radius: Positive = 12.0
    core_shift: NonNegative = 3.0

    @model_validator(mode="after")
    def _core_inside(self) -> NanoparticleOptions:
        self.check_resolved("core_radius", self.core_radius)
        if self.core_radius + self.core_shift > self.radius:
            reach = f"core_radius + core_shift = {self.core_radius + self.core_shift:g} nm"
            raise ValueError(f"{reach} leaves the particle; raise radius ({self.radius:g} nm) or lower them")
        return self


def cos_nanoparticle(options: NanoparticleOptions) -> Dataset:
    """The phantom ``cos_nanoparticle``: Co, S and O of a CoS core in a CoO shell."""
    y, x = options.axes()
    core = sphere(y, x - options.core_shift, options.core_radius)
    shell = sphere(y, x, options.radius) - core
    np.maximum(shell, 0.0, out=shell)  # rounding where the core touches the surface
    cos = core * number_density(_COS_DENSITY, atomic_weight("Co") + atomic_weight("S"))
    coo = shell * number_density(_COO_DENSITY, atomic_weight("Co") + atomic_weight("O"))
    return record(options, np.stack([cos + coo, cos, coo]), "phantom cos_nanoparticle")


def sphere(y: FloatArray, x: FloatArray, radius: float) -> FloatArray:
    """Projected thickness of a sphere about the origin, in nm, shape (ny, nx).

    Parameters
    ----------
    y, x : coordinates in nm, shapes (ny, 1) and (1, nx).
    radius : in nm.
    """
    return 2.0 * np.sqrt(np.maximum(radius**2 - y**2 - x**2, 0.0))
