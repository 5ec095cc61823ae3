"""Derived step sizes: what several solvers start from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from fusionkit.certificate import Certificate
from fusionkit.errors import FusionkitWarning
from fusionkit.pixelwise import blocks
from fusionkit.problem import Split
from fusionkit.terms import Array

_PATIENCE = 3  # checks without progress before a step is shortened


def curvature(split: Split, x: Array) -> float:
    """Mean curvature of the pixelwise terms at ``x``: the trace of their model Hessian over the number of unknowns."""
    total = 0.0
    for rows in blocks(x.shape, x.itemsize):
        for term in split.pixelwise:
            expansion = term.expand(x[:, rows], rows)
            total += float(np.sum(expansion.curvature, dtype=np.float64))
            if expansion.coupling is not None:
                total += float(np.sum(np.square(expansion.coupling), dtype=np.float64))
    return total / x.size


def primal_step(split: Split, x: Array) -> float:
    """A primal step tau from the curvature of the terms at ``x``, else balanced for ||K||.

    An eighth of the inverse mean curvature: longer steps start faster but cycle where the HAADF term is weakly convex
    (on DyScO3, factors 1, 4, 6 and 8 took more than 600, 550, 490 and 450 iterations to an optimality of 1e-4).
    """
    mean = curvature(split, x) if split.pixelwise else 0.0
    if mean > 0.0 and np.isfinite(mean):
        return 1.0 / (8.0 * mean)
    largest = max(split.coupling.squared_norms(), default=1.0)
    return 1.0 / largest**0.5 if largest > 0.0 else 1.0


@dataclass(frozen=True)
class StallRule:
    """Shortens a step that is too long for a weakly convex problem: where the certificate has stopped improving.

    Parameters
    ----------
    best : lowest optimality seen.
    waited : checks since it was seen.
    shrink : the share of the first step that is in use now.
    """

    best: float = np.inf
    waited: int = 0
    shrink: float = 1.0

    def judge(self, optimality: float) -> StallRule:
        """The rule after a check; compare ``shrink`` with the former one."""
        if optimality < 0.9 * self.best:
            return StallRule(optimality, 0, self.shrink)
        if self.waited < _PATIENCE:
            return StallRule(self.best, self.waited + 1, self.shrink)
        # the floor: a certificate that rounding holds up must not drive the step to nothing
        return StallRule(self.best, 0, max(0.7 * self.shrink, 0.1))


@dataclass(frozen=True)
class Balance:
    """Balances the primal and the dual step of a convex problem by the two halves of its certificate.

    Any ratio of the steps converges; one that lets both halves fall together is fast. Each change is smaller than the last,
    so that the steps settle. The certificate's alignment falls about as the square of its stationarity: the window of their
    ratio in which nothing changes, 10 to 100, took the fewest iterations on small problems of every penalty.
    Source: T. Goldstein, M. Li, X. Yuan, E. Esser, R. Baraniuk, arXiv:1305.0546 (2013), there with residuals.

    Parameters
    ----------
    strength : relative size of the next change.
    """

    strength: float = 0.5

    def judge(self, certificate: Certificate) -> tuple[Balance, float]:
        """The rule after a check, and the factor of the primal step (its inverse is that of the dual step)."""
        if 10 * certificate.alignment <= certificate.stationarity <= 100 * certificate.alignment:
            return self, 1.0
        factor = 1.0 + self.strength
        longer = certificate.stationarity > 100 * certificate.alignment
        return Balance(0.95 * self.strength), factor if longer else 1.0 / factor


def rests_on_curvature(split: Split) -> bool:
    """Whether a term is not convex, so that a step may be too long although it satisfies the step condition."""
    return not all(term.convex for term in split.problem.terms)


def warn_broken(solver: str, condition: str, remedy: str) -> None:
    """Warn that a user's step breaks the condition of convergence."""
    warnings.warn(f"solver {solver}: {condition}; {remedy}", FusionkitWarning, stacklevel=3)
