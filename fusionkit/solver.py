"""The base class of solvers and their common options, such as the default tolerance; `fusionkit.loop` runs them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from math import prod
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from pydantic import Field

from fusionkit.arrays import is_authors, on_host
from fusionkit.certificate import Certificate
from fusionkit.checkpoint.encode import SCRATCH
from fusionkit.engines.choose import backend_of
from fusionkit.engines.engine import Engine
from fusionkit.errors import RefusalError, UserError, author_errors
from fusionkit.machine import Held
from fusionkit.options import NonNegative, Options, Positive
from fusionkit.problem import Box, Problem, Slots, Split, Unfit
from fusionkit.registry import lookup, table
from fusionkit.terms import Array, Arrays, Calibrated

_DAY = 86_400.0  # seconds
_BLOCKS = 4_000_000  # bytes of the blocks of NumPy and kernels, for any size of the image
_REFIT, _REFIT_BLOCK = 72, 1 << 18  # bytes per value, and values in a block, of `fusionkit.calibration`
Count = Annotated[int, Field(ge=1)]
NewtonSteps = Annotated[int, Field(ge=1, le=100)]
Relaxation = Annotated[float, Field(gt=0, lt=2)]


class SolverOptions(Options):
    """Options of every solver.

    Parameters
    ----------
    max_iterations : the most steps taken.
    tolerance : relative optimality at which the status is ``converged``; 0 asks for the exact optimum.
    check_every : steps between evaluations of objective and certificate; None spends 5 % of the time on them, see
        `fusionkit.convergence_checks`.
    time_limit : seconds, without the compilation of kernels, after which the loop stops with ``max_iterations``; also
        of a search for weights, which keeps its best so far, and of a bootstrap. None for a day.
    """

    max_iterations: Count = 500
    tolerance: NonNegative = 1e-4
    check_every: Count | None = None
    time_limit: Positive | None = None


def time_limit(options: Mapping[str, Any]) -> float:
    """The limit of time that a solver's options name, in seconds."""
    return float(options.get("time_limit") or _DAY)


@dataclass(frozen=True)
class State:
    """The state of a solve; solvers extend it.

    A checkpoint saves its fields: arrays, numbers, texts, and tuples and dataclasses of these; others have the metadata
    `fusionkit.checkpoint.encode.SCRATCH`. ``step`` may reuse the buffers of its argument: do not keep an old state.

    Parameters
    ----------
    x : the unknown.
    auxiliary : the auxiliary unknowns, one (maybe empty) array for each composed term.
    duals : the dual variables, one for each composed term; the certificate uses them.
    change : ||x+ - x|| / tau of an unrelaxed iteration with the primal step tau, if the solver measures it: looks then
        need only a sample of the rows (`fusionkit.convergence_checks`).
    fused : the engine that runs whole iterations and checks in kernels; None without one.
    """

    x: Array
    auxiliary: Arrays
    duals: Arrays
    change: float | None = field(default=None, kw_only=True)
    fused: Engine | None = field(default=None, kw_only=True, metadata=SCRATCH)


class Former(Protocol):
    """The outcome of a solve of a similar problem, such as a `fusionkit.result.Result`.

    Attributes
    ----------
    duals, auxiliary : the dual variable and the auxiliary unknown of each composed term by its name.
    steps : the step sizes used last, by name.
    """

    @property
    def duals(self) -> Mapping[str, Array]: ...
    @property
    def auxiliary(self) -> Mapping[str, Array]: ...
    @property
    def steps(self) -> Mapping[str, float]: ...


S = TypeVar("S", bound=State)


class Solver(ABC, Generic[S]):
    """One algorithm.

    Attributes
    ----------
    name : its name in the registry.
    slots : the terms that it takes; by default bounds or one proximable term, and composed ones.
    on_device : whether it runs on a GPU.
    held : measured number of arrays that a solve holds at once; the default exceeds that of most solvers.
    options : the `SolverOptions`; a subclass with options of its own annotates the attribute with their class.
    """

    options: Any
    name: ClassVar[str]
    slots: ClassVar[Slots] = Slots()
    on_device: ClassVar[bool] = False
    held: ClassVar[Held] = Held(12, 9)

    def __init__(self, options: SolverOptions) -> None:
        self.options = options

    @classmethod
    def accepts(cls, problem: Problem) -> Split:
        """The problem's terms in this solver's slots; raises `fusionkit.problem.Unfit` if a term has none."""
        return problem.sort(cls.slots)

    def memory(self, split: Split) -> Held:
        """How many arrays a solve of this problem holds at its peak."""
        return self.held

    @abstractmethod
    def init(self, split: Split, x0: Array) -> S:
        """The first state, from a feasible starting point."""

    def from_zero(self, split: Split, x0: Array) -> S:
        """The state at x0 with duals at zero, to which `resume` adds those of a former solve; by default `init`."""
        return self.init(split, x0)

    def resume(self, split: Split, x0: Array, former: Former) -> S:
        """The first state, from a former solve of a similar problem; as `init` if it has no dual in common."""
        state = self.from_zero(split, x0)
        if not any(term.name in former.duals for term in split.coupling.terms):
            return state
        steps = {name: step for name, step in former.steps.items() if 0.0 < step < np.inf}  # they may be from a file
        return self.warmed(split, _with_duals(split, state, former), steps)

    def warmed(self, split: Split, state: S, steps: Mapping[str, float]) -> S:
        """A first state with the dual variables of a former solve, and what belongs to them; by default unchanged.

        Parameters
        ----------
        split : the problem.
        state : from `init`, with these dual variables and auxiliary unknowns.
        steps : of the former solve.
        """
        return state

    @abstractmethod
    def step(self, split: Split, state: S) -> S:
        """One iteration."""

    def step_unrelaxed(self, split: Split, state: S) -> S:
        """An iteration before a check or the result, after which x is within the bounds; by default `step`."""
        return self.settle(split, state)

    def settle(self, split: Split, state: S) -> S:
        """The former name of `step_unrelaxed`, which plug-ins may define."""
        return self.step(split, state)

    def rebind(self, split: Split, state: S) -> S:
        """The state for the same problem with other parameters of its terms; by default unchanged."""
        return state

    def adapt(self, split: Split, state: S, certificate: Certificate) -> S:
        """Adjust step sizes after a check; by default none."""
        return state

    def steps(self, state: S) -> dict[str, float]:
        """The step sizes in use, by name."""
        return {}

    def notes(self, split: Split, state: S) -> tuple[str, ...]:
        """Notes for the user, such as which term was smoothed."""
        return ()

    def fallbacks(self, split: Split) -> tuple[str, ...]:
        """Which terms fall back to slower code, why, and what it costs."""
        return backend_of(split).notes(split)


def _with_duals(split: Split, state: S, former: Former) -> S:
    """The state with copies of the former duals and auxiliary unknowns of the same name and shape, if finite."""
    names = [term.name for term in split.coupling.terms]

    def taken(arrays: Mapping[str, Array], own: Arrays) -> Arrays:
        new = []
        for name, array in zip(names, own, strict=True):
            it = arrays.get(name)
            fits = it is not None and it.shape == array.shape and bool(np.isfinite(it).all())
            new.append(np.array(it, array.dtype, order="C") if fits else array)
        return backend_of(split).put(new)

    auxiliary = taken(former.auxiliary, state.auxiliary)
    return replace(state, duals=taken(former.duals, state.duals), auxiliary=auxiliary)


def fit(solver: type[Solver] | Solver, problem: Problem) -> Split:
    """The problem's terms in the solver's slots.

    `RefusalError`, which names the term that does not fit, the reason and the solvers that take every term; or, for the
    GPU, the term without a kernel.
    """
    try:
        split = solver.accepts(problem)
    except Unfit as unfit:
        raise RefusalError(f"solver {solver.name}", str(unfit), fitting_solvers(problem)) from None
    return backend_of(split).place(split, solver.name, solver.on_device)


def solve_bytes(split: Split, held: Held) -> int:
    """Bytes that a solve needs beside the data, the starting point included.

    Parameters
    ----------
    split : the problem, sorted into the slots of the solver.
    held : arrays that the solver holds, see `Solver.memory`.
    """
    duals = 0
    for term in split.coupling.terms:
        duals += prod(term.operator.range) + (prod(term.auxiliary.domain) if term.auxiliary is not None else 0)
    values = held.unknowns * split.problem.size + held.duals * duals
    blocks = _BLOCKS + _REFIT * is_calibrated(split) * min(split.problem.size, _REFIT_BLOCK)
    return int(values * split.problem.dtype.itemsize) + blocks


def is_calibrated(split: Split) -> bool:
    """Whether parameters of a term are fitted with the unknown."""
    return any(isinstance(term, Calibrated) and term.weight != 0.0 for term in split.problem.terms)


def fitting_solvers(problem: Problem) -> str:
    """A sentence that names the registered solvers that take every term of the problem."""
    fitting = []
    for name in table("solvers"):
        try:
            lookup("solvers", name, "solver").accepts(problem)
        except (Unfit, UserError):  # it lacks a slot, or its plug-in lacks a library
            continue
        fitting.append(name)
    return f"solvers that can: {', '.join(fitting)}" if fitting else "no registered solver takes all of its terms"


def call(solver: Solver[S], method: str, split: Split, *arguments: Any) -> S:
    """The state that a method of the solver returns; `UserError` for a mistake of an author's solver.

    Parameters
    ----------
    solver, split : the solver and the problem.
    method : ``init`` or another one that returns a state.
    arguments : of the method, after ``split``.
    """
    own = getattr(solver, method)
    if not is_authors(solver):
        return own(split, *arguments)
    if method == "step_unrelaxed" and type(solver).step_unrelaxed is Solver.step_unrelaxed:
        method = "step" if type(solver).settle is Solver.settle else "settle"
    where, starts = f"solver {solver.name}", method in ("init", "resume")
    before = arguments[0].copy() if starts else ()
    with author_errors(where, method):
        state = own(split, *arguments)
    _require_state(where, split, state, method)
    if starts and (np.may_share_memory(on_host(state.x), arguments[0]) or not np.array_equal(before, arguments[0])):
        problem = f"{method} returns x0 itself as x, or modifies it"
        raise UserError(where, problem, "copy x0: a step may overwrite x")
    return state


def require_bounds(solver: Solver, problem: Problem, x0: Array) -> None:
    """Refuse an author's solver whose first step leaves higher lower bounds, out of which the objective pulls."""
    if not (is_authors(solver) and solver.slots.smooth and problem.bounds.active):
        return
    if np.any(np.isfinite(problem.bounds.upper)):
        return
    least = float(10 * np.max(np.abs(x0)) + 1)
    split = solver.accepts(replace(problem, terms=(*problem.terms, Box(lower=least, name="a higher bound"))))
    trial = copy(solver)
    state = call(trial, "step_unrelaxed", split, call(trial, "init", split, np.full_like(x0, least)))
    lowest = float(np.min(on_host(state.x)))
    if lowest < least * (1 - 1e-3):
        wrong = f"step leaves the bounds: x is {lowest:.6g} where the lower bound is {least:.6g}"
        raise UserError(f"solver {solver.name}", wrong, "end a step with split.bounds.prox")


def _require_state(where: str, split: Split, state: object, method: str) -> None:
    """`UserError` unless it is a `State` whose x, auxiliary unknowns and dual variables fit the problem."""
    composed = split.coupling.terms
    if not isinstance(state, State):
        problem = f"{method} returns a {type(state).__name__}"
        raise UserError(where, problem, "return a fusionkit.solver.State")
    if getattr(state.x, "shape", None) != split.problem.shape:
        problem = f"{method} returns x of the shape {np.shape(state.x)} instead of {split.problem.shape}"
        raise UserError(where, problem, f"correct {method}")
    for what, arrays in (("auxiliary", state.auxiliary), ("duals", state.duals)):
        if len(arrays) != len(composed):
            names = ", ".join(term.name for term in composed) or "there are none"
            remedy = f"give one for each composed term ({names}), an empty array for a term without one"
            raise UserError(where, f"{method} returns {len(arrays)} {what} for {len(composed)} composed terms", remedy)
    for term, dual in zip(composed, state.duals, strict=True):
        if dual.shape != term.operator.range:
            wrong = f"{method} returns a dual variable of {term.name} of the shape {dual.shape}"
            raise UserError(where, f"{wrong} instead of {term.operator.range}", "give it the range of the operator")
    if state.x.dtype != split.problem.dtype:
        problem = f"{method} returns x in {state.x.dtype}, but the problem has {split.problem.dtype}"
        raise UserError(where, problem, "keep the dtype of x0")
