"""Error bars and composition of a finished solve, by curvature or bootstrap."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.checkpoint.encode import size_of
from fusionkit.checkpoint.folder import Checkpoint
from fusionkit.compose_problem import Objective, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.operators.functional.norms import L21, WeightedL21
from fusionkit.operators.linear.gradient import GradientMap
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.problem import Problem
from fusionkit.registry import suggestion
from fusionkit.result import Status
from fusionkit.solver import time_limit
from fusionkit.terms import Array, Bounds, Term
from fusionkit.uncertainty.atomic_fractions import (
    Composition,
    Factors,
    Region,
    region_composition,
    region_sums,
    regions_of,
)
from fusionkit.uncertainty.bootstrap import TOLERANCE, Sample, Tally, check_drawable, data_model, solutions
from fusionkit.uncertainty.curvature import standard_deviation
from fusionkit.uncertainty.error_scale import CountResiduals, count_residuals, variance_factors
from fusionkit.uncertainty.information import OfPixels, information, term_of_maps
from fusionkit.uncertainty.intervals import Uncertainty
from fusionkit.uncertainty.model_check import model_warnings
from fusionkit.uncertainty.options import CompositionOptions, UncertaintyOptions
from fusionkit.uncertainty.zeta import atomic_weights, check_lines, mass_per_count

METHOD_KEY = "uncertainty.method"
_NAME = "bootstrap"  # in a checkpoint
_LEAST = 5  # samples of a bootstrap that ends early


class Stopped(Exception):
    """The user stopped a bootstrap."""


def by_curvature(problem: Problem, x: Array, level: float = 0.9) -> Uncertainty:
    """Error bars by the curvature at the solution ``x``, (n, ny, nx); see `fusionkit.uncertainty.curvature`.

    `UserError` if it has a term of another kind.
    """
    started = time.perf_counter()
    weights = total_variation(problem)
    fits = [term for term in problem.terms if isinstance(term, OfPixels)]
    spread, facts = standard_deviation(x, information(fits, x), weights), dict[str, float]()
    term = term_of_maps(problem.terms, x.shape)
    if term is not None and np.any(weights):  # no bias without a penalty
        factors = variance_factors(term, x, spread**2)
        spread *= np.sqrt(factors)[:, None, None]
        facts = {f"error_factor_{name}": float(c) for name, c in zip(problem.labels, factors, strict=True)}
    seconds = time.perf_counter() - started
    return Uncertainty("curvature", spread.astype(x.dtype), level, seconds, facts, model_warnings(problem, x))


def by_bootstrap(
    options: UncertaintyOptions,
    objective: Objective,
    dataset: Dataset,
    problem: Problem,
    x: Array,
    note: Callable[[Array], Any] = lambda sample: None,
    stop_requested: Callable[[], bool] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Uncertainty, tuple[Any, ...]]:
    """Error bars by parametric bootstrap, which goes on from the ``checkpoint``; see `fusionkit.uncertainty.bootstrap`.

    `Stopped` if the user stopped it.

    Returns
    -------
    The error bars, and what ``note`` has returned for each sample.
    """
    started = time.perf_counter()

    term = term_of_maps(problem.terms, x.shape)
    counts = None if term is None else count_residuals(term, x)
    tally, notes = Tally.empty(x.shape), model_warnings(problem, x, drawn=True)
    if checkpoint is not None:
        tally = checkpoint.load(_NAME, tally) or tally
    limit, size = time_limit(objective.solver.options), size_of(tally)
    with closing(_samples(options, objective, dataset, problem, x, counts, tally.moves.count)) as samples:
        for sample in samples:
            if stop_requested is not None and stop_requested():
                if checkpoint is not None:
                    checkpoint.save(_NAME, tally)
                raise Stopped
            tally.add(sample, x, counts)
            tally.notes = (*tally.notes, note(sample.x))
            if checkpoint is not None and checkpoint.due(size):
                checkpoint.save(_NAME, tally)
            if time.perf_counter() - started > limit and tally.moves.count >= _LEAST:
                taken = f"{tally.moves.count} of {options.samples} samples"
                notes = (*notes, f"The bootstrap met the time limit of {limit:g} s after {taken}.")
                break
    of_samples = tally.moments(counts)
    spread = of_samples.standard_deviation().astype(x.dtype)
    factors = {f"bias_factor_{name}": float(c) for name, c in zip(problem.labels, of_samples.factors, strict=True)}
    facts = {"samples": tally.moves.count, "seed": options.seed, **factors}
    seconds = time.perf_counter() - started
    return Uncertainty("bootstrap", spread, options.interval, seconds, facts, notes), tally.notes


def total_variation(problem: Problem) -> Array:
    """The weight of the total variation of each element, (n,); `UserError` for a term of unknown curvature."""
    weights = np.zeros(problem.shape[0])
    for term in problem.terms:
        one = _tv_weights(term, len(weights))
        if one is not None:
            weights += one
        elif not isinstance(term, OfPixels | Bounds):
            problem_text = f"curvature knows fits of maps pixel by pixel and the term tv, but not {term.name}"
            raise UserError(METHOD_KEY, problem_text, "use method: bootstrap")
    return weights


def _tv_weights(term: Term, elements: int) -> Array | None:
    """The weights of isotropic total variation of each map; None for any other term."""
    if not isinstance(term, ComposedPenalty) or type(term.operator) is not GradientMap:
        return None
    functional = term.functional
    if type(functional) is WeightedL21 and functional.ndim == len(term.operator.axes):
        return functional.sigma * functional.factors
    if type(functional) is L21 and functional.ndim == len(term.operator.axes):
        return np.full(elements, functional.sigma)
    return None


def _samples(
    options: UncertaintyOptions,
    objective: Objective,
    dataset: Dataset,
    problem: Problem,
    x: Array,
    counts: CountResiduals | None,
    first: int,
) -> Generator[Sample]:
    model, solver_options = data_model(problem, x), objective.solver.options
    tolerance = max(TOLERANCE, float(solver_options.get("tolerance", 0.0)))

    def solved(random: np.random.Generator) -> Sample:
        drawn = objective.build(model.draw(dataset, random))
        result = solve(drawn, make_solver(objective.solver.type, **{**solver_options, "tolerance": tolerance}), x)
        if result.status is Status.DIVERGED or not np.isfinite(result.x).all():
            raise UserError(METHOD_KEY, "the solve of simulated data diverged", "use method: curvature or none")
        term = None if counts is None else term_of_maps((result.problem or drawn).terms, x.shape)
        return Sample(result.x, None if counts is None or term is None else counts.squared(term, result.x))

    return solutions(solved, options.samples, options.seed, options.workers, first)


@dataclass(frozen=True)
class Assessment:
    """Error bars and composition of a result, as the options request them."""

    uncertainty: Uncertainty | None = None  # error bars of the maps
    compositions: tuple[Composition, ...] = ()  # one for each region


def check(options: UncertaintyOptions, composition: CompositionOptions | None, problem: Problem) -> None:
    """Refuse, before the solve, options that cannot be assessed after it.

    `UserError` if the unknown is not a stack of maps, a term does not suit the method, or a region or k-factor is
    wrong.
    """
    method = options.method
    key = "composition" if method == "none" else METHOD_KEY
    if len(problem.shape) != 3 or not problem.labels:
        raise UserError(key, f"needs maps of elements, but the unknown has shape {problem.shape}", "remove it")
    if method == "bootstrap":
        check_drawable(problem, METHOD_KEY)
    elif term_of_maps(problem.terms, problem.shape) is None:
        problem_text = (
            "no term with a weight > 0 compares the maps directly, without a forward model, with data of their shape"
        )
        raise UserError(key, problem_text, "use uncertainty.method: bootstrap")
    if method == "curvature":
        total_variation(problem)
        _check_information(problem)
    if composition is not None:
        regions_of(composition, (problem.shape[1], problem.shape[2]))
        names = tuple(given_factors(composition, problem.labels))
        if composition.zeta_factors:
            atomic_weights(names)
        if composition.absorption is not None:
            check_lines(composition.absorption, names)


def assess(
    options: UncertaintyOptions,
    composition: CompositionOptions | None,
    objective: Objective,
    dataset: Dataset,
    problem: Problem,
    x: Array,
    stop_requested: Callable[[], bool] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Assessment:
    """Error bars and composition of the solution ``x``.

    Parameters
    ----------
    options, composition : of error bars and of the composition; None for no composition.
    objective, dataset : specs and data of the solve.
    problem : the objective of x.
    x : the solution, (n, ny, nx).
    stop_requested : polled between the solves of a bootstrap; True stops it, without a result.
    checkpoint : of a bootstrap.
    """
    regions = regions_of(composition, (problem.shape[1], problem.shape[2])) if composition is not None else ()
    samples: tuple[tuple[Array, ...], ...] = ()
    result: Uncertainty | None = None
    if options.method == "curvature":
        result = by_curvature(problem, x, options.interval)
    elif options.method == "bootstrap":

        def sums(sample: Array) -> tuple[Array, ...]:
            return tuple(region.sums(sample) for region in regions)

        try:
            data = (objective, dataset, problem, x)
            result, samples = by_bootstrap(options, *data, sums, stop_requested, checkpoint)
        except Stopped:
            return Assessment()
    if composition is None:
        return Assessment(result)
    facts = {} if result is None else result.facts
    factors = np.array([facts.get(f"bias_factor_{name}", 1.0) for name in problem.labels])
    return Assessment(result, _compositions(composition, problem, x, regions, samples, factors))


def _check_information(problem: Problem) -> None:
    """`UserError` if the data have no information about a pixel without an element."""
    term = term_of_maps(problem.terms, problem.shape)
    if term is not None and not term.loss.information(np.asarray(term.predict(np.zeros(problem.shape)))).all():
        problem_text = f"the term {term.name} has epsilon 0, and so no curvature where a map is 0"
        raise UserError(METHOD_KEY, problem_text, "give it an epsilon > 0, in counts, or use method: bootstrap")


def given_factors(options: CompositionOptions, elements: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """k or zeta of each element that takes part, and its error; `UserError` for one without a map or a factor."""
    key = "zeta_factors" if options.zeta_factors else "k_factors"
    pairs = (options.zeta_factors or options.k_factors).items()
    given = {name: (one[0], one[1]) if isinstance(one, list) else (one, 0.0) for name, one in pairs}
    listed = options.elements
    for where, names in ((key, tuple(given)), ("elements", listed or ())):
        for name in names:
            if name not in elements:
                raise UserError(f"composition.{where}.{name}", "has no map", suggestion(name, elements))
    chosen = [one for one in elements if listed is None or one in listed]
    missing = [element for element in chosen if given and element not in given]
    if missing:
        remedy = "give one, or list the other elements in composition.elements"
        raise UserError(f"composition.{key}", f"has none for {', '.join(missing)}", remedy)
    return {element: given.get(element, (1.0, 0.0)) for element in chosen}


def _compositions(
    options: CompositionOptions,
    problem: Problem,
    x: Array,
    regions: tuple[Region, ...],
    samples: Sequence[Sequence[Array]],
    bias_factors: Array,
) -> tuple[Composition, ...]:
    chosen, term = given_factors(options, problem.labels), term_of_maps(problem.terms, x.shape)
    values, errors = np.array(list(chosen.values())).T
    names, indices = tuple(chosen), [problem.labels.index(name) for name in chosen]
    result = []
    for index, region in enumerate(regions):
        sums, mass = region_sums(region, x, term).only(indices), None
        k = Factors(values, errors / values)
        if options.zeta_factors:
            mass = mass_per_count(options, names, values, sums.fused / region.pixels, region.name)
            k = replace(k, values=mass / atomic_weights(names))
        drawn = [each[index][indices] for each in samples]
        one = region_composition(region, names, sums, drawn, k, bias_factors[indices], options)
        result.append(one if mass is None else one.with_mass(mass / (options.dose or 1.0), k.errors))
    return tuple(result)
