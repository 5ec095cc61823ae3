"""Functions with a prox, and an adapter to ``pyproximal.ProxOperator``.

Importing pyproximal and pylops takes a second, three times as long as a small solve, so fusionkit's functions do not
derive from its class. They have its methods; `to_pyproximal` wraps them for that library.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fusionkit.terms import Array, Functional

if TYPE_CHECKING:
    import pyproximal

Vector = npt.NDArray[Any]  # what pyproximal takes; here always real and flat


class ProxFunction(ABC):
    """A function of a flat vector with a prox, weight included.

    Attributes
    ----------
    any_array : whether it takes arrays of any array module, such as those on a GPU.
    hasgrad : whether ``grad`` is its own gradient; otherwise that of its Moreau envelope, as in pyproximal.
    """

    any_array: bool = False
    hasgrad: bool = False

    @abstractmethod
    def __call__(self, x: Vector) -> float:
        """The value, accumulated in float64."""

    @abstractmethod
    def prox(self, x: Array, tau: float) -> Array:
        """The minimiser of g(y) + |y - x|^2 / (2 tau), a fresh array."""

    def proxdual(self, x: Array, tau: float) -> Array:
        """The prox of the conjugate, by Moreau's identity."""
        return x - tau * self.prox(x / tau, 1.0 / tau)

    def grad(self, x: Vector) -> Array:
        """Gradient of the Moreau envelope: x - prox(x)."""
        return x - self.prox(x, 1.0)


class Norm(ProxFunction):
    """A norm, weight included: the prox of its conjugate projects onto the dual ball, for any step.

    Attributes
    ----------
    sigma : the weight, >= 0.
    """

    sigma: float

    @abstractmethod
    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        """The nearest point of the dual ball to the flat vector ``p``; ``out`` may be ``p``."""

    def proxdual(self, x: Array, tau: float) -> Array:
        """The projection onto the dual ball, for any ``tau``."""
        return self.project_dual(x)


def to_pyproximal(functional: Functional) -> pyproximal.ProxOperator:
    """The function as a ``pyproximal.ProxOperator``, unchanged if it is one."""
    if is_prox_operator(functional):
        return functional  # type: ignore[return-value]  # a check that does not import pyproximal
    return _adapter()(functional)


def is_prox_operator(thing: object) -> bool:
    """Whether it is a ``pyproximal.ProxOperator``, which cannot exist before that library is imported."""
    library = sys.modules.get("pyproximal")
    return library is not None and isinstance(thing, library.ProxOperator)


@cache
def _adapter() -> Callable[[Functional], pyproximal.ProxOperator]:
    """The adapter class; defining it imports pyproximal."""
    import pyproximal

    class Adapter(pyproximal.ProxOperator):
        def __init__(self, functional: Functional) -> None:
            super().__init__(None, bool(getattr(functional, "hasgrad", False)))
            self.functional = functional

        def __call__(self, x: Vector) -> float:
            return self.functional(x)

        def prox(self, x: Array, tau: float, **kwargs: Any) -> Array:
            return self.functional.prox(x, tau)

        def proxdual(self, x: Array, tau: float, **kwargs: Any) -> Array:
            return self.functional.proxdual(x, tau)

        def grad(self, x: Vector) -> Vector:
            gradient = getattr(self.functional, "grad", None)
            return super().grad(x) if gradient is None else gradient(x)

    return Adapter
