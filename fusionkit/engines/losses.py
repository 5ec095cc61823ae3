r"""Losses and chains as scalar functions, which kernels compile into their loops.

A scalar class is a ``NamedTuple`` of numbers with the methods ``value``, ``slope`` and ``curvature``: of (m, b) for a
loss :math:`\varphi(m; b)` that is convex in m, of (s) for the f of a chain :math:`m = f(\sum_i w_i x_i)`. Kernels get
its fields in the dtype of the unknown. Numba compiles the methods and calls them once for each value, so write
conditions as expressions (``a if s else b``); `log`, `exp` and NumPy's functions of one number are inlined.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class LossScalars(Protocol):
    r"""The loss :math:`\varphi(m; b)` of one prediction and one datum, with its derivatives by m."""

    def value(self, m: Any, b: Any) -> Any:
        """phi(m; b); ``inf`` outside its domain."""
        ...

    def slope(self, m: Any, b: Any) -> Any:
        """phi'(m; b), finite; outside the domain, descent leads back into it."""
        ...

    def curvature(self, m: Any, b: Any) -> Any:
        """phi''(m; b) >= 0."""
        ...


@runtime_checkable
class ScalarFunction(Protocol):
    """The function f of a chain m = f(s), s = sum_i w_i x_i, of one number, with its derivatives."""

    def value(self, s: Any) -> Any:
        """f(s)."""
        ...

    def slope(self, s: Any) -> Any:
        """f'(s)."""
        ...

    def curvature(self, s: Any) -> Any:
        """f''(s)."""
        ...


def log(x: Any) -> Any:
    """Natural logarithm: NumPy's here, a vectorised one in compiled scalars."""
    return np.log(x)


def exp(x: Any) -> Any:
    """Exponential: NumPy's here, a vectorised one in compiled scalars."""
    return np.exp(x)


class Poisson(NamedTuple):
    """m - b log(m + epsilon); below m + epsilon = floor, the derivatives are those at the floor."""

    epsilon: float
    floor: float
    least: float = 1e-37  # argument of the logarithm

    def value(self, m: Any, b: Any) -> Any:
        """phi(m; b)."""
        mean = m + self.epsilon
        outside = (mean < 0) | ((mean == 0) & (b > 0))
        return np.inf if outside else m - b * log(self.least if mean < self.least else mean)

    def slope(self, m: Any, b: Any) -> Any:
        """phi'(m; b)."""
        mean = m + self.epsilon
        return 1 - b / (self.floor if mean < self.floor else mean)

    def curvature(self, m: Any, b: Any) -> Any:
        """phi''(m; b)."""
        mean = m + self.epsilon
        mean = self.floor if mean < self.floor else mean
        return b / mean / mean


class LeastSquares(NamedTuple):
    """(m - b)^2 / 2."""

    def value(self, m: Any, b: Any) -> Any:
        """phi(m; b)."""
        return (m - b) * (m - b) / 2

    def slope(self, m: Any, b: Any) -> Any:
        """phi'(m; b)."""
        return m - b

    def curvature(self, m: Any, b: Any) -> Any:
        """phi''(m; b)."""
        return m - m + 1


class Pearson(NamedTuple):
    """(m - b)^2 / (2 max(b, least)): least squares with the variance of counts."""

    least: float

    def value(self, m: Any, b: Any) -> Any:
        """phi(m; b)."""
        return (m - b) * (m - b) / 2 / (self.least if b < self.least else b)

    def slope(self, m: Any, b: Any) -> Any:
        """phi'(m; b)."""
        return (m - b) / (self.least if b < self.least else b)

    def curvature(self, m: Any, b: Any) -> Any:
        """phi''(m; b)."""
        return 1 / (self.least if b < self.least else b)


class Unchanged(NamedTuple):
    """f(s) = s."""

    def value(self, s: Any) -> Any:
        """f(s)."""
        return s

    def slope(self, s: Any) -> Any:
        """f'(s)."""
        return s - s + 1

    def curvature(self, s: Any) -> Any:
        """f''(s)."""
        return s - s


class Attenuation(NamedTuple):
    """The function I0 exp(-s) of the optical depth s, with its derivatives."""

    incident: float

    def value(self, s: Any) -> Any:
        """I0 exp(-s)."""
        return self.incident * exp(-s)

    def slope(self, s: Any) -> Any:
        """-I0 exp(-s)."""
        return -self.incident * exp(-s)

    def curvature(self, s: Any) -> Any:
        """I0 exp(-s)."""
        return self.incident * exp(-s)
