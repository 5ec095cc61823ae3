"""The objective as a list of terms, and how it is sorted into the slots of a solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np

from fusionkit.coupling import Arrays, Coupling, Lifted
from fusionkit.errors import UserError
from fusionkit.terms import Array, Bounds, Composed, Differentiable, Pixelwise, Proximable, Smooth, Term

Engine = Literal["auto", "numpy", "numba", "cupy"]


@dataclass(frozen=True)
class Slots:
    """What a solver can take.

    Parameters
    ----------
    smooth : takes a gradient step on smooth terms.
    pixelwise : solves the joint prox of pixelwise terms and bounds.
    proximable : takes one term by its prox, or the bounds.
    composed : has a dual variable for each composed term.
    auxiliary : its dual steps can carry auxiliary unknowns, as TGV has.
    """

    smooth: bool = False
    pixelwise: bool = False
    proximable: bool = True
    composed: bool = True
    auxiliary: bool = False

    def spell(self) -> str:
        """The slots in words, for refusals."""
        words = [
            (self.smooth, "smooth terms"),
            (self.pixelwise, "pixelwise terms"),
            (self.proximable, "one proximable term or bounds"),
            (self.composed, "proximable functionals of linear maps"),
            (self.auxiliary, "auxiliary unknowns"),
        ]
        return ", ".join(word for takes, word in words if takes)


@dataclass(frozen=True)
class Split:
    """The terms of a problem in the slots of a solver; every term that is not silent stands in exactly one of them.

    Parameters
    ----------
    problem : where the terms come from.
    smooth : taken by their gradient.
    pixelwise : taken by their joint prox, together with the bounds.
    bounds : the intersection of all bounds; unbounded where there are none.
    proximable : taken by its own prox; None where there is none.
    coupling : taken by a dual variable each.
    silent : names of composed terms of weight zero, which are left out.
    """

    problem: Problem
    smooth: tuple[Smooth, ...]
    pixelwise: tuple[Pixelwise, ...]
    bounds: Box
    proximable: Proximable | None
    coupling: Coupling
    silent: tuple[str, ...] = ()

    def values(self, x: Array, auxiliary: Arrays) -> dict[str, float]:
        """Value of each term by its name (bounds left out), the auxiliary unknowns included."""
        found = self.coupling.values(self.coupling.apply(x, auxiliary))
        direct: list[Term] = [*self.smooth, *self.pixelwise]
        if self.proximable is not None:
            direct.append(self.proximable)
        found.update({term.name: term.value(x) for term in direct})
        return self.ordered(found)

    def ordered(self, values: Mapping[str, float]) -> dict[str, float]:
        """Values of terms by name in the order of the problem, with zero for the silent ones."""
        found = {**values, **dict.fromkeys(self.silent, 0.0)}
        return {term.name: found[term.name] for term in self.problem.terms if term.name in found}


@dataclass(frozen=True, eq=False)
class Box(Bounds):
    """An intersection of bounds."""

    lower: float | Array = -np.inf
    upper: float | Array = np.inf
    name: str = "bounds"

    @property
    def active(self) -> bool:
        """Whether it bounds anything."""
        return bool(np.any(np.isfinite(self.lower)) or np.any(np.isfinite(self.upper)))

    def intersect(self, other: Bounds) -> Box:
        """The intersection with another box; `UserError` where nothing is left."""
        lower, upper = np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper)
        if np.any(lower > upper):
            raise UserError(other.name, "its bounds exclude those of another term", "keep one of them")
        return Box(float(lower) if lower.ndim == 0 else lower, float(upper) if upper.ndim == 0 else upper)


@dataclass(frozen=True)
class Problem:
    r"""Minimise :math:`F(x) = \sum_j T_j(x)` over arrays x of one shape.

    Parameters
    ----------
    terms : the summands, with different names.
    shape : shape of the unknown, (n, ny, nx) for maps.
    labels : what the first axis means (elements); may be empty.
    dtype : of the unknown.
    engine : ``numpy``, ``numba`` (compiled kernels where they know the terms), ``cupy`` (kernels on a CUDA device) or
        ``auto``: compiled where installed.
    """

    terms: tuple[Term, ...]
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        names = [term.name for term in self.terms]
        double = {name for name in names if names.count(name) > 1}
        if double:
            raise UserError("terms", f"two terms are called '{sorted(double)[0]}'", "give one a 'name' of its own")
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
        """F(x), auxiliary unknowns at zero."""
        return float(sum(term.value(x) for term in self.terms))

    def sort(self, slots: Slots) -> Split:
        """Put every term into a slot, or refuse.

        Parameters
        ----------
        slots : what the solver has.

        Raises
        ------
        Unfit : names the first term that fits nowhere and what is missing.
        """
        smooth: list[Smooth] = []
        pixelwise: list[Pixelwise] = []
        composed: list[Composed] = []
        direct: list[Proximable] = []
        for term in self.terms:
            if isinstance(term, Bounds) or (isinstance(term, Composed) and term.silent):
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
        # the prox slot holds one thing: pixelwise terms with the bounds, or the bounds, or one proximable term
        occupied = bool(pixelwise) or self.bounds.active
        kept = None if occupied or not direct or not slots.proximable else direct.pop(0)
        if direct and not slots.composed:
            raise _unfit(direct[0], slots)
        coupling = Coupling((*composed, *(Lifted(term, self.shape) for term in direct)))
        silent = tuple(term.name for term in self.terms if isinstance(term, Composed) and term.silent)
        return Split(self, tuple(smooth), tuple(pixelwise), self.bounds, kept, coupling, silent)


class Unfit(Exception):
    """A solver has no slot for a term."""

    def __init__(self, term: Term, reason: str) -> None:
        self.term, self.reason = term, reason
        super().__init__(f"cannot take the term '{term.name}': {reason}")


def _unfit(term: Term, slots: Slots) -> Unfit:
    return Unfit(term, f"it is {capabilities(term)}, and the solver takes {slots.spell()}")


def capabilities(term: Term) -> str:
    """What a term can do, in words."""
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
