r"""The maps of some elements, each times a factor: the counts of another spectrometer.

.. math:: m_k(x) = s_k x_{i(k)} + B_k

s is the sensitivity of that spectrometer relative to the one that defines the counts of the unknown, B a known
background.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from fusionkit.build import Context
from fusionkit.operators.forward import Forward, LinearForward
from fusionkit.operators.forward.map_prediction import background_of
from fusionkit.operators.forward.power_sum import index_of, pixels_of
from fusionkit.options import Options, Positive, listed_once
from fusionkit.terms import Array


@dataclass(frozen=True)
class Selection:
    """Some entries of the first axis, each times a factor, as a linear map."""

    domain: tuple[int, ...]  # shape of the unknown, (n, ...)
    indices: tuple[int, ...]  # of the entries, without repetition
    factors: tuple[float, ...]  # of each entry

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output."""
        return (len(self.indices), *self.domain[1:])

    @property
    def norm(self) -> float:
        """The largest factor."""
        return max(self.factors)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """s_k x_i(k)."""
        return np.multiply(x[list(self.indices)], self._column(x), out=out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """s_k y_k at i(k), 0 elsewhere."""
        out = np.empty(self.domain, y.dtype) if out is None else out
        out.fill(0)
        out[list(self.indices)] = y * self._column(y)
        return out

    def _column(self, like: Array) -> Array:
        return np.asarray(self.factors, like.dtype).reshape(-1, *(1,) * (len(self.domain) - 1))


@dataclass(frozen=True, eq=False)
class SelectedMaps(LinearForward):
    """Some of the maps, each times a factor, plus a background: a linear model that acts on each pixel by itself.

    Parameters
    ----------
    linear_map : the selection.
    offset : the background, of its range; None for none.
    nonnegative : always.
    """

    linear_map: Selection
    nonnegative: bool = True

    @property
    def kernel_options(self) -> dict[str, Any]:
        """The model as arguments of `fusionkit.engines.kernel_terms.LossOfMaps`."""
        selection = self.linear_map
        return {"indices": selection.indices, "factors": selection.factors, "background": self.offset}


def _with_factors(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return value
    return dict.fromkeys(listed_once(value), 1.0)


# a factor for each element, or a list of symbols for the factor 1
Factors = Annotated[dict[str, Positive], BeforeValidator(_with_factors), Field(min_length=1)]


class ElementsOptions(Options):
    """Options of ``elements``.

    Parameters
    ----------
    elements : symbols in the order of the data, or a factor for each: {O: 0.4, Ti: 1}.
    background : name of an array of the data to add to the prediction; None for none.
    """

    elements: Factors
    background: str | None = None


def elements(options: ElementsOptions, context: Context) -> Forward:
    """The forward model ``elements``: the maps of some elements, each times a factor, plus a known background.

    `UserError` if the unknown is no stack of maps, an element has no map, or the background does not fit.
    """
    pixels_of(context)
    indices = tuple(index_of(symbol, context.at("elements")) for symbol in options.elements)
    selection = Selection(context.shape, indices, tuple(options.elements.values()))
    offset = None if options.background is None else background_of(options.background, selection.range, context)
    return SelectedMaps(selection, offset)
