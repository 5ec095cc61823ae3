"""fusionkit's terms as pyproximal functions and pylops operators on flat vectors, for pyproximal's solvers."""

from typing import Any

import numpy as np
import pylops
import pyproximal

from fusionkit.engines.choose import direct_prox
from fusionkit.functional import Vector
from fusionkit.linear import to_pylops
from fusionkit.problem import Split
from fusionkit.solvers.admm import solve_normal
from fusionkit.terms import Array, Arrays


class DirectFunction(pyproximal.ProxOperator):
    """G: all pixelwise terms with the bounds, or the one proximable term.

    Parameters
    ----------
    split : the problem, sorted.
    start : start of Newton's method, the iterate. pyproximal passes only a point and a step, so a solver makes a new
        function for each iteration.
    newton_steps : Newton steps of the joint prox.
    """

    def __init__(self, split: Split, start: Array, newton_steps: int) -> None:
        super().__init__(None, False)
        self.split, self.start, self.newton_steps = split, start, newton_steps

    def __call__(self, x: Vector) -> float:
        """The value, bounds excepted."""
        shaped = x.reshape(self.start.shape)
        direct = self.split.pixelwise if self.split.proximable is None else (self.split.proximable,)
        return float(sum(term.value(shaped) for term in direct))

    def prox(self, x: Array, tau: float) -> Array:
        """The joint prox at the flat ``x`` with the step ``tau``."""
        return direct_prox(self.split, x.reshape(self.start.shape), tau, self.start, self.newton_steps).ravel()


class CoupledFunction(pyproximal.ProxOperator):
    """g: the functionals of all composed terms, on their concatenated images."""

    def __init__(self, split: Split) -> None:
        super().__init__(None, False)
        self.split = split

    def __call__(self, x: Vector) -> float:
        """The sum of the values."""
        return float(sum(self.split.coupling.values(unstack(self.split, x)).values()))

    def prox(self, x: Array, tau: float) -> Array:
        """Each functional's prox of its image."""
        coupling = self.split.coupling
        return stack(tuple(coupling.prox(i, y, tau) for i, y in enumerate(unstack(self.split, x))), x.dtype)

    def proxdual(self, x: Array, tau: float) -> Array:
        """Each conjugate's prox of its dual variable."""
        coupling = self.split.coupling
        return stack(tuple(coupling.proxdual(i, p, tau) for i, p in enumerate(unstack(self.split, x))), x.dtype)


class Graph(pyproximal.ProxOperator):
    """The indicator of {(x, y): y = K x}; its prox, the projection, is exact by cosine transform."""

    def __init__(self, split: Split) -> None:
        super().__init__(None, False)
        self.split = split

    def __call__(self, x: Vector) -> float:
        """0; the solver computes the value once and does not use it."""
        return 0.0

    def prox(self, x: Array, tau: float) -> Array:
        """(x, K x) with (I + K'K) x = c + K'd, the nearest point of the graph to (c, d), for any ``tau``."""
        split = self.split
        size = int(np.prod(split.problem.shape))
        first, rest = x[:size].reshape(split.problem.shape), unstack(split, x[size:])
        right = split.coupling.adjoint(rest, np.empty_like(first))
        right += first
        nearest = solve_normal(split, right)
        return stack((nearest, *split.coupling.apply(nearest)), x.dtype)


def stacked_map(split: Split, dtype: np.dtype[Any]) -> pylops.LinearOperator:
    """K: the stacked linear maps of all composed terms."""
    maps = [to_pylops(term.operator, dtype) for term in split.coupling.terms]
    return pylops.VStack(maps, dtype=dtype) if maps else pylops.Zero(0, int(np.prod(split.problem.shape)), dtype=dtype)


def stack(arrays: Arrays, dtype: np.dtype[Any]) -> Array:
    """The arrays concatenated in one flat vector."""
    return np.concatenate([np.zeros(0, dtype), *(array.ravel() for array in arrays)])


def unstack(split: Split, flat: Vector) -> Arrays:
    """The image of each composed term as a view of the flat vector."""
    images, first = [], 0
    for term in split.coupling.terms:
        last = first + int(np.prod(term.operator.range))
        images.append(flat[first:last].reshape(term.operator.range))
        first = last
    return tuple(images)
