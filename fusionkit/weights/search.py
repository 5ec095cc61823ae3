"""The search for a weight: the problem at any weight, its solve, and the terms that validate the maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, log2
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from fusionkit.calibration import Parameter
from fusionkit.certificate import Certificate
from fusionkit.checkpoint.encode import size_of
from fusionkit.compose_problem import Objective, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.interrupts import end_if_requested, stop_requested
from fusionkit.loop import solve
from fusionkit.problem import Problem
from fusionkit.result import Result, Status
from fusionkit.solver import Solver, time_limit
from fusionkit.solvers.auto import Auto
from fusionkit.start import start_from_data
from fusionkit.terms import Array, Fitted, Term
from fusionkit.weights.auto import with_weight
from fusionkit.weights.progress import Progress

NORMAL, POISSON = "normal", "poisson"
_REMEDY = "give a number"
_MOST = 800  # iterations of a trial; with a large weight on an image some do not converge, and they need not
_SAVED = {kind.__name__: kind for kind in (Result, Certificate, Parameter)}
_CROSSINGS = 16  # of a small field, at a pixel an iteration, after which a trial ends too


class DivergedError(UserError):
    """A solve of a search diverged."""


@runtime_checkable
class Noisy(Fitted, Protocol):
    """A fit to data whose noise is known."""

    name: str
    weight: float

    @property
    def noise(self) -> str:
        """``normal``, ``poisson`` or empty."""
        ...

    def expected(self, x: Array) -> Array:
        """The expected data."""
        ...


@runtime_checkable
class HasNaturalWeight(Protocol):
    """A penalty scaled by the noise, so that its default weight suits any data."""

    natural_weight: float


@runtime_checkable
class HasDraft(Protocol):
    """A penalty with a cheaper form that is good enough for the trials of a search."""

    def draft(self) -> Term:
        """The cheaper form."""
        ...


@dataclass(frozen=True)
class Task:
    """A search."""

    objective: Objective  # with a number for every weight; that of the searched term is ignored
    dataset: Dataset  # the data
    # index, term: of the term whose weight is searched
    index: int
    term: str
    searched: frozenset[str] = frozenset()  # options of the term that are chosen together with its weight
    tolerance: float = 5e-3  # of the solves of the search
    # the best trial of an earlier search, to start from; None to start at the scale of the path
    near: Trial | None = None
    rival: Trial | None = None  # the best trial of another penalty, which this one must beat, or None
    progress: Progress = field(default_factory=Progress, repr=False, compare=False)  # of all searches

    @property
    def key(self) -> str:
        """The config key of the weight."""
        return f"terms[{self.index}].weight"

    def problem(
        self, weight: float, data: Mapping[str, Array] | None = None, shares: Mapping[str, float] | None = None
    ) -> Problem:
        """The problem with this weight of the searched term.

        Parameters
        ----------
        weight : of the searched term.
        data : arrays in place of the dataset's, by name.
        shares : factors of the weights of terms, by the names of their data.
        """
        specs = list(self.objective.terms)
        for index, target in self._split if shares else ():
            share = (shares or {}).get(target, 1.0)
            specs[index] = with_weight(specs[index], share * float(specs[index].options.get("weight", 1.0)))
        specs[self.index] = with_weight(specs[self.index], weight)
        problem = self.objective.build(self.with_data(data), specs)
        return replace(problem, terms=tuple(t.draft() if isinstance(t, HasDraft) else t for t in problem.terms))

    def with_options(self, options: Mapping[str, Any]) -> Task:
        """The task with further options of the searched term."""
        specs = list(self.objective.terms)
        specs[self.index] = with_weight(specs[self.index], 0.0, options)
        return replace(self, objective=replace(self.objective, terms=tuple(specs)))

    def with_data(self, data: Mapping[str, Array] | None) -> Dataset:
        """The dataset with these arrays in place of its own."""
        return replace(self.dataset, arrays={**self.dataset.arrays, **data}) if data else self.dataset

    def start(self, data: Mapping[str, Array] | None = None) -> Array:
        """The starting point ``auto``."""
        return start_from_data("auto", self.problem(1.0, data), self.with_data(data))

    def solve(
        self, problem: Problem, weight: float, start: Array | Result, ratio: float = 1.0, tolerance: float | None = None
    ) -> Result:
        """The solution; `DivergedError` where the solve diverges, `Terminated` where a signal or a limit ends it.

        Parameters
        ----------
        problem : at this weight.
        weight : of this trial.
        start : maps, or an earlier solution, with its dual variables and step sizes.
        ratio : of the weight to that of the former solution.
        tolerance : of the solve; by default that of the search.
        """
        options: dict[str, Any] = dict(self.objective.solver.options)
        least = self.tolerance if tolerance is None else tolerance
        options["tolerance"] = max(least, float(options.get("tolerance", 0.0)))
        most = min(_MOST, _CROSSINGS * max(problem.shape)) if len(problem.shape) == 3 else _MOST
        options["max_iterations"] = min(most, int(options.get("max_iterations", most)))
        solver = make_solver(self.objective.solver.type, **options)
        if isinstance(solver, Auto):  # a trial that stalls does not count, so nothing follows it
            solver = solver.first(problem)
        end_if_requested()
        self.progress.end_if_late(time_limit(self.objective.solver.options))
        result = replace(self._solve_or_load(problem, solver, weight, start, ratio), problem=None)  # it holds data
        if result.status is Status.DIVERGED or not np.isfinite(result.x).all():
            raise DivergedError(self.key, f"the search diverged at the weight {weight:.4g}", _REMEDY)
        self.progress.tried(self.term, weight, result.iterations)
        return result

    def _solve_or_load(
        self, problem: Problem, solver: Solver, weight: float, start: Array | Result, ratio: float
    ) -> Result:
        """The solution, from the checkpoint of an earlier run if it has this solve."""
        checkpoint, name = self.progress.checkpoint, self.progress.next_solve()
        saved = None if checkpoint is None else checkpoint.load(name, None, _SAVED)
        if saved is not None and saved[:2] == (self.term, float(weight)):
            return replace(saved[2], status=Status(saved[2].status))
        former = _rescaled(start, ratio) if isinstance(start, Result) else None
        x = start.x if isinstance(start, Result) else start
        result = solve(problem, solver, x, stop_requested=stop_requested, former=former)
        if result.status is Status.INTERRUPTED:
            end_if_requested()
        value = (self.term, float(weight), replace(result, problem=None))
        if checkpoint is not None and checkpoint.is_worth(result.seconds, size_of(value)):
            checkpoint.save(name, value)
        return result

    @property
    def _split(self) -> list[tuple[int, str]]:
        terms = self.objective.build(self.dataset).terms
        return [(index, cast(Noisy, term).target) for index, term in enumerate(terms) if _is_split(term)]

    def validation_terms(self, problem: Problem) -> list[Noisy]:
        """The terms whose data validate the maps: those of counts and of maps with known noise, else fits to maps.

        `UserError` if no term has such data.
        """
        fits = [cast(Noisy, term) for term in problem.terms if noise_kind(term)]
        validation = [fit for fit in fits if _is_split(fit)] or [fit for fit in fits if fit.data.ndim == 3]
        if not validation:
            raise UserError(self.key, "auto needs counts or maps for validation, and no poisson term has any", _REMEDY)
        return validation

    @property
    def natural_weight(self) -> float | None:
        """The weight of a penalty that is scaled by the noise and needs no search; None for others."""
        penalty = next(term for term in self.problem(1.0).terms if term.name == self.term)
        return penalty.natural_weight if isinstance(penalty, HasNaturalWeight) else None

    def scale(self, start: Array) -> tuple[float, float]:
        r"""A strong weight, :math:`N / (k\, g(x_0))`, and the degree k of the penalty; see `fusionkit.weights.path`."""
        problem = self.problem(1.0)
        penalty = next(term for term in problem.terms if term.name == self.term)
        once, twice = penalty.value(start), penalty.value(2 * start)
        if not (once > 0.0 and isfinite(once) and twice > once and isfinite(twice)):
            message = f"auto finds no scale: the term is {once:g} at the starting point"
            raise UserError(self.key, message, _REMEDY)
        degree = min(2.0, max(1.0, log2(twice / once)))
        return problem.size / (degree * once), degree


def _rescaled(former: Result, ratio: float) -> Result:
    """The earlier solution for a penalty ``ratio`` times as strong: duals scale with the weight, step sizes inversely.

    At 1 the weights of the fits have changed, and the solver chooses new step sizes.
    """
    duals = {name: dual * dual.dtype.type(ratio) for name, dual in former.duals.items()}
    steps = {} if ratio == 1.0 else {name: step / ratio for name, step in former.steps.items()}
    return replace(former, duals=duals, steps=steps)


def noise_kind(term: Term | Noisy) -> str:
    """The kind of noise that a fit to data assumes; empty for any other term."""
    return str(getattr(term, "noise", "")) if isinstance(term, Fitted) else ""


def sigma_of(term: Term | Noisy) -> Array | None:
    """The noise of each map that a Gaussian term knows, (n, 1, 1), float64; None for any other term."""
    sigma = getattr(getattr(term, "loss", None), "sigma", None)
    return None if sigma is None else np.asarray(sigma, np.float64)


def _is_split(term: Term | Noisy) -> bool:
    return noise_kind(term) == POISSON or sigma_of(term) is not None


@dataclass(frozen=True)
class Trial:
    """One weight with the errors of its maps, and its solves."""

    weight: float  # of the trial
    errors: Array  # of its maps at each validation pixel
    results: tuple[Result, ...]  # the solves from which the next weight continues
    iterations: int  # of all solves
    noise: float = 0.0  # mean contribution of the noise to the errors, the same for all maps; 0 where unknown
    # estimated root mean square error of each map by element, in its unit; empty where unknown
    map_errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """The mean error."""
        return float(self.errors.mean(dtype="float64"))

    def from_maps_of(self, other: Trial) -> Trial:
        """This trial with the maps of another, as a starting point."""
        pairs = zip(self.results, other.results, strict=True)
        return replace(self, results=tuple(replace(own, x=its.x) for own, its in pairs))


def drop_solves(trials: list[Trial]) -> None:
    """Free the solves of all trials but the best one and the ends of the path, from which others start."""
    kept = min(trials, key=lambda one: one.error), *(f(trials, key=lambda one: one.weight) for f in (min, max))
    trials[:] = [one if any(one is each for each in kept) else replace(one, results=()) for one in trials]


Attempt = Callable[[float, Trial | None], Trial]  # solves at a weight, from a former trial
