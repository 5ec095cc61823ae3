"""Normalisation of one image: ``minmax``, ``max`` or ``none``, each image on its own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fusionkit.data.checks import FloatArray, Origin, check_finite

Normalisation = Literal["minmax", "max", "none"]


@dataclass(frozen=True)
class Scale:
    r"""The affine map :math:`v \mapsto (v - \mathrm{offset}) / \mathrm{factor}`."""

    # offset, factor: in the units of the image; the factor is positive
    offset: float = 0.0
    factor: float = 1.0

    def apply(self, values: FloatArray, origin: Origin) -> FloatArray:
        """The mapped values, a new array of the same shape; `UserError` if they leave the range of floats."""
        with np.errstate(over="ignore", invalid="ignore"):
            result = values - self.offset
            result /= self.factor
        check_finite(result, origin)
        return result


def scale_of(values: FloatArray, method: Normalisation, origin: Origin) -> Scale:
    """The affine map that normalises an image by ``method``.

    `UserError` if the image is constant (``minmax``) or has no positive value (``max``).

    Parameters
    ----------
    values : the image, finite.
    method : ``minmax`` maps the least value to 0 and the greatest to 1; ``max`` the greatest to 1; ``none`` nothing.
    origin : for error messages.
    """
    if method == "none":
        return Scale()
    low, high = float(values.min()), float(values.max())
    if low == high == 0.0:
        raise origin.error(f"is all zero, so normalize: {method} divides by zero", "leave it out, or name another")
    if method == "max":
        if high <= 0.0:
            raise origin.error("has no positive value, so normalize: max cannot scale it", "use normalize: minmax")
        return Scale(0.0, high)
    if low == high:
        raise origin.error(f"is constant ({low:g}), so normalize: minmax divides by zero", "use normalize: max or none")
    if not np.isfinite(high - low):
        raise origin.error(f"spans {low:g} to {high:g}, more than floats can hold", "rescale it")
    return Scale(low, high - low)
