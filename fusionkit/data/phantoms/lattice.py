r"""A perovskite at atomic resolution: DyScO3 along [001] of its pseudocubic cell, each atomic column a Gaussian.

In a cell of edge a the columns are Dy at (0, 0), Sc and O together at (1/2, 1/2), and O at (1/2, 0) and (0, 1/2). A
column of a foil of thickness t holds t/a atoms of a kind. The lattice is separable: with the rows of Gaussians
:math:`g_0(u) = \sum_k \mathcal N(u - k a)` and :math:`g_{1/2}(u) = g_0(u - a/2)`, the areal density of Dy is
:math:`(t/a)\, g_0(y)\, g_0(x)`, and likewise for the others.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from fusionkit.data.dataset import Dataset
from fusionkit.data.phantoms.base import FloatArray, ImageOptions, record
from fusionkit.options import Positive


class LatticeOptions(ImageOptions):
    """Options of ``lattice``.

    Parameters
    ----------
    lattice_constant : edge of the pseudocubic cell, in nm.
    column_width : standard deviation of a column's Gaussian (probe and vibration), in nm.
    thickness : of the foil along the beam, in nm.
    """

    elements: ClassVar[tuple[str, ...]] = ("Dy", "Sc", "O")

    field_of_view: Positive = 4.0
    # (a b c / 4)^(1/3) of the orthorhombic cell: Velickov et al., Z. Kristallogr. 222, 466 (2007)
    lattice_constant: Annotated[float, Field(ge=0.1, le=10)] = 0.395
    column_width: Annotated[float, Field(gt=0, le=1)] = 0.055
    thickness: Positive = 20.0

    @model_validator(mode="after")
    def _resolved(self) -> LatticeOptions:
        self.check_resolved("column_width", self.column_width)
        return self


def lattice(options: LatticeOptions) -> Dataset:
    """The phantom ``lattice``: Dy, Sc and O of DyScO3 at atomic resolution."""
    y, x = options.axes()
    y0, x0 = _row(y, options), _row(x, options)
    half = options.lattice_constant / 2
    y1, x1 = _row(y - half, options), _row(x - half, options)
    columns = np.stack([y0 * x0, y1 * x1, y1 * x1 + y1 * x0 + y0 * x1])
    return record(options, columns * (options.thickness / options.lattice_constant), "phantom lattice")


def _row(u: FloatArray, options: LatticeOptions) -> FloatArray:
    """A row of unit Gaussians at the multiples of the lattice constant, in 1/nm, of the shape of ``u`` (in nm)."""
    a, s = options.lattice_constant, options.column_width
    nearest = u - a * np.round(u / a)
    reach = int(np.ceil(6 * s / a)) + 1  # neighbours beyond six standard deviations do not count
    row = np.zeros_like(u)
    for k in range(-reach, reach + 1):
        row += np.exp(-0.5 * ((nearest - k * a) / s) ** 2)
    return row / (s * np.sqrt(2 * np.pi))
