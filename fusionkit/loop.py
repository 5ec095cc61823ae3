"""The one loop that drives every solver: stopping, trace, verdict, and what to keep when it ends early."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fusionkit.acceleration import announce_engine, device_used, engine_notes, engine_used
from fusionkit.arrays import on_host
from fusionkit.calibrate import Parameter, Refit, fitted_terms, matched, refit, spell
from fusionkit.certificate import Certificate
from fusionkit.check_times import LOOK, Schedule
from fusionkit.judge import Judge
from fusionkit.problem import Problem, Split
from fusionkit.result import Result, Status
from fusionkit.solver import Former, Solver, State, fit
from fusionkit.terms import Array

_PATIENCE = 50  # looks without progress of the optimality before a solve counts as stalled, or half of all
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
class _History:
    """The checks of one solve and its best iterate; lives as long as the solve."""

    checks: list[Check] = field(default_factory=list)
    best: Check | None = None
    best_x: Array | None = None
    best_problem: Problem | None = None
    looks: list[float] = field(default_factory=list)  # optimality of the samples, or of the checks without any

    def add(self, check: Check, x: Array, problem: Problem) -> None:
        self.checks.append(check)
        if self._better(check, x.dtype):
            self.best, self.best_problem = check, problem
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
        patience = max(_PATIENCE, len(values) // 2)  # primal-dual certificates oscillate, the more slowly the longer
        return len(values) > patience and min(values[-patience:]) >= 0.99 * min(values[:-patience])

    def diverged(self) -> bool:
        """A value that is not finite, or an objective that has grown beyond all proportion."""
        first, last = self.checks[0], self.checks[-1]
        return not np.isfinite(last.objective) or (
            np.isfinite(first.objective) and abs(last.objective) > _BLOW_UP * (abs(first.objective) + 1.0)
        )

    def trace(self) -> dict[str, Array]:
        """The checks as columns."""
        columns: dict[str, list[float]] = {}
        for check in self.checks:
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
                columns.setdefault(name, []).append(value)
        return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def solve(
    problem: Problem,
    solver: Solver,
    x0: Array,
    on_check: Callable[[Check], None] | None = None,
    stop_requested: Callable[[], bool] | None = None,
    former: Former | None = None,
) -> Result:
    """Minimise the objective of ``problem`` from ``x0`` with ``solver``.

    Parameters
    ----------
    problem : the objective.
    solver : the algorithm with its options (tolerance, limits).
    x0 : starting point, shape of the problem; projected onto the bounds.
    on_check : called with every `Check`.
    stop_requested : polled between iterations; True ends the solve with the status ``interrupted``.
    former : result of a like problem (other weights, other data), whose dual variables and steps the solve goes on
        from as well, in solvers that can; those of the same name and shape are taken.

    Raises
    ------
    RefusalError : before the first iteration, when the solver cannot take a term.
    """
    course = _Course(solver, fit(solver, problem))
    announce_engine(course.split)
    started = time.perf_counter()
    history = _History()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # judged by the finite-value check below
        start = problem.bounds.prox(np.array(x0, dtype=problem.dtype), 1.0)
        course.begin(start)
        state = solver.init(course.split, start)
        if former is not None:
            state = solver.resume(course.split, state, former)
        iteration, status, settled = 0, None, True
        _check(history, course, state, 0, started, on_check)
        while status is None:
            if stop_requested is not None and stop_requested():
                status = Status.INTERRUPTED
                break
            iteration += 1
            over_time = solver.options.time_limit is not None and (
                time.perf_counter() - started > solver.options.time_limit
            )
            last = iteration >= solver.options.max_iterations or over_time
            settled = last or iteration % course.interval == 0
            if not settled:
                state = solver.step(course.split, state)
                continue
            state = solver.settle(course.split, state)
            sample = course.sample(state)
            if sample is not None:
                history.looks.append(sample.optimality)
            if course.due(iteration, sample) or last or history.rests():
                _check(history, course, state, iteration, started, on_check, sample)
                status = _verdict(history, solver, last)
            if status is None:
                seen = history.checks[-1].certificate if sample is None else sample
                state = solver.adapt(course.split, course.advance(state), seen)
        if history.checks[-1].iteration != iteration:
            if not settled:
                state, iteration = solver.settle(course.split, state), iteration + 1
            _check(history, course, state, iteration, started, on_check)
    return _result(history, course, state, status, iteration, time.perf_counter() - started)


class _Course:
    """The problem of a solve as it stands: fitted parameters move after each check.

    Parameters
    ----------
    solver : the algorithm.
    split : the problem, sorted for it.
    """

    def __init__(self, solver: Solver, split: Split) -> None:
        self.solver, self.split, self.judge = solver, split, Judge(split)
        self._refit: Refit | None = None
        # parameters are fitted to the whole, and who names an interval wants checks there
        every_look = solver.options.check_every is not None or bool(fitted_terms(self.problem))
        self._schedule = None if every_look else Schedule(solver.options.tolerance)
        self.interval = solver.options.check_every or LOOK

    @property
    def problem(self) -> Problem:
        """With the parameters of the last check."""
        return self.split.problem

    def begin(self, start: Array) -> None:
        """Fitted parameters start where they are best for the starting point."""
        if fitted_terms(self.problem):
            self._turn(matched(self.problem, start))

    def sample(self, state: State) -> Certificate | None:
        """About the certificate, for little; None where that cannot be had, or every look is a check of the whole."""
        return None if self._schedule is None else self.judge.sampled(state)

    def due(self, iteration: int, sample: Certificate | None) -> bool:
        """Whether to check the whole at a look that gave this sample."""
        return self._schedule is None or sample is None or self._schedule.due(iteration, sample)

    def checked(self) -> None:
        """Take notice of a check of the whole."""
        if self._schedule is not None:
            self._schedule.checked()

    def look(self, state: State) -> tuple[dict[str, float], Certificate, Mapping[str, Mapping[str, Parameter]]]:
        """Values of the terms, the certificate and the fitted parameters."""
        terms, certificate = self.judge(state)
        if not fitted_terms(self.problem):
            return terms, certificate, {}
        self._refit = refit(self.problem, on_host(state.x))
        return terms, replace(certificate, calibration=self._refit.change), self._refit.parameters

    def advance(self, state: State) -> State:
        """The state for the problem with the parameters of the next iterations."""
        if self._refit is None:
            return state
        self._turn(self._refit.problem)
        return self.solver.rebind(self.split, state)

    def _turn(self, problem: Problem) -> None:
        self.split = fit(self.solver, problem)
        self.judge = Judge(self.split, self.judge)


def _check(
    history: _History,
    course: _Course,
    state: State,
    iteration: int,
    started: float,
    on_check: Callable[[Check], None] | None,
    sample: Certificate | None = None,
) -> None:
    terms, certificate, parameters = course.look(state)
    seconds, objective = time.perf_counter() - started, float(sum(terms.values()))
    limit = course.solver.options.max_iterations
    check = Check(iteration, limit, seconds, objective, terms, certificate, parameters)
    history.add(check, state.x, course.problem)
    course.checked()
    if sample is None and iteration > 0:
        history.looks.append(certificate.optimality)
    if on_check is not None:
        on_check(check)


def _verdict(history: _History, solver: Solver, last: bool) -> Status | None:
    if history.diverged():
        return Status.DIVERGED
    if history.checks[-1].optimality <= solver.options.tolerance:
        return Status.CONVERGED
    if history.stalled():
        return Status.STALLED
    return Status.MAX_ITERATIONS if last else None


def _result(
    history: _History, course: _Course, state: State, status: Status, iterations: int, seconds: float
) -> Result:
    solver, split, problem = course.solver, course.split, course.problem
    final = history.checks[-1]
    names = [term.name for term in split.coupling.terms]
    x, duals = state.x, {name: on_host(p) for name, p in zip(names, state.duals, strict=True)}
    auxiliary = {name: on_host(w) for name, w in zip(names, state.auxiliary, strict=True) if w.size}
    if (
        status is not Status.CONVERGED
        and history.best is not None
        and history.best_x is not None
        and final is not history.best
    ):
        # an early end keeps the best iterate; the last duals do not belong to it
        final, x, duals, auxiliary = history.best, history.best_x, {}, {}
        problem = history.best_problem or problem
    return Result(
        x=on_host(x),
        labels=problem.labels,
        status=status,
        message=_message(status, iterations, final.optimality, solver),
        iterations=iterations,
        objective=final.objective,
        terms=final.terms,
        certificate=final.certificate,
        trace=history.trace(),
        steps=solver.steps(state),
        seconds=seconds,
        notes=(*solver.notes(split, state), *engine_notes(split), *spell(final.parameters)),
        engine=engine_used(split),
        device=device_used(split),
        parameters=final.parameters,
        problem=problem if final.parameters else None,
        duals=duals,
        auxiliary=auxiliary,
    )


def _message(status: Status, iterations: int, optimality: float, solver: Solver) -> str:
    tolerance = solver.options.tolerance
    reached = f"optimality {optimality:.2e}"
    return {
        Status.CONVERGED: f"converged after {iterations} iterations: {reached} <= {tolerance:g}",
        Status.MAX_ITERATIONS: f"stopped after {iterations} iterations, the limit: {reached} > {tolerance:g}",
        Status.STALLED: f"stalled after {iterations} iterations: {reached} no longer improves",
        Status.DIVERGED: f"diverged after {iterations} iterations: the objective blew up; best iterate kept",
        Status.INTERRUPTED: f"interrupted after {iterations} iterations: best iterate kept, {reached}",
    }[status]
