"""The Poisson loss as an author would write it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fusionkit.engines.losses import log
from fusionkit.operators.fidelity import Fidelity, fidelity
from fusionkit.operators.fidelity.loss import ScalarLoss
from fusionkit.operators.fidelity.poisson import FLOOR, PoissonLoss
from fusionkit.problem import Problem


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


def rewritten(problem: Problem) -> Problem:
    """The problem with `OwnPoisson` in place of its Poisson loss."""

    def own(term: Any) -> Any:
        if not (isinstance(term, Fidelity) and isinstance(term.loss, PoissonLoss)):
            return term
        loss = ScalarLoss(OwnPoisson(term.loss.epsilon, FLOOR))
        return fidelity(term.name, term.weight, loss, term.forward, term.data)

    return replace(problem, terms=tuple(own(term) for term in problem.terms))
