r"""Forward models of the elastic signal: power sums of the maps with Z, k-factors, gain, offset and exponent.

==============  ===========================================  ==========================================================
forward         model                                        suited to
==============  ===========================================  ==========================================================
``power_sum``   :math:`o + g \sum_i (Z_i k_i x_i)^\gamma`     maps in fractions, and phantoms of the published model
``z_contrast``  :math:`o + g \sum_i Z_i^\gamma k_i x_i`       counts of thin specimens: linear in thickness
==============  ===========================================  ==========================================================

Atoms scatter independently, so twice the thickness is twice as bright, as in ``z_contrast``. In the published model it
is :math:`2^\gamma` times as bright. Sources:
J. Schwartz et al., npj Comput. Mater. 8, 16 (2022); P. Hartel, H. Rose, C. Dinges, Ultramicroscopy 63, 93 (1996).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from fusionkit.build import Context
from fusionkit.data.elements import atomic_number
from fusionkit.data.missing import known
from fusionkit.errors import UserError
from fusionkit.operators.forward.detector import GAIN, GAMMA, OFFSET, Calibration
from fusionkit.operators.forward.power_sum import PowerSum, element_values, pixels_of
from fusionkit.options import Finite, Options, Positive
from fusionkit.terms import Array

_SMALL = 0.1  # Z x below are in small units, and the floor of the power's bend with them

ElasticModel = Literal["power_sum", "z_contrast"]
Exponent = Annotated[float, Field(gt=0, le=4, allow_inf_nan=False)]


class ElasticOptions(Options):
    """Options of both models.

    Parameters
    ----------
    z : ``relative`` (atomic numbers divided by their mean), ``absolute`` (atomic numbers), or a value for each element.
    k_factors : atoms per count of each element, relative to the others; 1 for elements that are not named.
    gain : unit of the image per unit of the model, or ``auto`` to fit it together with the maps.
    offset : value of the image without matter, in its unit, or ``auto``.
    """

    z: str | dict[str, float] = "relative"
    k_factors: dict[str, Positive] = Field(default_factory=dict)
    gain: Positive | Literal["auto"] = 1.0
    offset: Finite | Literal["auto"] = 0.0

    @field_validator("z", mode="before")
    @classmethod
    def _known(cls, z: Any) -> Any:
        if z in ("relative", "absolute"):
            return z
        if not isinstance(z, dict):
            raise ValueError(f"is {z!r}; write relative, absolute, or a value for each element ({{Co: 27, O: 8}})")
        for element, value in z.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (is_number and np.isfinite(value) and value > 0):
                raise ValueError(f"is {value!r} for {element}; it must be a finite number > 0")
        return z


class ZContrastOptions(ElasticOptions):
    """Options of ``z_contrast``: those of both models, and

    Parameters
    ----------
    gamma : exponent, in (0, 4].
    """

    gamma: Exponent = 1.6


class PowerSumOptions(ElasticOptions):
    """Options of ``power_sum``: those of both models, and

    Parameters
    ----------
    gamma : exponent in (0, 4], or an interval [least, greatest] within [1, 4] in which to fit it with the maps.
    """

    gamma: Exponent | tuple[float, float] = 1.6

    @field_validator("gamma", mode="before")
    @classmethod
    def _exponent(cls, gamma: Any) -> Any:
        if not isinstance(gamma, list | tuple):
            return gamma
        numbers = [float(g) for g in gamma if isinstance(g, int | float) and not isinstance(g, bool)]
        if not (len(gamma) == len(numbers) == 2 and 1.0 <= numbers[0] < numbers[1] <= 4.0):
            raise ValueError(
                f"is {gamma!r}; write a number in (0, 4], or an interval [1.4, 2.0] within [1, 4] to fit it"
            )
        return tuple(numbers)

    @model_validator(mode="after")
    def _smooth(self) -> PowerSumOptions:
        fits = "auto" in (self.gain, self.offset)
        if fits and isinstance(self.gamma, float) and self.gamma < 1.0:
            raise ValueError(f"has gamma = {self.gamma}; gain and offset are fitted for gamma >= 1 only")
        return self


def power_sum(options: PowerSumOptions, context: Context) -> PowerSum | Calibration:
    """The forward model ``power_sum``: o + g sum_i (Z_i k_i x_i)^gamma, the published model of the HAADF image.

    `UserError` if the unknown is no stack of maps, or ``z`` does not name exactly its elements.
    """
    interval = options.gamma if isinstance(options.gamma, tuple) else None
    gamma = 0.5 * (options.gamma[0] + options.gamma[1]) if isinstance(options.gamma, tuple) else options.gamma
    z = z_values(options.z, context) * element_values(options.k_factors, context.at("k_factors"), 1.0)
    maps = context.dataset.arrays.get("maps")
    level = 1.0 if maps is None else float(np.max(np.abs(known(maps)), initial=0.0) * np.max(z))
    floor = PowerSum.floor * min(1.0, level / _SMALL) or PowerSum.floor
    return _calibration(PowerSum(gamma, z, pixels_of(context), floor), options, interval)


def z_contrast(options: ZContrastOptions, context: Context) -> PowerSum | Calibration:
    """The forward model ``z_contrast``: o + g sum_i Z_i^gamma k_i x_i, the HAADF image of thin specimens.

    `UserError` if the unknown is no stack of maps, or ``z`` does not name exactly its elements.
    """
    return linear_in_thickness(options, options.gamma, context)


def linear_in_thickness(options: ElasticOptions, gamma: float, context: Context) -> PowerSum | Calibration:
    """The model of ``z_contrast`` with this exponent; raises as that."""
    z = z_values(options.z, context) ** gamma * element_values(options.k_factors, context.at("k_factors"), 1.0)
    return _calibration(PowerSum(1.0, z, pixels_of(context)), options, None)


def z_values(z: str | dict[str, float], context: Context) -> Array:
    """Z_i of the elements in the order of the unknown, according to the option ``z``."""
    where = context.at("z").where
    if isinstance(z, str):
        numbers = np.array([atomic_number(symbol, where) for symbol in context.labels], dtype=np.float64)
        return numbers / numbers.mean() if z == "relative" else numbers
    missing = [element for element in context.labels if element not in z]
    values = element_values(z, context.at("z"), np.nan)
    if missing:
        raise UserError(where, f"has no value for {', '.join(missing)}", "give one for every element")
    return values


def _calibration(
    model: PowerSum, options: ElasticOptions, interval: tuple[float, float] | None
) -> PowerSum | Calibration:
    """The model with gain and offset; the model itself if they change nothing."""
    auto = {GAIN: options.gain == "auto", OFFSET: options.offset == "auto", GAMMA: interval is not None}
    fitted = tuple(name for name, is_auto in auto.items() if is_auto)
    gain = options.gain if isinstance(options.gain, float) else 1.0
    offset = options.offset if isinstance(options.offset, float) else 0.0
    if not fitted and gain == 1.0 and offset == 0.0:
        return model
    return Calibration(model, gain, offset, fitted, interval or (1.0, 4.0))
