r"""Zeta-factors with absorption: atoms per count and mass-thickness.

With the counts I of an element at a pixel and the electrons D,

.. math:: \rho t = \sum_i \zeta_i I_i A_i / D, \qquad C_i = \zeta_i I_i A_i \Big/ \sum_j \zeta_j I_j A_j, \qquad
          A_i = \frac{e_i}{1 - \exp(-e_i)}, \qquad e_i = \rho t \csc\alpha \sum_j C_j (\mu/\rho)_{ij} ,

with the weight fractions C, the take-off angle alpha and the mass absorption coefficients of the line i in the element
j. A is found by iteration. Coefficients and atomic weights are those of eXSpy, whose maps these equal. Source: M.
Watanabe, D. B. Williams, J. Microsc. 221, 89 (2006).
"""

import warnings
from functools import cache
from typing import Any

import numpy as np

from fusionkit.errors import IO, UserError
from fusionkit.terms import Array
from fusionkit.uncertainty.options import AbsorptionOptions, CompositionOptions

_MOST, _CLOSE = 500, 1e-12  # iterations, and change of A at the end
_PER_GRAM = 0.1  # m^2/kg in cm^2/g


def mass_per_count(
    options: CompositionOptions, elements: tuple[str, ...], zeta: Array, counts: Array, where: str
) -> Array:
    """zeta A of each element, (n,), in kg/m^2 times electrons.

    `UserError` if the iteration does not converge, since the specimen absorbs too much.

    Parameters
    ----------
    options : of the composition.
    elements : symbols.
    zeta : of each, (n,).
    counts : at a pixel, (n,).
    where : the region, for messages.
    """
    absorption = options.absorption
    if absorption is None:
        return zeta
    assert options.dose is not None
    coefficients = _coefficients(elements, tuple(absorption.lines[element] for element in elements))
    per_angle, factors = 1.0 / np.sin(np.radians(absorption.take_off_angle)), np.ones(len(zeta))
    positive = np.maximum(counts, 0.0)
    for _ in range(_MOST):
        with np.errstate(over="ignore", invalid="ignore"):
            masses = zeta * positive * factors / options.dose
            exponents = coefficients @ masses * per_angle  # rho t C_j is the mass of element j
            renewed = np.divide(exponents, -np.expm1(-exponents), out=np.ones_like(exponents), where=exponents > 0.0)
        if not np.isfinite(renewed).all():
            break
        if np.max(np.abs(renewed - factors)) < _CLOSE * np.max(renewed):
            return zeta * renewed
        factors = renewed
    problem = f"does not converge in the region '{where}': it absorbs too much for these zeta-factors and this dose"
    raise UserError("composition.absorption", problem, "check both, or use harder lines")


def atomic_weights(elements: tuple[str, ...]) -> Array:
    """In g/mol, (n,)."""
    return np.array([_table()[element]["General_properties"]["atomic_weight"] for element in elements])


def check_lines(absorption: AbsorptionOptions, elements: tuple[str, ...]) -> None:
    """`UserError` if an element has no line, or one that is not its own."""
    for element in elements:
        where, line = f"composition.absorption.lines.{element}", absorption.lines.get(element)
        known = [f"{element}_{one}" for one in _table()[element]["Atomic_properties"]["Xray_lines"]]
        if line not in known:
            usual = next((one for one in known if one.endswith("a")), known[0])
            problem = "is missing" if line is None else f"is {line!r}, which is none of {', '.join(known)}"
            raise UserError(where, problem, f"write {usual}, or the line whose counts the map holds")


@cache
def _coefficients(elements: tuple[str, ...], lines: tuple[str, ...]) -> Array:
    """Mass absorption coefficients of each line in each element, (lines, elements), in m^2/kg."""
    _table()
    from exspy.material import mass_absorption_coefficient

    return _PER_GRAM * np.stack([mass_absorption_coefficient(one, list(lines)) for one in elements], axis=1)


@cache
def _table() -> Any:
    """eXSpy's table of elements."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # eXSpy warns about HyperSpy
            from exspy.material import elements
    except ImportError:
        message = "zeta-factors need atomic weights from eXSpy, which is not installed"
        raise UserError("composition.zeta_factors", message, IO) from None
    return elements if isinstance(elements, dict) else elements.as_dictionary()
