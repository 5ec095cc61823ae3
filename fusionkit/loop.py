"""The iteration loop of every solver: checks, stopping, the trace, and the best iterate of an early end."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from fusionkit.arrays import is_authors, on_host
from fusionkit.calibration import (
    Parameter,
    Refit,
    Restorable,
    Steps,
    fitted_terms,
    fitted_to,
    refit,
    spell,
    with_parameters,
)
from fusionkit.certificate import Certificate, rounding_floor
from fusionkit.checkpoint.encode import size_of
from fusionkit.checkpoint.folder import Checkpoint
from fusionkit.compose_problem import blamed_on_authors
from fusionkit.convergence_checks import LOOK, Check, History, Position, Schedule, columns
from fusionkit.engines.choose import backend_of
from fusionkit.engines.evaluate import Evaluator
from fusionkit.engines.local_steps import PixelSteps
from fusionkit.engines.sums import Evaluation
from fusionkit.errors import UserError
from fusionkit.problem import Problem, Split
from fusionkit.result import Result, Status
from fusionkit.solver import Former, Solver, State, call, fit, require_bounds, time_limit
from fusionkit.solvers.auto import Auto, Watch, run_course
from fusionkit.terms import Array

_LOG = logging.getLogger("fusionkit")
POSITION = "solve"  # the name in a checkpoint
_SAVED = {kind.__name__: kind for kind in (Check, Certificate, Evaluation, Parameter, PixelSteps)}


def solve(
    problem: Problem,
    solver: Solver,
    x0: Array,
    on_check: Callable[[Check], None] | None = None,
    stop_requested: Callable[[], bool] | None = None,
    former: Former | None = None,
    on_look: Callable[[int, Certificate], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Minimise the objective of ``problem`` from ``x0`` with ``solver``.

    `RefusalError` before the first iteration if the solver cannot take a term.

    Parameters
    ----------
    problem : the objective.
    solver : the algorithm with its options (tolerance, limits).
    x0 : starting point, shape of the problem; projected onto the bounds.
    on_check : called with every `Check`.
    stop_requested : polled between iterations; True ends the solve with the status ``interrupted``.
    former : result of a similar problem (other weights, other data), for a warm start: solvers that can do so reuse its
        steps and the dual variables of the same name and shape.
    on_look : called at every look without a check, with the iteration and the estimated certificate.
    checkpoint : where the solve saves its position, and goes on from an earlier one with the same bits.
    """
    more = {"on_check": on_check, "stop_requested": stop_requested, "former": former, "on_look": on_look}
    if isinstance(solver, Auto):
        fit(solver, problem)  # a refusal names auto
        return run_course(solver, _solve, problem, x0, checkpoint=checkpoint, **more)
    return _solve(problem, solver, x0, checkpoint=checkpoint, **more)


def _solve(
    problem: Problem,
    solver: Solver,
    x0: Array,
    on_check: Callable[[Check], None] | None,
    stop_requested: Callable[[], bool] | None,
    former: Former | None,
    on_look: Callable[[int, Certificate], None] | None,
    checkpoint: Checkpoint | None,
    watch: Watch | None = None,
) -> Result:
    """As `solve`, by one solver, which ``watch`` may end."""
    current = _CurrentProblem(solver, fit(solver, problem))
    backend_of(current.split).announce(current.split)
    started = solving_seconds()
    history = History(current.by_prox)
    # checks detect values that are not finite
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"), blamed_on_authors(problem):
        start = _within(problem, x0)
        current.begin(start)
        require_bounds(solver, current.problem, start)
        method, given = ("init", (start,)) if former is None else ("resume", (start, former))
        state = call(solver, method, current.split, *given)
        moved = not np.array_equal(on_host(state.x), start)  # the solver starts elsewhere
        del start  # the solver has its own copy
        iteration, status, is_unrelaxed = 0, None, True
        size, limit = size_of(state), time_limit(dict(solver.options))
        if not all(isinstance(term, Restorable) for term in fitted_terms(problem)):
            checkpoint = None  # a term of a plug-in
        position = None if checkpoint is None else current.load(checkpoint, state, history)
        if position is None:
            _check(history, current, state, 0, started, on_check)
            if moved and history.checks[-1].optimality <= solver.options.tolerance:
                status = Status.CONVERGED
        else:
            history, state = current.restored(position)
            iteration, is_unrelaxed, started = position.iteration, position.is_unrelaxed, started - position.seconds
            if watch is not None and position.watch is not None:
                watch.next, watch.paced = position.watch
            _LOG.info("going on from iteration %d of an earlier run", iteration)
        del position
        while status is None:
            stop = stop_requested is not None and stop_requested()
            if checkpoint is not None and (stop or checkpoint.due(size)):
                fitted = {term.name: term.parameters for term in fitted_terms(current.problem)}
                looks = (history, current.schedule, None if watch is None else (watch.next, watch.paced))
                seconds = solving_seconds() - started
                steps = current.steps
                checkpoint.save(POSITION, Position(iteration, seconds, state, is_unrelaxed, fitted, steps, *looks))
            if stop:
                status = Status.INTERRUPTED
                break
            iteration += 1
            last = iteration >= solver.options.max_iterations or solving_seconds() - started > limit
            is_unrelaxed = last or iteration % current.interval == 0
            if not is_unrelaxed:
                state = call(solver, "step", current.split, state)
                continue
            state = call(solver, "step_unrelaxed", current.split, state)
            sample = current.sample(state)
            estimate = None if sample is None else sample[0]
            if sample is not None:
                history.sampled(iteration, solving_seconds() - started, *sample)
            if current.due(iteration, estimate) or last or history.is_on_plateau():
                _check(history, current, state, iteration, started, on_check, estimate)
                status = _verdict(history, solver, last)
                if status is None:
                    history.keep(state.x)
            elif estimate is not None and on_look is not None:
                on_look(iteration, estimate)
            if status is None and watch is not None and watch(history, current.split, state.x, iteration):
                status = Status.STALLED
            if status is None:
                certificate = history.checks[-1].certificate if estimate is None else estimate
                state = call(solver, "adapt", current.split, current.advance(state), certificate)
        if history.checks[-1].iteration != iteration:
            if not is_unrelaxed:
                state, iteration = call(solver, "step_unrelaxed", current.split, state), iteration + 1
            _check(history, current, state, iteration, started, on_check)
    if watch is not None and watch.reason:
        history.best = None  # the solver that goes on needs the last iterate with its duals
    return _result(history, current, state, status, iteration, solving_seconds() - started, x0)


def _within(problem: Problem, x0: Array) -> Array:
    """A copy of the starting point within the bounds; `UserError` if its shape is wrong."""
    if np.shape(x0) != problem.shape:
        wrong = f"has the shape {np.shape(x0)}, but the unknown has {problem.shape}"
        raise UserError("x0", wrong, "use fk.starting_point('auto', problem, data)")
    return problem.bounds.prox(np.array(x0, dtype=problem.dtype), 1.0)


class _CurrentProblem:
    """The current problem of a solve: fitted parameters move after each check.

    Parameters
    ----------
    solver : the algorithm.
    split : the problem, sorted for it.
    """

    def __init__(self, solver: Solver, split: Split) -> None:
        self.solver, self.split, self.evaluator = solver, split, Evaluator(split)
        self.steps: Steps = {}
        self._refit: Refit | None = None
        # parameters are fitted to the whole image, and an explicit interval means checks at it
        every_look = solver.options.check_every is not None or bool(fitted_terms(self.problem))
        self.schedule = None if every_look else Schedule(solver.options.tolerance)
        self.interval = solver.options.check_every or LOOK

    @property
    def problem(self) -> Problem:
        """The problem with the parameters of the last check."""
        return self.split.problem

    @property
    def by_prox(self) -> frozenset[str]:
        """Names of the terms that the solver takes by their prox."""
        one = () if self.split.proximable is None else (self.split.proximable,)
        return frozenset(term.name for term in (*self.split.coupling.terms, *one))

    def begin(self, start: Array) -> None:
        """Start the fitted parameters at their best values for the starting point."""
        if fitted_terms(self.problem):
            self._replace_problem(fitted_to(self.problem, start))

    def sample(self, state: State) -> tuple[Certificate, Evaluation] | None:
        """A cheap estimate of certificate and values; None without a sample, or if every look is a check."""
        return None if self.schedule is None else self.evaluator.estimate(state)

    def estimated(self, iteration: int, seconds: float, certificate: Certificate, values: Evaluation) -> Check:
        """A look in the form of a check."""
        terms = self.evaluator.named(values)
        objective, limit = float(sum(terms.values())), self.solver.options.max_iterations
        return Check(iteration, limit, seconds, objective, terms, certificate)

    def due(self, iteration: int, sample: Certificate | None) -> bool:
        """Whether a check follows a look with this estimate."""
        return self.schedule is None or sample is None or self.schedule.due(iteration, sample)

    def load(self, checkpoint: Checkpoint, state: State, history: History) -> Position | None:
        """The position that an earlier run saved; None without one that fits the ``state``."""
        template = Position(0, 0.0, state, True, {}, {}, history, self.schedule, None)
        return checkpoint.load(POSITION, template, _SAVED)

    def restored(self, position: Position) -> tuple[History, State]:
        """History and state at a position, whose fitted parameters the problem takes."""
        history, self.schedule, self.steps = position.history, position.schedule, position.steps
        if history.best is not None:
            best = history.best = next(one for one in history.checks if one.iteration == history.best.iteration)
            values = {term: {k: v.value for k, v in named.items()} for term, named in best.parameters.items()}
            history.best_problem = with_parameters(self.problem, values)
        if not position.parameters:
            return history, position.state
        self._replace_problem(with_parameters(self.problem, position.parameters))
        return history, self.solver.rebind(self.split, position.state)

    def checked(self) -> None:
        """Record a check."""
        if self.schedule is not None:
            self.schedule.checked()

    def evaluate(self, state: State) -> tuple[dict[str, float], Certificate, Mapping[str, Mapping[str, Parameter]]]:
        """Values of the terms, the certificate and the fitted parameters."""
        terms, certificate = self.evaluator(state)
        if not fitted_terms(self.problem):
            return terms, certificate, {}
        self._refit = refit(self.problem, on_host(state.x), self.steps)
        return terms, replace(certificate, calibration=self._refit.change), self._refit.parameters

    def advance(self, state: State) -> State:
        """The state for the problem with the parameters of the next iterations."""
        if self._refit is None:
            return state
        self._replace_problem(self._refit.problem)
        self.steps, self._refit = self._refit.steps, None
        return call(self.solver, "rebind", self.split, state)

    def _replace_problem(self, problem: Problem) -> None:
        self.split = fit(self.solver, problem)
        self.evaluator = Evaluator(self.split, self.evaluator)


def _check(
    history: History,
    current: _CurrentProblem,
    state: State,
    iteration: int,
    started: float,
    on_check: Callable[[Check], None] | None,
    sample: Certificate | None = None,
) -> None:
    terms, certificate, parameters = current.evaluate(state)
    seconds, objective = solving_seconds() - started, float(sum(terms.values()))
    limit = current.solver.options.max_iterations
    check = Check(iteration, limit, seconds, objective, terms, certificate, parameters)
    history.add(check, current.problem)
    current.checked()
    if sample is None and iteration > 0:
        history.looks.append(certificate.optimality)
    if on_check is not None:
        on_check(check)


def _verdict(history: History, solver: Solver, last: bool) -> Status | None:
    if history.diverged():
        return Status.DIVERGED
    if history.checks[-1].optimality <= solver.options.tolerance:
        return Status.CONVERGED
    if history.stalled():
        return Status.STALLED
    return Status.MAX_ITERATIONS if last else None


def _result(
    history: History, current: _CurrentProblem, state: State, status: Status, iterations: int, seconds: float, x0: Array
) -> Result:
    solver, split, problem = current.solver, current.split, current.problem
    final, backend = history.checks[-1], backend_of(split)
    names = [term.name for term in split.coupling.terms]
    cause = _cause(history, state) if status is Status.DIVERGED else ""
    x, duals = state.x, {name: on_host(p) for name, p in zip(names, state.duals, strict=True)}
    auxiliary = {name: on_host(w) for name, w in zip(names, state.auxiliary, strict=True) if w.size}
    if status is not Status.CONVERGED and history.best is not None and final is not history.best:
        # an early end returns the best iterate, to which the last duals do not belong
        x = _within(problem, x0) if history.best_x is None else history.best_x
        final, duals, auxiliary = history.best, {}, {}
        problem = history.best_problem or problem
    return Result(
        x=on_host(x),
        labels=problem.labels,
        status=status,
        message=_message(status, iterations, final.optimality, solver, cause) + _floor(solver, status, problem, x),
        iterations=iterations,
        objective=final.objective,
        terms=final.terms,
        certificate=final.certificate,
        trace=columns(history.checks),
        looks=columns([current.estimated(*sample) for sample in history.samples]),
        steps=solver.steps(state),
        seconds=seconds,
        notes=(*solver.notes(split, state), *solver.fallbacks(split), *spell(final.parameters)),
        engine=backend.used(split),
        device=backend.device(),
        parameters=final.parameters,
        problem=problem if final.parameters else None,
        duals=duals,
        auxiliary=auxiliary,
    )


def _cause(history: History, state: State) -> str:
    """What diverged: a term that is NaN at the start, else x, else a term."""
    for check in history.checks:
        nan = [name for name, value in check.terms.items() if np.isnan(value)]
        if nan and check.iteration > 0 and not np.all(np.isfinite(on_host(state.x))):
            return "x is not finite"
        if nan:
            return f"the term {nan[0]} is NaN"
    return "the objective blew up"


def _floor(solver: Solver, status: Status, problem: Problem, x: Array) -> str:
    """What the message adds where the rounding of x, not the solver, ended a solve."""
    if status not in (Status.STALLED, Status.MAX_ITERATIONS) or x.dtype != np.float32 or not isinstance(x, np.ndarray):
        return ""
    floor = rounding_floor(problem.terms, x)
    if floor <= 0.4 * solver.options.tolerance or solver.options.tolerance == 0.0:
        return ""
    return f"; float32 cannot go below an optimality of about {floor:.0e}: use precision: double or solver: auto"


def _message(status: Status, iterations: int, optimality: float, solver: Solver, cause: str) -> str:
    tolerance = solver.options.tolerance
    author = f" under step of solver {solver.name}" if is_authors(solver) else ""
    limit = "the limit" if iterations >= solver.options.max_iterations else "the limit of time"
    reached = f"optimality {optimality:.2e}"
    return {
        Status.CONVERGED: f"converged after {iterations} iterations: {reached} <= {tolerance:g}",
        Status.MAX_ITERATIONS: f"stopped after {iterations} iterations, {limit}: {reached} > {tolerance:g}",
        Status.STALLED: f"stalled after {iterations} iterations: {reached} no longer improves{author}",
        Status.DIVERGED: f"diverged after {iterations} iterations: {cause}{author}; best iterate kept",
        Status.INTERRUPTED: f"interrupted after {iterations} iterations: best iterate kept, {reached}",
    }[status]


def solving_seconds() -> float:
    """Seconds on a clock that stops while this process compiles kernels, which a machine does once."""
    jit = sys.modules.get("fusionkit.engines.cpu.compile")  # not imported by a solve in NumPy
    return time.perf_counter() - (0.0 if jit is None else jit.compile_seconds())
