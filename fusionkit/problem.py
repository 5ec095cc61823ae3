"""The objective as a list of terms, and its split into the slots of a solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np

from fusionkit.errors import UserError
from fusionkit.linear import IdentityMap
from fusionkit.options import repeated
from fusionkit.terms import (
    Array,
    Arrays,
    Bounds,
    Composed,
    Differentiable,
    Functional,
    Pixelwise,
    Proximable,
    Smooth,
    Term,
)

Engine = Literal["auto", "numpy", "numba", "cupy"]


@dataclass(frozen=True)
class Slots:
    """Which terms a solver takes.

    Parameters
    ----------
    smooth : smooth terms, by their gradient.
    pixelwise : pixelwise terms, by their joint prox with the bounds.
    proximable : one term, by its prox; bounds occupy this slot unless they have their own.
    composed : composed terms, with a dual variable each.
    auxiliary : composed terms with auxiliary unknowns, such as TGV.
    bounds : bounds have their own slot beside the prox slot.
    """

    smooth: bool = False
    pixelwise: bool = False
    proximable: bool = True
    composed: bool = True
    auxiliary: bool = False
    bounds: bool = False

    def spell(self) -> str:
        """The slots in words, for error messages."""
        words = [
            (self.smooth, "smooth terms"),
            (self.pixelwise, "pixelwise terms"),
            (self.proximable, "one proximable term " + ("and bounds" if self.bounds else "or bounds")),
            (self.composed, "proximable functionals of linear maps"),
            (self.auxiliary, "auxiliary unknowns"),
        ]
        return ", ".join(word for takes, word in words if takes)


@dataclass(frozen=True, eq=False)
class Lifted(Composed):
    """A proximable term as a functional of the identity map, with a dual variable of its own."""

    term: Proximable  # the proximable term
    shape: tuple[int, ...]  # shape of the unknown

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.term.name)
        object.__setattr__(self, "convex", self.term.convex)
        object.__setattr__(self, "operator", IdentityMap(self.shape))
        object.__setattr__(self, "functional", _FlatFunctional(self.term, self.shape))


@dataclass(frozen=True, eq=False)
class _FlatFunctional(Functional):
    """A proximable term as a function of flat vectors."""

    term: Proximable
    shape: tuple[int, ...]

    def __call__(self, x: Array) -> float:
        return self.term.value(x.reshape(self.shape))

    def prox(self, x: Array, tau: float) -> Array:
        return self.term.prox(x.reshape(self.shape), tau).ravel()

    def proxdual(self, x: Array, tau: float) -> Array:
        return x - tau * self.prox(x / tau, 1.0 / tau)


@dataclass(frozen=True)
class Coupling:
    r"""The stacked map :math:`(x, w) \mapsto (K_j x + A_j w_j)_j` of the composed terms."""

    # the composed terms; term j has the dual variable p_j, of the shape of the range of K_j
    terms: tuple[Composed, ...]

    def zeros(self, dtype: np.dtype) -> Arrays:
        """Dual variables at zero."""
        return tuple(np.zeros(term.operator.range, dtype) for term in self.terms)

    def auxiliary_zeros(self, dtype: np.dtype) -> Arrays:
        """Auxiliary unknowns at zero; an empty array for a term without one."""
        return tuple(
            np.zeros(term.auxiliary.domain if term.auxiliary is not None else (0,), dtype) for term in self.terms
        )

    def start(self, x: Array) -> tuple[Array, Arrays, Arrays]:
        """x, and auxiliary unknowns and duals at zero: the first fields of a `fusionkit.solver.State`."""
        return x, self.auxiliary_zeros(x.dtype), self.zeros(x.dtype)

    def apply(self, x: Array, auxiliary: Sequence[Array] | None = None, out: Sequence[Array] | None = None) -> Arrays:
        """K_j x + A_j w_j for each term; K_j x without auxiliary unknowns."""
        results = []
        for index, term in enumerate(self.terms):
            y = term.operator.apply(x, None if out is None else out[index])
            if term.auxiliary is not None and auxiliary is not None:
                y += term.auxiliary.apply(auxiliary[index])
            results.append(y)
        return tuple(results)

    def adjoint(self, duals: Sequence[Array], out: Array) -> Array:
        """sum_j K_j' p_j, written into ``out``."""
        if not self.terms:
            out.fill(0)
        for index, (term, dual) in enumerate(zip(self.terms, duals, strict=True)):
            if index == 0:
                term.operator.adjoint(dual, out)
            else:
                out += term.operator.adjoint(dual)
        return out

    def auxiliary_adjoint(self, duals: Sequence[Array]) -> Arrays:
        """A_j' p_j for each term; an empty array for a term without an auxiliary unknown."""
        return tuple(
            term.auxiliary.adjoint(dual) if term.auxiliary is not None else np.zeros_like(dual, shape=(0,))
            for term, dual in zip(self.terms, duals, strict=True)
        )

    def squared_norms(self) -> tuple[float, ...]:
        """An upper bound of ||(K_j, A_j)||^2 for each term."""
        return tuple(
            term.squared_norm or term.operator.norm**2 + (term.auxiliary.norm**2 if term.auxiliary is not None else 0.0)
            for term in self.terms
        )

    def proxdual(self, index: int, p: Array, sigma: float) -> Array:
        """prox of sigma g_j* at p."""
        return self.terms[index].functional.proxdual(p.ravel(), sigma).reshape(p.shape)

    def prox(self, index: int, y: Array, step: float) -> Array:
        """prox of step g_j at y."""
        return self.terms[index].functional.prox(y.ravel(), step).reshape(y.shape)

    def values(self, images: Sequence[Array]) -> dict[str, float]:
        """g_j(K_j x + A_j w_j) of each term by its name."""
        return {
            term.name: float(term.functional(image.ravel())) for term, image in zip(self.terms, images, strict=True)
        }


@dataclass(frozen=True)
class Split:
    """The terms of a problem in the slots of a solver; each term that is not silent is in exactly one slot.

    The exception is a proximable term beside active bounds (`Slots.bounds`): it is also the last term of ``coupling``,
    whose dual variable is the subgradient that the certificate needs.

    Parameters
    ----------
    problem : the problem with all terms.
    smooth : terms taken by their gradient.
    pixelwise : terms taken by their joint prox, together with the bounds.
    bounds : the intersection of all bounds; infinite without any.
    proximable : the term taken by its own prox; None without one.
    coupling : terms taken with a dual variable each.
    silent : names of terms of weight zero, which are left out.
    """

    problem: Problem
    smooth: tuple[Smooth, ...]
    pixelwise: tuple[Pixelwise, ...]
    bounds: Box
    proximable: Proximable | None
    coupling: Coupling
    silent: tuple[str, ...] = ()

    @property
    def direct(self) -> Proximable:
        """The term whose prox is taken without a dual variable: the proximable term, or active bounds."""
        return self.bounds if self.proximable is None or self.bounds.active else self.proximable

    def values(self, x: Array, auxiliary: Arrays) -> dict[str, float]:
        """Value of each term except bounds, by its name, with the given auxiliary unknowns."""
        values = self.coupling.values(self.coupling.apply(x, auxiliary))
        direct: list[Term] = [*self.smooth, *self.pixelwise]
        if self.proximable is not None and self.direct is self.proximable:
            direct.append(self.proximable)
        return self.ordered({**values, **{term.name: term.value(x) for term in direct}})

    def ordered(self, values: Mapping[str, float]) -> dict[str, float]:
        """The values by name in the order of the problem, with zero for the silent terms."""
        complete = {**values, **dict.fromkeys(self.silent, 0.0)}
        return {term.name: complete[term.name] for term in self.problem.terms if term.name in complete}


@dataclass(frozen=True, eq=False)
class Box(Bounds):
    """An intersection of bounds."""

    lower: float | Array = -np.inf
    upper: float | Array = np.inf
    name: str = "bounds"

    @property
    def active(self) -> bool:
        """Whether a bound is finite."""
        return bool(np.any(np.isfinite(self.lower)) or np.any(np.isfinite(self.upper)))

    def intersect(self, other: Bounds) -> Box:
        """The intersection with another box; `UserError` if it is empty."""
        lower, upper = np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper)
        if np.any(lower > upper):
            raise UserError(other.name, "its bounds exclude those of another term", "remove one of them")
        return Box(float(lower) if lower.ndim == 0 else lower, float(upper) if upper.ndim == 0 else upper)


@dataclass(frozen=True)
class Problem:
    r"""Minimise :math:`F(x) = \sum_j T_j(x)` over arrays x of one shape.

    Parameters
    ----------
    terms : the summands, each with a unique name.
    shape : of the unknown, (n, ny, nx) for maps.
    labels : of the first axis (elements); may be empty.
    dtype : of the unknown.
    engine : ``numpy``, ``numba`` (compiled kernels for the terms that have them), ``cupy`` (kernels on a CUDA device)
        or ``auto``: ``numba`` if it is installed.
    """

    terms: tuple[Term, ...]
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        double = repeated(term.name for term in self.terms)
        if double is not None:
            raise UserError("terms", f"two terms are called '{double}'", "give one of them another 'name'")
        if not self.terms:
            raise UserError("terms", "the list is empty", "add at least one term")

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return prod(self.shape)

    @cached_property
    def bounds(self) -> Box:
        """The intersection of all bounds."""
        box = Box()
        for term in self.terms:
            if isinstance(term, Bounds):
                box = box.intersect(term)
        return box

    def value(self, x: Array) -> float:
        """F(x), with auxiliary unknowns at zero."""
        return float(sum(term.value(x) for term in self.terms))

    def sort(self, slots: Slots) -> Split:
        """Put every term into a slot.

        `Unfit` if a term fits into no slot.

        Parameters
        ----------
        slots : of the solver.
        """
        smooth: list[Smooth] = []
        pixelwise: list[Pixelwise] = []
        composed: list[Composed] = []
        direct: list[Proximable] = []
        for term in self.terms:
            if isinstance(term, Bounds) or term.silent:
                continue
            if slots.pixelwise and isinstance(term, Pixelwise):
                pixelwise.append(term)
            elif slots.smooth and isinstance(term, Smooth):
                smooth.append(term)
            elif slots.composed and isinstance(term, Composed) and (slots.auxiliary or term.auxiliary is None):
                composed.append(term)
            elif isinstance(term, Proximable) and (slots.proximable or slots.composed):
                direct.append(term)
            else:
                raise _unfit(term, slots)
        # unless bounds have their own slot, the prox slot holds pixelwise terms with bounds, bounds, or one term
        free = slots.proximable and (slots.bounds or not (pixelwise or self.bounds.active))
        kept = direct.pop(0) if free and direct else None
        if direct and not slots.composed:
            raise _unfit(direct[0], slots)
        if kept is not None and self.bounds.active:
            direct.append(kept)
        coupling = Coupling((*composed, *(Lifted(term, self.shape) for term in direct)))
        silent = tuple(term.name for term in self.terms if term.silent)
        return Split(self, tuple(smooth), tuple(pixelwise), self.bounds, kept, coupling, silent)


class Unfit(Exception):
    """A solver has no slot for a term."""

    def __init__(self, term: Term, reason: str) -> None:
        self.term, self.reason = term, reason
        super().__init__(f"cannot take the term '{term.name}': {reason}")


def _unfit(term: Term, slots: Slots) -> Unfit:
    return Unfit(term, f"it is {capabilities(term)}, and the solver takes {slots.spell()}")


def capabilities(term: Term) -> str:
    """The types of a term in words."""
    words = []
    if isinstance(term, Bounds):
        words.append("bounds")
    elif isinstance(term, Proximable):
        words.append("proximable")
    if isinstance(term, Smooth):
        words.append("smooth")
    elif isinstance(term, Differentiable):
        words.append("differentiable inside its domain only")
    if isinstance(term, Pixelwise):
        words.append("pixelwise")
    if isinstance(term, Composed):
        words.append("a functional of a linear map" + (" with an auxiliary unknown" if term.auxiliary else ""))
    return " and ".join(words) or "known by its value only"
