r"""Types of objective terms: what a term implements and what solvers require.

The objective is a sum of terms, :math:`F(x) = \sum_j T_j(x)`; the type of a term declares what it can do.

=================  ==================================================================  ===============================
type               what it provides                                                    example
=================  ==================================================================  ===============================
`Differentiable`   ``value``, ``gradient`` where the term is finite                    Poisson with epsilon = 0
`Smooth`           a gradient that is finite everywhere on the feasible set            HAADF least squares, gamma >= 1
`Pixelwise`        value, gradient and curvature pixel by pixel                        HAADF, Poisson
`Proximable`       ``value``, ``prox``                                                 L1, Poisson on the maps
`Bounds`           a box; part of the joint pixelwise prox                             nonnegative
`Composed`         a proximable functional of a linear map of x                        TV
=================  ==================================================================  ===============================

The unknown ``x`` may have any shape; chemical maps are (n, ny, nx): n elements, ny x nx pixels. Values include the
weight of the term and accumulate in float64. No method modifies its input; ``out``, if given, receives the result.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from fusionkit.arrays import Array

Arrays = tuple[Array, ...]


class Term(ABC):
    """One summand of the objective.

    Attributes
    ----------
    name : unique in its problem; names the column of the trace and the key in ``summary.json``.
    convex : whether the term is convex on the feasible set.
    silent : whether its weight is zero, so that solvers leave it out.
    """

    name: str
    convex: bool = True
    silent: bool = False

    @abstractmethod
    def value(self, x: Array) -> float:
        """Weighted value of the term at ``x`` (float64); ``inf`` outside its domain."""


class Differentiable(Term):
    """A term with a gradient wherever its value is finite."""

    @abstractmethod
    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """Gradient at ``x``, of the shape and dtype of ``x``."""


class Smooth(Differentiable):
    """A term whose gradient is finite and continuous on the feasible set, which gradient steps require."""


@dataclass(frozen=True)
class Expansion:
    r"""Convex second-order model of a pixelwise term at each pixel: negative curvature is dropped.

    .. math:: T(x + d) \approx T(x) + g^\top d + \tfrac12 d^\top (\mathrm{diag}(c) + u u^\top) d

    Parameters
    ----------
    gradient : g, shape (n, rows, nx).
    curvature : c >= 0, the diagonal, shape (n, rows, nx).
    coupling : u, the rank-one part that couples the elements of a pixel, shape (n, rows, nx); None for zero.
    """

    gradient: Array
    curvature: Array
    coupling: Array | None = None


class Pixelwise(Differentiable):
    """A sum over pixels of a function of the n values of that pixel."""

    @abstractmethod
    def expand(self, x: Array, rows: slice) -> Expansion:
        """The second-order model at ``x``, the rows ``rows`` (axis 1) of the unknown."""

    @abstractmethod
    def pixel_values(self, x: Array, rows: slice) -> Array:
        """Weighted value at each pixel of these rows, shape (rows, nx)."""

    def concavity(self, x: Array) -> Array | None:
        """Minus the second derivative with respect to each value that `expand` drops, shape of x; None if convex."""
        return None

    def information(self, x: Array, rows: slice) -> Array:
        """Expected second derivative with respect to each value, shape (n, rows, nx); here that of the actual data."""
        return self.expand(x, rows).curvature


class Proximable(Term):
    r"""A term with a proximal operator."""

    @abstractmethod
    def prox(self, v: Array, step: float, out: Array | None = None) -> Array:
        r"""The minimiser of :math:`T(x) + \|x - v\|^2 / (2\,\mathrm{step})`, of the shape of ``v``."""


class Bounds(Proximable):
    """The indicator of the box lower <= x <= upper; the bounds are floats or arrays that broadcast against x."""

    lower: float | Array
    upper: float | Array

    def value(self, x: Array) -> float:
        """0 inside the box, ``inf`` outside."""
        return 0.0 if bool(np.all(x >= self.lower) and np.all(x <= self.upper)) else float("inf")

    def prox(self, v: Array, step: float, out: Array | None = None) -> Array:
        """The projection onto the box, for any step."""
        return np.clip(v, self.lower, self.upper, out=out)


@runtime_checkable
class Fitted(Protocol):
    """A term that compares the prediction of a forward model with data of the same shape."""

    data: Array
    target: str  # name of the data in the dataset; empty if they come from elsewhere

    def predict(self, x: Array) -> Array:
        """The forward model at ``x``, in the units of the data."""
        ...


@runtime_checkable
class InCounts(Protocol):
    """A term with data in units of their own that can be converted to an unknown in counts."""

    def in_counts(self, units: Mapping[str, float], labels: tuple[str, ...]) -> Term:
        """The term for an unknown in counts; ``units`` gives one count of each element in the units of its map."""
        ...


@dataclass(frozen=True, eq=False)
class Linearisation:
    r"""The least-squares term :math:`\frac{w}{2} \sum_k (h_k(x; \theta) - b_k)^2`, linearised at a block of pixels."""

    weight: float  # w
    prediction: Array  # h, shape (rows, nx)
    residual: Array  # h - b, shape (rows, nx)
    slope: Array  # :math:`\partial h / \partial x_i`, shape (n, rows, nx)
    directions: Array  # :math:`\partial h / \partial \theta_k`, shape (parameters, rows, nx)


@runtime_checkable
class Calibrated(Protocol):
    """A pixelwise least-squares term whose parameters are fitted together with the unknown.

    Attributes
    ----------
    weight : of the term; with 0 nothing is fitted.
    parameters : their values by name.
    """

    name: str
    weight: float

    @property
    def parameters(self) -> Mapping[str, float]: ...

    def linearise(self, x: Array, rows: slice) -> Linearisation:
        """The linearised term at ``x``, the rows ``rows`` of the unknown."""
        ...

    def errors(self, deviations: Mapping[str, float]) -> Mapping[str, float]:
        """Standard deviation of each parameter in its own unit, from the ``deviations`` of the steps."""
        ...

    def at_limit(self, steps: Mapping[str, float]) -> frozenset[str]:
        """The parameters at a limit that would step beyond it."""
        ...

    def stepped(self, steps: Mapping[str, float]) -> Term:
        """The term with its parameters moved by ``steps``, within their limits."""
        ...

    def fitted_to(self, x: Array) -> Term:
        """The term with the parameters of the best fit at the fixed ``x``."""
        ...


class LinearMap(Protocol):
    """A linear map between arrays of fixed shapes."""

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape of its input."""
        ...

    @property
    def range(self) -> tuple[int, ...]:
        """Shape of its output."""
        ...

    @property
    def norm(self) -> float:
        """An upper bound of the operator norm, within a few per cent."""
        ...

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """K x."""
        ...

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """K' y."""
        ...


@runtime_checkable
class CosineDiagonal(Protocol):
    """A linear map whose K'K is diagonal in the orthonormal cosine basis (DCT-II) and hence has an exact inverse."""

    def normal_eigenvalues(self) -> Array:
        """Eigenvalues of K'K; they broadcast against the domain."""
        ...

    def cosine_axes(self) -> tuple[int, ...]:
        """The axes of the cosine transform."""
        ...


class Functional(Protocol):
    """A proximable function of a flat vector, such as any ``pyproximal.ProxOperator``."""

    def __call__(self, x: Array) -> float: ...

    def prox(self, x: Array, tau: float) -> Array: ...

    def proxdual(self, x: Array, tau: float) -> Array: ...


@runtime_checkable
class HasDualBall(Protocol):
    """A norm, weight included: its conjugate is the indicator of a dual ball."""

    def project_dual(self, p: Array) -> Array:
        """The nearest point of the dual ball to the flat vector ``p``."""
        ...


class Composed(Term):
    r"""A functional of a linear map, :math:`g(K x)`, or :math:`g(K x + A w)` with an auxiliary unknown w, as in TGV.

    Attributes
    ----------
    functional : g, weight included; acts on the flattened range of K.
    operator : K.
    auxiliary : A, from the auxiliary unknown to the range of K; None without one.
    squared_norm : an upper bound of ||(K, A)||^2; None for ||K||^2 + ||A||^2.
    """

    functional: Functional
    operator: LinearMap
    auxiliary: LinearMap | None = None
    squared_norm: float | None = None

    def value(self, x: Array) -> float:
        """g(K x), with the auxiliary unknown at zero."""
        return float(self.functional(self.operator.apply(x).ravel()))


def accumulate(terms: Sequence[Differentiable], x: Array, out: Array) -> Array:
    """The sum of the gradients at ``x``, written into ``out``."""
    out.fill(0)
    for term in terms:
        out += term.gradient(x)
    return out
