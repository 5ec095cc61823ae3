r"""Sums or means of a prediction over the pixels of another scan.

The pixel (j, k) of the other scan covers a rectangle of the pixels of the unknown, and

.. math:: m_{jk} = \sum_{yx} A_{jy} B_{kx} x_{yx}

with A and B the overlap of the rectangle with each row and column. The counts of a spectrum image that has fewer pixels
than the image, or covers a part of it, are thus compared as they were recorded, without resampling.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import scipy.sparse
from pydantic import Field

from fusionkit.arrays import into
from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.forward import Forward
from fusionkit.operators.forward.map_prediction import map_prediction
from fusionkit.options import NonNegative, Options, Spec
from fusionkit.terms import Array

Ends = Annotated[list[NonNegative], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, eq=False)
class ScanMap:
    """Sums or means of the last two axes over the pixels of another scan, as a linear map."""

    domain: tuple[int, ...]  # shape of its input, (..., ny, nx)
    pixels: tuple[int, int]  # (my, mx) of the other scan
    # ((top, bottom), (left, right)) of the other scan, in pixels of the domain
    region: tuple[tuple[float, float], tuple[float, float]]
    mean: bool  # whether a pixel holds the mean over its area, as for an image; otherwise the sum, as for counts

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output."""
        return (*self.domain[:-2], *self.pixels)

    @property
    def norm(self) -> float:
        """The operator norm, as the product of the norms along both axes."""
        return float(np.prod([_norm(one) for one in self._overlaps]))

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """A x B' for each image of ``x``."""
        return self._between(x, *self._overlaps, out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """A' y B for each image of ``y``."""
        rows, columns = self._overlaps
        return self._between(y, rows.T, columns.T, out)

    @cached_property
    def _overlaps(self) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
        sizes = self.domain[-2:]
        (top, bottom), (left, right) = self.region
        rows = _overlap(top, bottom, self.pixels[0], sizes[0], self.mean)
        return rows, _overlap(left, right, self.pixels[1], sizes[1], self.mean)

    def _between(
        self, x: Array, rows: scipy.sparse.csr_array, columns: scipy.sparse.csr_array, out: Array | None
    ) -> Array:
        images = x.reshape(-1, *x.shape[-2:])
        result = np.stack([(columns.astype(x.dtype) @ (rows.astype(x.dtype) @ one).T).T for one in images])
        return into(out, np.ascontiguousarray(result.reshape(*x.shape[:-2], *result.shape[1:])))


def _overlap(first: float, last: float, count: int, size: int, mean: bool) -> scipy.sparse.csr_array:
    """Overlap of pixel j, of ``count`` between ``first`` and ``last``, with pixel i of ``size``."""
    edges = np.linspace(first, last, count + 1)
    low = np.minimum(np.floor(edges[:-1]).astype(int), size - 1)
    reach = int(np.ceil((last - first) / count)) + 1
    columns = low[:, None] + np.arange(reach)
    shared = np.minimum(edges[1:, None], columns + 1) - np.maximum(edges[:-1, None], columns)
    inside = (shared > 1e-9) & (columns < size)
    if mean:
        shared = shared * (count / (last - first))
    places = np.nonzero(inside)[0], columns[inside]
    return scipy.sparse.csr_array((shared[inside], places), shape=(count, size))


def _norm(matrix: scipy.sparse.csr_array) -> float:
    """An upper bound of the largest singular value; exact if each pixel of the unknown lies in one pixel."""
    gram = matrix @ matrix.T
    return float(np.sqrt(np.asarray(gram.sum(axis=1)).max(initial=0.0)))  # no entry is negative


class ScanOptions(Options):
    """Options of ``scan``.

    Parameters
    ----------
    shape : [my, mx] of the other scan.
    rows, columns : [first, last] that it covers, in pixels of the unknown; None for all.
    reduce : ``sum`` for counts, ``mean`` for an image.
    forward : the prediction on the pixels of the unknown.
    background : name of an array of the data to add to a linear prediction; None for none.
    """

    shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]
    rows: Ends | None = None
    columns: Ends | None = None
    reduce: Literal["sum", "mean"] = "sum"
    forward: Spec = Spec(type="identity")
    background: str | None = None


def scan(options: ScanOptions, context: Context) -> Forward:
    """The forward model ``scan``: sums or means over the pixels of another scan, coarser, finer or partial.

    `UserError` if the inner prediction is no image, or the other scan is not inside it.
    """
    inner: Forward = context.build("forwards", options.forward, "forward")
    if inner.fitted:
        problem = f"{' and '.join(inner.fitted)} cannot be fitted inside a scan"
        raise UserError(
            context.at("forward").where, problem, "give numbers, or set data.grid so that the image needs none"
        )
    if len(inner.range) < 2:
        raise UserError(context.where, f"needs images, but the prediction has shape {inner.range}", "use another")
    rows = _ends(options.rows, inner.range[-2], context.at("rows").where)
    columns = _ends(options.columns, inner.range[-1], context.at("columns").where)
    pixels = options.shape[0], options.shape[1]
    return map_prediction(
        ScanMap(inner.range, pixels, (rows, columns), options.reduce == "mean"), inner, options.background, context
    )


def _ends(ends: list[float] | None, size: int, where: str) -> tuple[float, float]:
    first, last = (0.0, float(size)) if ends is None else (ends[0], ends[1])
    if not 0 <= first < last <= size:
        raise UserError(where, f"is {ends}", f"write [first, last] with 0 <= first < last <= {size}")
    return first, last
