r"""Overlapping films: Ga2O3 and In2O3 in turn, in cross-section, their interfaces tilted from the beam.

The films are stacked along y in a foil of thickness t. An interface that meets the middle of the foil at height h and
is tilted by theta is smeared in projection over the width :math:`w = t \tan\theta`, where the films overlap; beyond it
lies the thickness :math:`t\,\mathrm{clip}((y - h)/w + 1/2, 0, 1)`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_weight
from fusionkit.data.phantoms.base import FloatArray, ImageOptions, number_density, record
from fusionkit.options import NonNegative, Positive

# g/cm³; CRC Handbook of Chemistry and Physics, physical constants of inorganic compounds
_GA2O3_DENSITY, _IN2O3_DENSITY = 6.0, 7.18


class FilmsOptions(ImageOptions):
    """Options of ``films``.

    Parameters
    ----------
    films : how many, Ga2O3 first.
    film_thickness : of each film, in nm.
    foil_thickness : of the specimen along the beam, in nm.
    wedge : relative change of the foil's thickness from one side of the image to the other, along x.
    tilt : of the interfaces from the beam, in degrees.
    waviness : amplitude of the interfaces' waves, in nm; a wave is half as long as the image is wide.
    """

    elements: ClassVar[tuple[str, ...]] = ("Ga", "In", "O")

    field_of_view: Positive = 60.0
    films: Annotated[int, Field(ge=1, le=100)] = 4
    film_thickness: Positive = 10.0
    foil_thickness: Positive = 30.0
    wedge: Annotated[float, Field(ge=0, lt=2)] = 0.4
    tilt: Annotated[float, Field(ge=0, le=60)] = 8.0
    waviness: NonNegative = 1.5

    @model_validator(mode="after")
    def _resolved(self) -> FilmsOptions:
        self.check_resolved("film_thickness", self.film_thickness)
        if self.waviness > self.field_of_view:
            raise ValueError(f"waviness is {self.waviness:g} nm, more than the field of view; lower it")
        return self


def films(options: FilmsOptions) -> Dataset:
    """The phantom ``films``: Ga, In and O of films whose projections overlap."""
    y, x = options.axes()
    foil = options.foil_thickness * (1 + options.wedge * x / options.field_of_view)
    height = options.waviness * np.sin(4 * np.pi * x / options.field_of_view)
    ga2o3, in2o3 = np.zeros(options.grid), np.zeros(options.grid)
    bottom = height - options.film_thickness * options.films / 2
    for index in range(options.films):
        low = _above(y - bottom - index * options.film_thickness, foil, options)
        high = _above(y - bottom - (index + 1) * options.film_thickness, foil, options)
        (ga2o3, in2o3)[index % 2][...] += np.maximum(low - high, 0.0)
    oxygen = 3 * atomic_weight("O")
    ga = 2 * ga2o3 * number_density(_GA2O3_DENSITY, 2 * atomic_weight("Ga") + oxygen)
    indium = 2 * in2o3 * number_density(_IN2O3_DENSITY, 2 * atomic_weight("In") + oxygen)
    return record(options, np.stack([ga, indium, 1.5 * (ga + indium)]), "phantom films")


def _above(distance: FloatArray, foil: FloatArray, options: FilmsOptions) -> FloatArray:
    """Thickness of the foil beyond an interface, in nm, at the distance from it that is given in nm, shape (ny, nx)."""
    # at least a pixel wide, which is what a pixel averages over
    width = np.maximum(foil * np.tan(np.radians(options.tilt)), options.pixel_size)
    return foil * np.clip(distance / width + 0.5, 0.0, 1.0)
