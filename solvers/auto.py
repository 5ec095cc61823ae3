"""The solver ``auto``: the one that suits the terms, and another one where it makes no progress.

`chambolle_pock` is the fastest on nearly every problem: it runs in compiled kernels and takes local steps. Total
variation that flattens the maps and blurred counts leave it without progress; `proximal_gradient`, whose inner solver
takes the penalty exactly, is slow but solves them. `fusionkit.loop` runs the course.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

import numpy as np

from fusionkit.arrays import in_double, on_host
from fusionkit.certificate import Certificate, rounding_floor
from fusionkit.errors import UserError
from fusionkit.machine import Held
from fusionkit.options import options_of
from fusionkit.problem import Problem, Slots, Split, Unfit
from fusionkit.registry import lookup
from fusionkit.solver import Solver, SolverOptions, State
from fusionkit.terms import Array

_EXAMINE = 7  # looks after which the rounding of x is examined, then after twice as many, ...
_LONG = 30  # looks
_FAR = (4.0, 1.5)  # times the tolerance, at these shares: nearer, a pause of the certificate is worth waiting for
_LEAST = 400  # iterations before the pace tells anything: certificates rest and then fall
_SHARES = (0.5, 0.75)  # of the iterations, after which a solver that would not converge within the rest is given up
_TIMES, _SECONDS = 10.0, 10.0  # a solver that follows gets this many times the time of those before, and seconds
_NAMES = ("chambolle_pock", "proximal_gradient", "linearized_admm", "condat_vu", "admm", "davis_yin")


class Auto(Solver[Any]):
    """The solver that suits the terms; where it makes no progress or float32 ends, another one or float64 goes on."""

    name = "auto"
    slots = Slots(smooth=True, pixelwise=True, auxiliary=True)
    on_device = True
    options: SolverOptions

    @classmethod
    def accepts(cls, problem: Problem) -> Split:
        """The split of the first solver."""
        return cls(SolverOptions()).first(problem).accepts(problem)

    def first(self, problem: Problem) -> Solver:
        """The first solver of the course; raises `Unfit` if there is none."""
        return next(self.course(problem))

    def course(self, problem: Problem) -> Iterator[Solver]:
        """The solvers that take every term, in the order in which they are tried; `Unfit` if there is none."""
        refusal, taken = None, False
        for name in _NAMES:
            kind = lookup("solvers", name, "solver")
            try:
                kind.accepts(problem)
            except (Unfit, UserError) as unfit:
                refusal = refusal or unfit
                continue
            if problem.engine != "cupy" or kind.on_device:
                taken = True
                yield kind(options_of(kind, self.options.model_dump(), "solver"))
        if refusal is not None and not taken:
            raise refusal

    def memory(self, split: Split) -> Held:
        """That of the first solver; one that follows may hold more."""
        return self.first(split.problem).memory(split)

    def fallbacks(self, split: Split) -> tuple[str, ...]:
        """Those of the first solver."""
        return self.first(split.problem).fallbacks(split)

    def init(self, split: Split, x0: Array) -> State:
        """As the first solver."""
        return self.first(split.problem).init(split, x0)

    def step(self, split: Split, state: Any) -> State:
        """As the first solver."""
        return self.first(split.problem).step(split, state)


class Progress(Protocol):
    """The looks of a solve, see `fusionkit.convergence_checks.History`."""

    looks: list[float]

    def iterations_left(self, tolerance: float) -> float: ...


class Watch:
    """Decides at a look whether the solver goes on.

    Parameters
    ----------
    options : of the solver.
    follows : tells whether a solver follows that may be faster.

    Attributes
    ----------
    reason : why it does not go on; empty while it does.
    floor : the least optimality in float32 where that is the reason, otherwise 0.
    """

    def __init__(self, options: SolverOptions, follows: Callable[[], bool]) -> None:
        self.options, self.follows, self.paced = options, follows, 0
        self.reason, self.floor, self.next = "", 0.0, _EXAMINE

    def __call__(self, history: Progress, split: Split, x: Array, iteration: int) -> bool:
        """Whether the solver is to be given up after this look."""
        tolerance, most = self.options.tolerance, self.options.max_iterations
        if tolerance == 0.0:  # every solver ends at the floor
            return False
        looks = len(history.looks)
        # estimates below the tolerance that no check confirms: rounding moves the gradient, but not the iterates
        near = looks % _EXAMINE == 0 and min(history.looks, default=np.inf) <= tolerance
        if x.dtype == np.float32 and isinstance(x, np.ndarray) and (near or looks >= self.next):
            self.next = 2 * looks
            floor = rounding_floor(split.problem.terms, x)
            # it is known to a factor of 3; a solve that takes long may be at it
            if floor > (0.2 if near or looks >= _LONG else 1.0) * tolerance:
                self.floor, self.reason = floor, f"float32 cannot go below an optimality of about {floor:.0e}"
        while self.paced < len(_SHARES) and iteration >= max(_SHARES[self.paced] * most, _LEAST):
            self.paced += 1
            if min(history.looks, default=0.0) <= _FAR[self.paced - 1] * tolerance:
                continue
            if history.iterations_left(tolerance) > most - iteration and self.follows():
                self.reason = f"it would not converge within {most} iterations"
        return bool(self.reason)


def run_course(auto: Auto, solve: Callable[..., Any], problem: Problem, x0: Array, **more: Any) -> Any:
    """The `fusionkit.result.Result` of the solvers of a course, one after the other.

    Parameters
    ----------
    auto : the solver.
    solve : runs one of them, like `fusionkit.loop.solve`, with ``watch``.
    problem, x0, more : the problem, the starting point and further arguments of ``solve``.
    """
    on_check, on_look = more.pop("on_check"), more.pop("on_look")
    most, used = auto.options.max_iterations, 0

    def check(one: Any) -> None:
        if on_check is not None:
            on_check(replace(one, iteration=one.iteration + used, max_iterations=most))

    def look(iteration: int, certificate: Certificate) -> None:
        if on_look is not None:
            on_look(iteration + used, certificate)

    course, results, notes, x = auto.course(problem), [], [], x0
    left = [next(course)]

    def follows() -> bool:
        left.extend(islice(course, 2 - len(left)))
        return len(left) > 1

    def exact_follows() -> bool:
        # the others are slower than the first one: TGV at 1024 x 1024 ended at 3e-2 with them, at 1e-2 without
        return follows() and left[1].name == "proximal_gradient"

    while True:
        solver, watch = left[0], Watch(left[0].options, exact_follows)
        result = solve(problem, solver, x, watch=watch, on_check=check, on_look=look, **more)
        results.append(result)
        used += result.iterations
        reason = watch.reason or {"stalled": "it stalled", "diverged": "it diverged"}.get(result.status.value, "")
        if not reason or used >= most or auto.options.tolerance == 0.0 or not (watch.floor or follows()):
            return _joined(results, notes, auto.options.tolerance)
        if watch.floor:
            problem, following = replace(problem, terms=in_double(problem.terms), dtype=np.dtype(np.float64)), "float64"
        else:
            following = left[1].name
            del left[0]
        notes.append(f"After {used} iterations, {solver.name} handed over to {following}: {reason}.")
        spent = sum(one.seconds for one in results)  # also those of an earlier run that this one goes on from
        rest = np.inf if auto.options.time_limit is None else max(auto.options.time_limit - spent, 1e-3)
        limits = {"max_iterations": most - used, "time_limit": float(min(rest, _TIMES * spent + _SECONDS))}
        left[0] = type(left[0])(left[0].options.model_copy(update=limits))
        usable = result.status.value != "diverged" and bool(np.all(np.isfinite(on_host(result.x))))
        x = result.x if usable else x0
        more = {**more, "former": replace(result, steps=result.steps if watch.floor else {}) if usable else None}
        if more.get("checkpoint") is not None:
            more["checkpoint"] = more["checkpoint"].next_stage()


def _joined(results: Sequence[Any], notes: Sequence[str], tolerance: float) -> Any:
    """The last result, or the best one if none converged, with the iterations, seconds and traces of all."""
    last = results[-1]
    if len(results) == 1:
        return last
    kept = last if last.status.value in ("converged", "interrupted") else min(results, key=lambda one: one.optimality)
    iterations = sum(one.iterations for one in results)
    named = f"{last.message.partition(' after ')[0]} after {iterations} iterations: optimality {kept.optimality:.2e}"
    relation = "<=" if kept.optimality <= tolerance else ">"
    return replace(
        kept,
        status=last.status,
        message=f"{named} {relation} {tolerance:g}",
        iterations=iterations,
        seconds=sum(one.seconds for one in results),
        trace=_columns([one.trace for one in results]),
        looks=_columns([one.looks for one in results]),
        notes=(*notes, *kept.notes),
    )


def _columns(tables: Sequence[Any]) -> dict[str, Array]:
    """The tables below each other; iterations and seconds of each go on from those of the last.

    The check at the start of a solver is left out: it is that at the end of the last one.
    """
    filled = [table for table in tables if table]
    joined: dict[str, Array] = {}
    for name in filled[0] if filled else ():
        parts, before = [], 0.0
        for table in filled:
            parts.append(table[name][table["iteration"] > 0 if parts else slice(None)] + before)
            before = float(table[name][-1] + before) if name in ("iteration", "seconds") else 0.0
        joined[name] = np.concatenate(parts)
    return joined
