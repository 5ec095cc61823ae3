"""The checks of one solve, what they say of its course, and its best iterate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fusionkit.calibration import Parameter
from fusionkit.certificate import Certificate
from fusionkit.engines.sums import FastCheck
from fusionkit.problem import Problem
from fusionkit.terms import Array

_PATIENCE = 50  # looks without progress of the optimality before a solve counts as stalled, or half of all
_PLATEAU = 200  # looks that a plateau may take early in a solve, up to two thirds of all
_SAME = 3  # checks with bit-equal objective and optimality: the iterate no longer moves
_BLOW_UP = 1e6  # growth of the objective's magnitude that counts as divergence


@dataclass(frozen=True)
class Check:
    """What an observer of a solve sees at each check."""

    iteration: int
    max_iterations: int
    seconds: float
    objective: float
    terms: dict[str, float]
    certificate: Certificate
    parameters: Mapping[str, Mapping[str, Parameter]] = field(default_factory=dict)

    @property
    def optimality(self) -> float:
        """The relative optimality of the certificate."""
        return self.certificate.optimality


@dataclass
class History:
    """The checks of one solve and its best iterate; lives as long as the solve.

    Parameters
    ----------
    by_prox : terms that are taken by their prox; a constraint among them is infinite until it holds, in the limit.
    checks, best : all of them, and that of the best iterate.
    best_x : the best iterate; None for the starting point, which can be made anew.
    best_problem : the problem with the parameters of the best iterate.
    looks : optimality of the samples, or of the checks where there are none.
    samples : iteration, seconds, certificate and values, about, of each look at a sample of the rows.
    """

    by_prox: frozenset[str] = frozenset()
    checks: list[Check] = field(default_factory=list)
    best: Check | None = None
    best_x: Array | None = None
    best_problem: Problem | None = None
    looks: list[float] = field(default_factory=list)
    samples: list[tuple[int, float, Certificate, FastCheck]] = field(default_factory=list)

    def add(self, check: Check, problem: Problem) -> None:
        """Take notice of a check of the problem as it stands."""
        self.checks.append(check)
        if self._better(check, problem.dtype):
            self.best, self.best_problem = check, problem

    def keep(self, x: Array) -> None:
        """Keep the iterate of the last check if it is the best, before the solver overwrites it."""
        if self.best is not self.checks[-1]:
            return
        if self.best_x is None:
            self.best_x = x.copy()
        else:
            self.best_x[...] = x

    def _better(self, check: Check, dtype: np.dtype[np.floating]) -> bool:
        """A lower objective; where it differs by no more than the rounding of x, a lower optimality."""
        if self.best is None or not np.isfinite(check.objective):
            return self.best is None and bool(np.isfinite(check.objective))
        if check.parameters:  # they do not minimise the objective, so that its value does not tell which is better
            return check.optimality < self.best.optimality
        rounding = 8 * float(np.finfo(dtype).eps) * abs(self.best.objective)
        if abs(check.objective - self.best.objective) <= rounding:
            return check.optimality < self.best.optimality
        return check.objective < self.best.objective

    def stalled(self) -> bool:
        """No progress of the optimality over the last looks, or an iterate that no longer moves."""
        marks = [(check.objective, check.optimality) for check in self.checks[-_SAME:]]
        return self.rests() or (len(marks) == _SAME and all(mark == marks[0] for mark in marks))

    def rests(self) -> bool:
        """No progress of the optimality over the last looks."""
        values = self.looks
        # primal-dual certificates oscillate, the more slowly the longer
        patience = max(_PATIENCE, len(values) // 2, min(2 * len(values) // 3, _PLATEAU))
        return len(values) > patience and min(values[-patience:]) >= 0.99 * min(values[:-patience])

    def sampled(self, iteration: int, seconds: float, seen: Certificate, found: FastCheck) -> None:
        """Take notice of a look."""
        self.looks.append(seen.optimality)
        self.samples.append((iteration, seconds, seen, found))

    def diverged(self) -> bool:
        """A value that is not finite, or an objective that has grown beyond all proportion."""
        first, last = self._size(self.checks[0]), self._size(self.checks[-1])
        return not np.isfinite(last) or (np.isfinite(first) and abs(last) > _BLOW_UP * (abs(first) + 1.0))

    def _size(self, check: Check) -> float:
        """The objective without constraints that do not hold yet."""
        unmet = {name for name in self.by_prox if check.terms.get(name) == np.inf}
        return check.objective if not unmet else sum(v for name, v in check.terms.items() if name not in unmet)


def columns(checks: Sequence[Check]) -> dict[str, Array]:
    """The checks as columns by name."""
    found: dict[str, list[float]] = {}
    for check in checks:
        row = {
            "iteration": check.iteration,
            "seconds": check.seconds,
            "objective": check.objective,
            "optimality": check.optimality,
            "stationarity": check.certificate.stationarity,
            "alignment": check.certificate.alignment,
            "feasibility": check.certificate.feasibility,
            **{f"term.{name}": value for name, value in check.terms.items()},
            **{
                f"parameter.{term}.{name}": parameter.value
                for term, named in check.parameters.items()
                for name, parameter in named.items()
            },
        }
        if check.parameters:
            row["calibration"] = check.certificate.calibration
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values, dtype=np.float64) for name, values in found.items()}
