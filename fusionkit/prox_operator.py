"""The adapter behind `fusionkit.functional.to_pyproximal`; apart, since it needs pyproximal to be defined."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import pyproximal

from fusionkit.terms import Array, Functional

Vector = npt.NDArray[Any]  # what pyproximal takes


class WrappedFunction(pyproximal.ProxOperator):
    """Any function with a prox as a ``pyproximal.ProxOperator``.

    Parameters
    ----------
    functional : what it calls.
    """

    def __init__(self, functional: Functional) -> None:
        super().__init__(None, bool(getattr(functional, "hasgrad", False)))
        self.functional = functional

    def __call__(self, x: Vector) -> float:
        """The value."""
        return self.functional(x)

    def prox(self, x: Array, tau: float, **kwargs: Any) -> Array:
        """The function's prox."""
        return self.functional.prox(x, tau)

    def proxdual(self, x: Array, tau: float, **kwargs: Any) -> Array:
        """The prox of its conjugate."""
        return self.functional.proxdual(x, tau)

    def grad(self, x: Vector) -> Vector:
        """Its gradient, or that of its Moreau envelope where it has none."""
        gradient = getattr(self.functional, "grad", None)
        return super().grad(x) if gradient is None else gradient(x)
