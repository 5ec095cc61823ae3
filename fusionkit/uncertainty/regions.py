"""Rectangles of the image, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusionkit.errors import UserError
from fusionkit.terms import Array
from fusionkit.uncertainty.options import WHOLE, CompositionOptions


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels.

    Parameters
    ----------
    name : what the config calls it.
    rows, columns : first and last, the last one not included.
    """

    name: str
    rows: tuple[int, int]
    columns: tuple[int, int]

    def sums(self, stack: Array) -> Array:
        """Sum of each map (n, ny, nx) over the region, shape (n,), float64."""
        part = stack[:, slice(*self.rows), slice(*self.columns)]
        return part.sum(axis=(1, 2), dtype=np.float64)


def regions_of(options: CompositionOptions, pixels: tuple[int, int]) -> tuple[Region, ...]:
    """The whole image, then the rectangles of the config.

    Raises
    ------
    UserError : one reaches beyond the image.
    """
    ny, nx = pixels
    found = [Region(WHOLE, (0, ny), (0, nx))]
    for name, one in options.regions.items():
        rows, columns = one.rows or [0, ny], one.columns or [0, nx]
        for axis, edges, size in (("rows", rows, ny), ("columns", columns, nx)):
            if edges[1] > size:
                key = f"composition.regions.{name}.{axis}"
                raise UserError(key, f"reaches to {edges[1]}, but the maps have {size} {axis}", f"end at {size}")
        if name != WHOLE:
            found.append(Region(name, (rows[0], rows[1]), (columns[0], columns[1])))
    return tuple(found)
