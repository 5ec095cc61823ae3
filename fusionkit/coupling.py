"""All composed terms of a problem as one linear map with one dual variable for each term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusionkit.linear import IdentityMap
from fusionkit.terms import Array, Composed, Functional, Proximable

Arrays = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Lifted(Composed):
    """A proximable term taken as composed with the identity, so that it gets a dual variable of its own.

    Parameters
    ----------
    term : the proximable term.
    shape : shape of the unknown.
    """

    term: Proximable
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.term.name)
        object.__setattr__(self, "convex", self.term.convex)
        object.__setattr__(self, "operator", IdentityMap(self.shape))
        object.__setattr__(self, "functional", _FlatFunctional(self.term, self.shape))


@dataclass(frozen=True, eq=False)
class _FlatFunctional(Functional):
    """A proximable term as a functional of flat vectors."""

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
    r"""The stacked map :math:`(x, w) \mapsto (K_j x + A_j w_j)_j` of the composed terms.

    Parameters
    ----------
    terms : the composed terms; term j has the dual variable p_j, of the shape of the range of K_j.
    """

    terms: tuple[Composed, ...]

    def zeros(self, dtype: np.dtype) -> Arrays:
        """Dual variables at zero."""
        return tuple(np.zeros(term.operator.range, dtype) for term in self.terms)

    def auxiliary_zeros(self, dtype: np.dtype) -> Arrays:
        """Auxiliary unknowns at zero; an empty array for a term that has none."""
        return tuple(
            np.zeros(term.auxiliary.domain if term.auxiliary is not None else (0,), dtype) for term in self.terms
        )

    def apply(self, x: Array, auxiliary: Sequence[Array], out: Sequence[Array] | None = None) -> Arrays:
        """K_j x + A_j w_j for each term."""
        results = []
        for index, term in enumerate(self.terms):
            y = term.operator.apply(x, None if out is None else out[index])
            if term.auxiliary is not None:
                y += term.auxiliary.apply(auxiliary[index])
            results.append(y)
        return tuple(results)

    def adjoint(self, duals: Sequence[Array], out: Array) -> Array:
        """sum_j K_j' p_j into ``out``."""
        if not self.terms:
            out.fill(0)
        for index, (term, dual) in enumerate(zip(self.terms, duals, strict=True)):
            if index == 0:
                term.operator.adjoint(dual, out)
            else:
                out += term.operator.adjoint(dual)
        return out

    def auxiliary_adjoint(self, duals: Sequence[Array]) -> Arrays:
        """A_j' p_j for each term; an empty array where there is no auxiliary unknown."""
        return tuple(
            term.auxiliary.adjoint(dual) if term.auxiliary is not None else np.zeros_like(dual, shape=(0,))
            for term, dual in zip(self.terms, duals, strict=True)
        )

    def squared_norms(self) -> tuple[float, ...]:
        """An upper bound of ||(K_j, A_j)||^2 for each term."""
        return tuple(
            term.operator.norm**2 + (term.auxiliary.norm**2 if term.auxiliary is not None else 0.0)
            for term in self.terms
        )

    def proxdual(self, index: int, p: Array, sigma: float) -> Array:
        """prox of sigma g_j* at p."""
        return self.terms[index].functional.proxdual(p.ravel(), sigma).reshape(p.shape)

    def prox(self, index: int, y: Array, step: float) -> Array:
        """prox of step g_j at y."""
        return self.terms[index].functional.prox(y.ravel(), step).reshape(y.shape)

    def values(self, images: Sequence[Array]) -> dict[str, float]:
        """g_j at the images K_j x + A_j w_j, by the name of the term."""
        return {
            term.name: float(term.functional(image.ravel())) for term, image in zip(self.terms, images, strict=True)
        }
