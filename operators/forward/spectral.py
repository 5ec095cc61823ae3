r"""Counts in sets of channels, to which every element contributes: spectra with overlapping lines.

.. math:: m_k(x) = \sum_i M_{ki} x_i + B_k

M_ki is the share of the counts of element i in the set k, B a known background. It acts on each pixel by itself.
"""

from dataclasses import dataclass

import numpy as np

from fusionkit.arrays import into
from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.forward import Forward, LinearForward
from fusionkit.operators.forward.elements import Factors
from fusionkit.operators.forward.map_prediction import background_of
from fusionkit.operators.forward.power_sum import index_of, pixels_of
from fusionkit.options import Options
from fusionkit.terms import Array


@dataclass(frozen=True, eq=False)
class Mixing:
    """A matrix that acts on the first axis, as a linear map."""

    domain: tuple[int, ...]  # shape of the unknown, (n, ny, nx)
    matrix: Array  # M, (k, n)

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output."""
        return (len(self.matrix), *self.domain[1:])

    @property
    def norm(self) -> float:
        """The largest singular value."""
        return float(np.linalg.norm(np.asarray(self.matrix, np.float64), 2))

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """M x at each pixel."""
        return into(out, np.tensordot(self.matrix.astype(x.dtype, copy=False), x, axes=1))

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """M' y at each pixel."""
        return into(out, np.tensordot(self.matrix.T.astype(y.dtype, copy=False), y, axes=1))


@dataclass(frozen=True, eq=False)
class MixedMaps(LinearForward):
    """Sums of all maps with their shares, plus a background: a linear model that acts on each pixel by itself.

    Parameters
    ----------
    linear_map : the mixing.
    offset : the background, of its range; None for none.
    nonnegative : always.
    """

    linear_map: Mixing
    nonnegative: bool = True


class SpectralOptions(Options):
    """Options of ``spectral``.

    Parameters
    ----------
    mixing : name of an array of the data, (k, n): share of the counts of each element in each map of the data.
    background : name of an array of the data to add to the prediction; None for none.
    elements : symbols of the columns of ``mixing``, in their order, or a factor of the counts of each: {O: 0.4}; None
        for all elements of the unknown.
    """

    mixing: str = "maps_mixing"
    background: str | None = "maps_background"
    elements: Factors | None = None


def spectral(options: SpectralOptions, context: Context) -> Forward:
    """The forward model ``spectral``: counts in sets of channels, to which every element contributes.

    `UserError` if the unknown is no stack of maps, or mixing or background do not fit or hold negative values.
    """
    pixels = pixels_of(context)
    matrix, where = context.array(options.mixing, "mixing"), context.at("mixing").where
    names = dict.fromkeys(context.labels, 1.0) if options.elements is None else options.elements
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        problem = f"'{options.mixing}' has the shape {matrix.shape}, and there are {len(names)} elements"
        raise UserError(where, problem, "give a row for each map of the data and a column for each element")
    if not (np.all(np.isfinite(matrix)) and matrix.min(initial=0.0) >= 0.0):
        raise UserError(where, f"'{options.mixing}' has negative values", "give shares of counts")
    whole = np.zeros((len(matrix), context.shape[0]), matrix.dtype)
    for (symbol, factor), column in zip(names.items(), matrix.T, strict=True):
        whole[:, index_of(symbol, context.at("elements"))] = factor * column
    shape = (len(matrix), *pixels)
    offset = None if options.background is None else background_of(options.background, shape, context)
    return MixedMaps(Mixing(context.shape, whole), offset)
