r"""The HAADF image of chemical maps: a weighted sum of powers at each pixel, with plain sums as linear cases.

.. math:: m(x) = \sum_i \max(Z_i x_i, 0)^\gamma

A high-angle signal grows as Z^gamma with gamma between 1.4 (large detectors, thermal scattering) and 2 (Rutherford).
Source: Schwartz et al., npj Comput. Mater. 8, 16 (2022), equation 2, with Z_i inside the power.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.operators.forward import Jet, PixelwiseForward
from fusionkit.options import NoOptions, Options
from fusionkit.registry import suggestion
from fusionkit.terms import Array


@dataclass(frozen=True, eq=False)
class PowerSum(PixelwiseForward):
    r""":math:`m(x) = \sum_i \max(Z_i x_i, 0)^\gamma` at each pixel; for gamma = 1 the linear sum, without the maximum.

    With y = (Z x)^(gamma - 1), one power a value: m = sum y Z x, slope = gamma Z y,
    bend = gamma (gamma - 1) Z^2 y / (Z x).

    Parameters
    ----------
    gamma : exponent, in (0, 4].
    z : Z_i of each map, finite and >= 0, not all 0; determines the unit of the prediction.
    pixels : (ny, nx).
    floor : where Z x is smaller, the bend is that at Z x = floor, since it is unbounded at 0 for gamma < 2; likewise
        the slope for gamma < 1. About 1e-4 of the values of Z x that matter. The prediction is always exact, and so is
        the slope for gamma >= 1.
    """

    gamma: float
    z: Array | npt.ArrayLike
    pixels: tuple[int, int]
    floor: float = 1e-4
    _column: Array = field(init=False, repr=False)

    nonnegative = True

    def __post_init__(self) -> None:
        z = np.array(self.z, dtype=np.float64).reshape(-1, 1, 1)
        if not 0 < self.gamma <= 4:
            raise UserError("gamma", f"is {self.gamma}", "it must be in (0, 4]")
        if not (np.all(np.isfinite(z)) and np.all(z >= 0) and np.any(z > 0)):
            raise UserError("z", f"is {z.ravel().tolist()}", "the values must be finite and >= 0, not all 0")
        if not (np.isfinite(self.floor) and self.floor > 0):
            raise UserError("floor", f"is {self.floor}", "it must be finite and > 0")
        z.flags.writeable = False
        object.__setattr__(self, "_column", z)
        object.__setattr__(self, "range", tuple(self.pixels))
        object.__setattr__(self, "linear", self.gamma == 1)
        object.__setattr__(self, "smooth", self.gamma >= 1)

    def apply(self, x: Array) -> Array:
        """The prediction, shape (rows, nx)."""
        scaled = self._scaled(x)
        for one in scaled if self.gamma != 1 else ():
            if one.any():  # diagnostics ask for each element alone
                np.power(one, self.gamma, out=one)
        return scaled.sum(axis=0)

    def jet(self, x: Array, second: bool = True) -> Jet:
        """Prediction, slope and bend."""
        z = self._column.astype(x.dtype)
        scaled = self._scaled(x)
        if self.gamma == 1:
            return Jet(scaled.sum(axis=0), z, np.zeros_like(z) if second else None)
        if self.gamma < 1:
            prediction = np.power(scaled, self.gamma).sum(axis=0)
            np.maximum(scaled, self.floor, out=scaled)
            power = np.power(scaled, self.gamma - 1)
        else:
            power = np.power(scaled, self.gamma - 1)
            prediction = np.einsum("i...,i...->...", power, scaled)
        bend = self._bend(scaled, power, z) if second else None
        power *= self.gamma * z
        return Jet(prediction, power, bend)

    def rescaled(self, factors: Array) -> PowerSum:
        """The model with Z_i f_i in place of Z_i."""
        return replace(self, z=self._column.ravel() * factors)

    @property
    def chain(self) -> tuple[Array, None, float, float]:
        """The sum of powers of Z_i x_i."""
        return self._column.ravel(), None, self.gamma, self.floor

    def _scaled(self, x: Array) -> Array:
        scaled = x * self._column.astype(x.dtype)
        return scaled if self.gamma == 1 else np.maximum(scaled, 0.0, out=scaled)

    def _bend(self, scaled: Array, power: Array, z: Array) -> Array:
        """gamma (gamma - 1) Z^2 (Z x)^(gamma - 2) at max(Z x, floor); overwrites ``scaled``."""
        at_floor = self.floor ** (self.gamma - 1)
        # the power is monotone: the bound of Z x bounds it, from the other side for gamma < 1
        bend = np.maximum(power, at_floor) if self.gamma > 1 else np.minimum(power, at_floor)
        np.maximum(scaled, self.floor, out=scaled)
        bend /= scaled
        bend *= self.gamma * (self.gamma - 1) * z * z
        return bend


def total(options: NoOptions, context: Context) -> PowerSum:
    """The forward model ``sum``: the sum of all maps at each pixel."""
    return PowerSum(1.0, np.ones(context.shape[0]), pixels_of(context))


class ElementOptions(Options):
    """Options of ``element``.

    Parameters
    ----------
    element : symbol of the element.
    """

    element: str


def element(options: ElementOptions, context: Context) -> PowerSum:
    """The forward model ``element``: the map of one element, for data of that element alone.

    `UserError` if there is no map of this element.
    """
    pixels = pixels_of(context)
    return PowerSum(1.0, np.eye(context.shape[0])[index_of(options.element, context.at("element"))], pixels)


def index_of(symbol: str, context: Context) -> int:
    """Index of the map of an element; `UserError` at the key of the context if there is none."""
    if symbol not in context.labels:
        raise UserError(context.where, f"there is no map of '{symbol}'", suggestion(symbol, context.labels))
    return context.labels.index(symbol)


def pixels_of(context: Context) -> tuple[int, int]:
    """(ny, nx) of an unknown that is a stack of maps; `UserError` for another unknown."""
    if len(context.shape) != 3:
        raise UserError(
            context.where, f"needs maps (n, ny, nx), but the unknown has shape {context.shape}", "use another forward"
        )
    return context.shape[1], context.shape[2]


def element_values(named: Mapping[str, float], context: Context, default: float) -> Array:
    """The values of the elements in the order of the unknown; ``default`` for an element without one.

    `UserError` at the key of the context if a name has no map.
    """
    for element in named:
        if element not in context.labels:
            raise UserError(context.where, f"names '{element}', which has no map", suggestion(element, context.labels))
    return np.array([named.get(element, default) for element in context.labels], dtype=np.float64)
