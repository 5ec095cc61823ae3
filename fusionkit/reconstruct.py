"""From a configuration to a result: read the data, build the problem, choose weights, solve, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusionkit.certificate import Certificate
from fusionkit.checkpoint.folder import Checkpoint
from fusionkit.compose_problem import check_authors, make_solver
from fusionkit.config import Config, LoadedConfig, load_config
from fusionkit.config.overrides import INIT_WORDS
from fusionkit.config.resolved import resolved
from fusionkit.convergence_checks import Check
from fusionkit.data.dataset import Dataset, in_precision
from fusionkit.data.load import load
from fusionkit.data.options import DataOptions
from fusionkit.errors import UserError
from fusionkit.interrupts import searching
from fusionkit.loop import solve
from fusionkit.machine import (
    Held,
    library_bytes,
    limit_threads,
    memory_errors,
    peak,
    require,
    resident,
    run_bytes,
    spell,
)
from fusionkit.options import Spec
from fusionkit.problem import Problem, capabilities
from fusionkit.report.diagnostics import diagnose
from fusionkit.report.diagnostics.maps import net_counts
from fusionkit.report.verdict import judge
from fusionkit.result import Result, Status
from fusionkit.results.record import Diagnostic, RunRecord, predictions_of
from fusionkit.results.result_file import SavedResult, read_result
from fusionkit.results.resume import fingerprints
from fusionkit.solver import Solver, fit, solve_bytes
from fusionkit.start import start_from_data
from fusionkit.terms import Array, Bounds
from fusionkit.weights.auto import AUTO, auto_terms, with_placeholder
from fusionkit.weights.chosen import ChosenWeight, with_weights

if TYPE_CHECKING:
    from fusionkit.uncertainty.estimate import Assessment

Reader = Callable[[DataOptions, Path, str], Dataset]


@dataclass(frozen=True)
class Job:
    """A reconstruction that is ready to run: data read, problem and solver built, everything checked.

    Parameters
    ----------
    loaded : the configuration.
    dataset : the data as the solver sees them.
    problem : the objective.
    solver : the algorithm.
    start : the starting point, shape of the unknown.
    setup_seconds : duration of the preparation.
    memory : estimated peak memory of this process, in bytes.
    weights : weights chosen from the data.
    files : size and checksum of each input file, see `fusionkit.results.resume`.
    checkpoint : where the unfinished run saves its state; None for nowhere.
    former : the result that the configuration starts from; None for another start.
    """

    loaded: LoadedConfig
    dataset: Dataset
    problem: Problem
    solver: Solver
    start: Array
    setup_seconds: float
    memory: int = 0
    weights: tuple[ChosenWeight, ...] = ()
    files: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    former: SavedResult | None = None

    @memory_errors()
    def solve(
        self,
        on_check: Callable[[Check], None] | None = None,
        stop_requested: Callable[[], bool] | None = None,
        on_look: Callable[[int, Certificate], None] | None = None,
    ) -> Result:
        """Run the solver; see `fusionkit.loop.solve`."""
        with limit_threads(self.loaded.config.threads):
            told = (on_check, stop_requested, self.former, on_look)
            return solve(self.problem, self.solver, self.start, *told, self.checkpoint)

    def describe(self) -> list[str]:
        """A description of the run, one line per fact."""
        shape = " x ".join(str(length) for length in self.problem.shape)
        lines = [
            f"data: {self.dataset.source}",
            f"unknown: {', '.join(self.problem.labels) or 'x'} ({shape}, {self.problem.dtype})",
        ]
        for term in self.problem.terms:
            value = "" if isinstance(term, Bounds) else f", {term.value(self.start):.6g} at the start"
            lines.append(f"term: {term.name} ({capabilities(term)}{value})")
        options = self.solver.options
        lines.append(
            f"solver: {self.solver.name} (tolerance {options.tolerance:g}, at most {options.max_iterations} iterations)"
        )
        lines.append(f"memory: about {spell(self.memory)}")
        fallbacks = self.solver.fallbacks(fit(self.solver, self.problem))
        return lines + [f"note: {note}" for note in (*self.dataset.notes, *fallbacks)]

    def record(
        self, result: Result, warnings: tuple[str, ...] = (), stop_requested: Callable[[], bool] | None = None
    ) -> RunRecord:
        """The result with everything that the output files need, error bars included if requested.

        Parameters
        ----------
        result : of the solve.
        warnings : of the run, a sentence each.
        stop_requested : polled during the estimate of error bars; True leaves them out.
        """
        return self.complete(self.outline(result, warnings), stop_requested)

    @memory_errors()
    def outline(self, result: Result, warnings: tuple[str, ...] = ()) -> RunRecord:
        """The `record` without error bars, composition and diagnostics: nothing in it takes time or may fail."""
        try:
            predictions = predictions_of(result.problem or self.problem, result.x)
        except MemoryError:
            predictions = {}
            warnings = (*warnings, "The predictions from the maps are missing: the machine has too little memory.")
        full = resolved(self.loaded)
        weighted = zip(self.problem.terms, full["terms"], strict=True)
        return RunRecord(
            result=result,
            dataset=self.dataset,
            resolved_config=full,
            model_haadf=predictions.pop("haadf", None),
            predictions=predictions,
            seconds={"setup": self.setup_seconds, "solve": result.seconds},
            warnings=warnings,
            memory=self.memory,
            weights=self.weights,
            files=self.files,
            term_weights={term.name: spec["weight"] for term, spec in weighted if "weight" in spec},
        )

    @memory_errors()
    def complete(self, record: RunRecord, stop_requested: Callable[[], bool] | None = None) -> RunRecord:
        """The record of `outline` with error bars and composition if requested, and with diagnostics."""
        notes: tuple[Diagnostic, ...] = ()
        if self.loaded.config.assessed:
            record, notes = self._assessed(record, stop_requested)
        record = replace(record, counts=net_counts(record))
        return replace(record, diagnostics=(*notes, *diagnose(record)), verdict=judge(record))

    def with_held_out(self, record: RunRecord) -> RunRecord:
        """The record with the errors of maps that held-out counts estimate, if no search has: another solve."""
        if record.map_errors:
            return record
        from fusionkit.weights.count_splitting import map_errors  # most runs do not need it

        return replace(record, held_out=map_errors(self.dataset, self.loaded.config.objective))

    def assess(self, result: Result, stop_requested: Callable[[], bool] | None = None) -> Assessment:
        """Error bars and composition of a result, as configured; none if ``stop_requested`` returns True."""
        from fusionkit.uncertainty.estimate import assess  # most runs do not need it

        config, problem = self.loaded.config, result.problem or self.problem
        options, objective = config.uncertainty, config.objective
        with limit_threads(config.threads):
            data = (self.dataset, problem, result.x)
            return assess(options, config.composition, objective, *data, stop_requested, self.checkpoint)

    def _assessed(
        self, record: RunRecord, stop_requested: Callable[[], bool] | None
    ) -> tuple[RunRecord, tuple[Diagnostic, ...]]:
        """The record with error bars and composition unless the solve failed, and notes on them."""
        result = record.result
        if result.status in (Status.DIVERGED, Status.INTERRUPTED):
            return record, (Diagnostic("note", f"No error bars were estimated: the solve {result.status}."),)
        started = time.perf_counter()
        assessment = self.assess(result, stop_requested)
        notes = assessment.uncertainty.notes if assessment.uncertainty is not None else ()
        whole = replace(
            record,
            uncertainty=assessment.uncertainty,
            compositions=assessment.compositions,
            seconds={**record.seconds, "uncertainty": time.perf_counter() - started},
            is_stopped=stop_requested is not None and stop_requested() and assessment.uncertainty is None,
        )
        return whole, tuple(Diagnostic("warning", note) for note in notes)


@memory_errors()
def prepare(
    config: LoadedConfig | str | PathLike[str],
    overrides: tuple[str, ...] = (),
    read: Reader = load,
    search: bool = True,
    checkpoint: Checkpoint | None = None,
) -> Job:
    """Read the data and build problem, solver and starting point.

    `UserError` if the configuration or the data are wrong. `RefusalError` if the solver cannot take a term.

    Parameters
    ----------
    config : a loaded configuration, the path of a YAML file or the name of a packaged config.
    overrides : ``key.path=value`` each, if the config is not loaded yet.
    read : reads the data, called like `fusionkit.data.load.load`; a caching one serves many runs.
    search : whether to search for ``weight: auto``, which takes solves; if not, a note names the method.
    checkpoint : where the run saves its state, see `fusionkit.results.resume`.
    """
    started = time.perf_counter()
    loaded = config if isinstance(config, LoadedConfig) else load_config(fspath(config), overrides)
    check_formats(loaded.config)
    files = fingerprints(resolved(loaded)) if search else {}
    dataset = read(loaded.config.data, loaded.folder, "data")
    loaded, dataset, weights = resolve_auto_weights(loaded, dataset, search, checkpoint)
    settings = loaded.config
    dataset = in_precision(dataset, settings.precision)
    problem = check_authors(settings.objective.build(dataset), dataset)
    solver = make_solver(settings.solver.type, **settings.solver.options)
    split = fit(solver, problem)
    if settings.assessed:
        from fusionkit.uncertainty.estimate import check

        check(settings.uncertainty, settings.composition, problem)
    report = (prod(problem.shape[1:]), problem.shape[0]) if settings.output.report and problem.labels else ()
    libraries = library_bytes(settings.engine != "numpy", settings.output.figures)
    needed = run_bytes(libraries, solve_bytes(split, solver.memory(split)), solve_bytes(split, Held(1, 1)), *report)
    require(needed, "data")
    memory = max(peak(), resident() + needed)
    former = None if settings.init in INIT_WORDS else former_result(loaded.path(settings.init), problem)
    start = starting_point(settings.init, problem, dataset, loaded.folder) if former is None else former.x
    if checkpoint is not None and weights:
        checkpoint = checkpoint.of_part(repr([(one.weight, one.options) for one in weights]))
    seconds = time.perf_counter() - started
    return Job(loaded, dataset, problem, solver, start, seconds, memory, weights, files, checkpoint, former)


def check_formats(config: Config) -> None:
    """`UserError` for a format of ``output.formats`` that could not be written at the end of the run."""
    if not config.output.formats:
        return
    if config.unknown is not None:
        remedy = "remove it; result.h5 holds the coefficients"
        raise UserError("output.formats", "formats of other programs hold maps, but the unknown has none", remedy)
    from fusionkit.export import writers

    writers.check_formats(config.output.formats, "output.formats")


def starting_point(init: str, problem: Problem, dataset: Dataset, folder: Path = Path()) -> Array:
    """The starting point that ``init`` names, of the shape and dtype of the problem.

    `UserError` if the former result does not fit, or there are no maps to start from.

    Parameters
    ----------
    init : ``auto``, ``maps``, ``uniform``, or the path of a former ``result.h5``.
    problem : the problem.
    dataset : maps to start from.
    folder : base of the relative path of a former result; the current folder by default.
    """
    if init in ("auto", "maps", "uniform"):
        return start_from_data(init, problem, dataset)
    return former_result(folder / Path(init).expanduser(), problem).x


def former_result(path: Path, problem: Problem) -> SavedResult:
    """A former result to start from, its elements in the order of this problem; `UserError` if it does not fit.

    Its dual variables and steps are kept if the order is the same: a solver then goes on from them.
    """
    former = read_result(path)
    if sorted(former.labels) != sorted(problem.labels):
        raise UserError(
            "init",
            f"{path} holds {', '.join(former.labels)}, but the unknown has {', '.join(problem.labels)}",
            "use a result with the same elements",
        )
    x = former.x[[former.labels.index(label) for label in problem.labels]] if problem.labels else former.x
    if x.shape != problem.shape:
        raise UserError("init", f"{path} has the shape {x.shape}, but the unknown has {problem.shape}", "use another")
    if not np.all(np.isfinite(x)):
        raise UserError("init", f"{path} holds values that are not finite", "use another")
    x = np.ascontiguousarray(x, dtype=problem.dtype)
    own = {} if former.labels == problem.labels else {"duals": {}, "auxiliary": {}, "steps": {}}
    return replace(former, x=x, inputs={}, model={}, truth=None, uncertainty={}, **own)


def resolve_auto_weights(
    loaded: LoadedConfig, dataset: Dataset, search: bool = True, checkpoint: Checkpoint | None = None
) -> tuple[LoadedConfig, Dataset, tuple[ChosenWeight, ...]]:
    """Replace each ``epsilon: auto`` and ``weight: auto`` by a number: configuration, data with notes, and choices.

    Without ``search``, the weights of penalties are 1 and a note names the method.
    """
    known = [_with_noise(term, dataset, dataset.elements) for term in loaded.config.terms]
    if known != loaded.config.terms:
        loaded = replace(loaded, config=loaded.config.model_copy(update={"terms": known}))
    if not auto_terms(known):
        return loaded, dataset, ()
    # most runs do not need these
    from fusionkit.weights.cache import cached
    from fusionkit.weights.choose import choose_weights, plan_searches, search_bytes

    config = loaded.config
    objective = config.objective
    with limit_threads(config.threads):
        if search:
            require(library_bytes(config.engine != "numpy", False) + search_bytes(dataset, objective), "data")
            with searching():
                chosen, found = cached(dataset, objective, partial(choose_weights, checkpoint=checkpoint))
            notes = [*(one.note for one in chosen), *found]
        else:
            choices = plan_searches(dataset, objective)
            chosen = choices.chosen
            notes = [one.note for one in chosen]
            notes += [
                f"The weight of {task.term} would be chosen by {method}, which takes several solves; it is 1 here."
                for task, method in choices.searches
            ]
            notes += [
                f"The weight of {task.term} may be lowered by count_splitting, which takes several solves."
                for task in choices.fits
            ]
    terms = [with_placeholder(term) for term in with_weights(config.terms, chosen)]
    with_numbers: Config = config.model_copy(update={"terms": terms})
    return replace(loaded, config=with_numbers), replace(dataset, notes=(*dataset.notes, *notes)), chosen


def _with_noise(spec: Spec, dataset: Dataset, labels: tuple[str, ...]) -> Spec:
    """The term with numbers for ``epsilon: auto`` of counts and ``sigma: auto`` of other maps."""
    data = dataset.arrays.get(str(spec.options.get("data", "maps")))
    if data is None:
        return spec
    # most runs do not need these
    if spec.type == "poisson" and spec.options.get("epsilon") == AUTO:
        from fusionkit.operators.fidelity.poisson import least_epsilon

        return Spec.model_validate({"type": spec.type, **spec.options, "epsilon": least_epsilon(data)})
    if spec.type == "gaussian" and spec.options.get("sigma", AUTO) == AUTO and len(data) == len(labels):
        from fusionkit.operators.fidelity.gaussian import estimated_noise

        levels = dict(zip(labels, estimated_noise(data), strict=True))
        return Spec.model_validate({"type": spec.type, **spec.options, "sigma": levels})
    return spec
