"""The Poisson loss as an author would write it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fusionkit.engines.losses import log
from fusionkit.operators.fidelity import Fidelity, fidelity
from fusionkit.operators.fidelity.loss import ScalarLoss
from fusionkit.operators.fidelity.poisson import FLOOR, PoissonLoss
from fusionkit.problem import Problem
from fusionkit.terms import Array


class OwnPoisson(NamedTuple):
    """m - b log(m + epsilon)."""

    epsilon: float
    floor: float

    def value(self, m: Any, b: Any) -> Any:
        """phi(m; b)."""
        return m - b * log(m + self.epsilon)

    def slope(self, m: Any, b: Any) -> Any:
        """phi'(m; b)."""
        return 1 - b / np.maximum(m + self.epsilon, self.floor)

    def curvature(self, m: Any, b: Any) -> Any:
        """phi''(m; b)."""
        return b / np.maximum(m + self.epsilon, self.floor) ** 2


@dataclass(frozen=True)
class OwnLoss(ScalarLoss):
    """The loss with these scalars and the built-in prox."""

    epsilon: float = 0.1

    @property
    def scalars(self) -> OwnPoisson:
        """The loss for one value."""
        return OwnPoisson(self.epsilon, FLOOR)

    def prox(self, v: Array, b: Array, step: float) -> Array:
        """The built-in prox."""
        return PoissonLoss(self.epsilon).prox(v, b, step)

    def smooth_on(self, nonnegative: bool) -> bool:
        """Smooth for m >= 0."""
        return nonnegative


def rewritten(problem: Problem) -> Problem:
    """The problem with `OwnLoss` in place of its Poisson loss."""

    def own(term: Any) -> Any:
        if not (isinstance(term, Fidelity) and isinstance(term.loss, PoissonLoss)):
            return term
        return fidelity(term.name, term.weight, OwnLoss(term.loss.epsilon), term.forward, term.data)

    return replace(problem, terms=tuple(own(term) for term in problem.terms))
