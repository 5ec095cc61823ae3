"""The adapter behind `fusionkit.prox_function.to_pyproximal`; apart, since it needs pyproximal to be defined."""

from __future__ import annotations

from typing import Any

import pyproximal

from fusionkit.terms import Array, Functional


class WrappedFunction(pyproximal.ProxOperator):
    """Any function with a prox as a ``pyproximal.ProxOperator``.

    Parameters
    ----------
    functional : what it calls.
    """

    def __init__(self, functional: Functional) -> None:
        super().__init__(None, bool(getattr(functional, "hasgrad", False)))
        self.functional = functional

    def __call__(self, x: Array) -> float:
        """The value."""
        return self.functional(x)

    def prox(self, x: Array, tau: float, **kwargs: Any) -> Array:
        """The function's prox."""
        return self.functional.prox(x, tau)

    def proxdual(self, x: Array, tau: float, **kwargs: Any) -> Array:
        """The prox of its conjugate."""
        return self.functional.proxdual(x, tau)

    def grad(self, x: Array) -> Array:
        """Its gradient, or that of its Moreau envelope where it has none."""
        gradient = getattr(self.functional, "grad", None)
        return super().grad(x) if gradient is None else gradient(x)
