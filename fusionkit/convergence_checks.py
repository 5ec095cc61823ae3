"""The checks of a solve: when they are due, whether it stalls or diverges, and its best iterate.

A check costs about one iteration. Every tenth iteration takes a look. If the solver measures the change of x, a look
estimates the certificate from a sample of the rows; the steps adapt to it, and a check follows when the budget allows
it or the tolerance may be met. Otherwise every look is a check. Costs are counted in iterations, not timed, so that
runs are repeatable bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fusionkit.calibration import Parameter
from fusionkit.certificate import Certificate
from fusionkit.checkpoint.encode import SCRATCH
from fusionkit.engines.sums import Evaluation
from fusionkit.problem import Problem
from fusionkit.terms import Array

_PATIENCE = 50  # looks without progress of the optimality before a solve counts as stalled; or half of all looks
_PLATEAU = 200  # looks that a plateau may last early in a solve, up to two thirds of all
_SAME = 3  # checks with bit-equal objective and optimality: the iterate no longer moves
_BLOW_UP = 1e6  # growth of the objective's magnitude that counts as divergence
LOOK = 10  # iterations between two looks
_BUDGET = 0.05  # cost of looks and checks, as a share of the iterations
_RESERVE = 0.01  # part of this budget kept for looks near the tolerance
_CREDIT = 2  # checks beyond the budget near the tolerance, limited because looks may mislead
_CHECK = 1.1  # cost of a check in iterations: 1.0 to 1.2 for TV and TGV in chambolle_pock
_LOOK = 0.2  # cost of a look in iterations at 256 x 256 pixels; less for larger images
_NEAR = 1.15  # times the tolerance: look and check differ by about as much, so that it may be met


@dataclass(frozen=True)
class Check:
    """The state of a solve at a check, as its observer gets it."""

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
    """The checks of one solve and its best iterate; lives as long as the solve."""

    # terms taken by their prox; a constraint among them may be infinite until the solve has converged
    by_prox: frozenset[str] = field(default=frozenset(), metadata=SCRATCH)
    # checks, best: all checks, and that of the best iterate
    checks: list[Check] = field(default_factory=list)
    best: Check | None = None
    best_x: Array | None = None  # the best iterate; None for the starting point
    # the problem with the parameters of the best iterate
    best_problem: Problem | None = field(default=None, metadata=SCRATCH)
    looks: list[float] = field(default_factory=list)  # optimality of the samples, or of the checks without samples
    # iteration, seconds, estimated certificate and values of each look
    samples: list[tuple[int, float, Certificate, Evaluation]] = field(default_factory=list)

    def add(self, check: Check, problem: Problem) -> None:
        """Record a check of the current problem."""
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
        if check.parameters:  # they do not minimise the objective, so its value does not rank iterates
            return check.optimality < self.best.optimality
        rounding = 8 * float(np.finfo(dtype).eps) * abs(self.best.objective)
        if abs(check.objective - self.best.objective) <= rounding:
            return check.optimality < self.best.optimality
        return check.objective < self.best.objective

    def stalled(self) -> bool:
        """No progress of the optimality over the last looks, or an iterate that no longer moves."""
        marks = [(check.objective, check.optimality) for check in self.checks[-_SAME:]]
        return self.is_on_plateau() or (len(marks) == _SAME and all(mark == marks[0] for mark in marks))

    def is_on_plateau(self) -> bool:
        """No progress of the optimality over the last looks."""
        values = self.looks
        # primal-dual certificates oscillate, ever more slowly
        patience = max(_PATIENCE, len(values) // 2, min(2 * len(values) // 3, _PLATEAU))
        return len(values) > patience and min(values[-patience:]) >= 0.99 * min(values[:-patience])

    def iterations_left(self, tolerance: float) -> float:
        """Iterations to the tolerance at the pace of the second half of the looks."""
        half, best = len(self.looks) // 2, min(self.looks, default=np.inf)
        if best <= tolerance or half == 0:
            return 0.0
        gain = float(np.log(min(self.looks[:half]) / best))
        pace = gain / (len(self.looks) - half)
        return LOOK * float(np.log(best / max(tolerance, 1e-300))) / pace if pace > 0.0 else np.inf

    def sampled(self, iteration: int, seconds: float, certificate: Certificate, evaluation: Evaluation) -> None:
        """Record a sampled look."""
        self.looks.append(certificate.optimality)
        self.samples.append((iteration, seconds, certificate, evaluation))

    def diverged(self) -> bool:
        """Whether a value is not finite or the objective has blown up."""
        first, last = self._size(self.checks[0]), self._size(self.checks[-1])
        return not np.isfinite(last) or (np.isfinite(first) and abs(last) > _BLOW_UP * (abs(first) + 1.0))

    def _size(self, check: Check) -> float:
        """The objective without constraints that are not met yet."""
        unmet = {name for name in self.by_prox if check.terms.get(name) == np.inf}
        return check.objective if not unmet else sum(v for name, v in check.terms.items() if name not in unmet)


def columns(checks: Sequence[Check]) -> dict[str, Array]:
    """The checks as columns by name."""
    result: dict[str, list[float]] = {}
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
            result.setdefault(name, []).append(value)
    return {name: np.array(values, dtype=np.float64) for name, values in result.items()}


@dataclass
class Schedule:
    """Decides at each look whether a check follows; lives as long as the solve."""

    tolerance: float  # of the solve
    # spent, last: what looks and checks have cost so far, in iterations, and the certificate of the last look
    spent: float = 0.0
    last: Certificate | None = None

    def due(self, iteration: int, seen: Certificate) -> bool:
        """Whether a check follows this look.

        Parameters
        ----------
        iteration : of the look.
        seen : the estimated certificate.
        """
        self.spent += _LOOK
        still, self.last = seen == self.last, seen
        left = _BUDGET * iteration - self.spent
        if still or not np.isfinite(seen.optimality) or seen.optimality <= _NEAR * self.tolerance:
            return left >= -_CREDIT * _CHECK
        return left >= _CHECK + _RESERVE * iteration

    def checked(self) -> None:
        """Record a check."""
        self.spent += _CHECK


@dataclass(frozen=True)
class Position:
    """Where a solve is between two iterations: all that its course from there depends on."""

    # iteration, seconds: so far
    iteration: int
    seconds: float
    state: Any  # of the solver
    is_unrelaxed: bool  # whether the last iteration was
    # parameters, steps: fitted ones and their last steps, by the names of term and parameter
    parameters: Mapping[str, Mapping[str, float]]
    steps: Mapping[str, Mapping[str, float]]
    # history, schedule: of the checks; no schedule where every look is one
    history: History
    schedule: Schedule | None
    # the next look and the question left to a `fusionkit.solvers.auto.Watch`; None without one
    watch: tuple[int, int] | None
