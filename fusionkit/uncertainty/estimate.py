"""Error bars of a solution by either method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from fusionkit.composition import compose, make_solver
from fusionkit.config import Config
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.operators.fidelity import PixelwiseFidelity
from fusionkit.operators.functional.norms import L21, WeightedL21
from fusionkit.operators.linear.gradient import GradientMap
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.problem import Problem
from fusionkit.result import Status
from fusionkit.terms import Array, Bounds, Term
from fusionkit.uncertainty.bootstrap import TOLERANCE, Sample, moments, solutions
from fusionkit.uncertainty.curvature import standard_deviation
from fusionkit.uncertainty.error_scale import Counts, counts_of
from fusionkit.uncertainty.information import information, of_maps
from fusionkit.uncertainty.intervals import Uncertainty
from fusionkit.uncertainty.misfit import factors
from fusionkit.uncertainty.model_check import mismatches
from fusionkit.uncertainty.resample import model_of

METHOD_KEY = "uncertainty.method"


class Stopped(Exception):
    """The user ended a bootstrap."""


def by_curvature(problem: Problem, x: Array, level: float = 0.9) -> Uncertainty:
    """Error bars by the curvature at the solution; see `fusionkit.uncertainty.curvature`.

    Parameters
    ----------
    problem : its terms are pixelwise fits, total variation and bounds.
    x : the solution, (n, ny, nx).
    level : of the intervals.

    Raises
    ------
    UserError : it has another term.
    """
    started = time.perf_counter()
    weights = total_variation(problem)
    fits = [term for term in problem.terms if isinstance(term, PixelwiseFidelity)]
    spread, facts = standard_deviation(x, information(fits, x), weights), dict[str, float]()
    term = of_maps(problem.terms, x.shape)
    if term is not None and np.any(weights):  # without a penalty there is no bias
        found = factors(term, x, spread**2)
        spread *= np.sqrt(found)[:, None, None]
        facts = {f"error_factor_{name}": float(c) for name, c in zip(problem.labels, found, strict=True)}
    seconds = time.perf_counter() - started
    return Uncertainty("curvature", spread.astype(x.dtype), level, seconds, facts, mismatches(problem, x))


def by_bootstrap(
    config: Config,
    dataset: Dataset,
    problem: Problem,
    x: Array,
    see: Callable[[Array], None] = lambda sample: None,
    stop_requested: Callable[[], bool] | None = None,
) -> Uncertainty:
    """Error bars by parametric bootstrap; see `fusionkit.uncertainty.bootstrap`.

    Parameters
    ----------
    config : terms, solver and options of the bootstrap.
    dataset : the data that were solved.
    problem : the objective that x belongs to, any fitted parameters included.
    x : the solution, (n, ny, nx).
    see : is shown each sample.
    stop_requested : polled between samples.

    Raises
    ------
    Stopped : the user ended it.
    """
    options, started = config.uncertainty, time.perf_counter()

    def watched(samples: Iterator[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if stop_requested is not None and stop_requested():
                raise Stopped
            see(sample.x)
            yield sample

    term = of_maps(problem.terms, x.shape)
    counts = None if term is None else counts_of(term, x)
    found = moments(watched(_samples(config, dataset, problem, x, counts)), x, counts)
    spread = found.standard_deviation().astype(x.dtype)
    told = {f"bias_factor_{name}": float(c) for name, c in zip(problem.labels, found.factors, strict=True)}
    facts = {"samples": options.samples, "seed": options.seed, **told}
    seconds = time.perf_counter() - started
    return Uncertainty("bootstrap", spread, options.interval, seconds, facts, mismatches(problem, x, drawn=True))


def total_variation(problem: Problem) -> Array:
    """The weight of each element's total variation, (n,); `UserError` where the curvature of a term is not known."""
    weights = np.zeros(problem.shape[0])
    for term in problem.terms:
        one = _tv_weights(term, len(weights))
        if one is not None:
            weights += one
        elif not isinstance(term, PixelwiseFidelity | Bounds):
            said = f"curvature knows fits of maps pixel by pixel and the term tv, but not {term.name}"
            raise UserError(METHOD_KEY, said, "use method: bootstrap")
    return weights


def _tv_weights(term: Term, elements: int) -> Array | None:
    """Of isotropic total variation, each map on its own; None for any other term."""
    if not isinstance(term, ComposedPenalty) or type(term.operator) is not GradientMap:
        return None
    functional = term.functional
    if type(functional) is WeightedL21 and functional.ndim == len(term.operator.axes):
        return functional.sigma * functional.factors
    if type(functional) is L21 and functional.ndim == len(term.operator.axes):
        return np.full(elements, functional.sigma)
    return None


def _samples(config: Config, dataset: Dataset, problem: Problem, x: Array, counts: Counts | None) -> Iterator[Sample]:
    model, options = model_of(problem, x), config.uncertainty
    given = config.solver.options
    tolerance = max(TOLERANCE, float(given.get("tolerance", 0.0)))
    labels = config.unknown.labels if config.unknown is not None else None

    def solved(random: np.random.Generator) -> Sample:
        drawn = compose(model.draw(dataset, random), config.terms, labels, config.precision, config.engine)
        result = solve(drawn, make_solver(config.solver.type, **{**given, "tolerance": tolerance}), x)
        if result.status is Status.DIVERGED or not np.isfinite(result.x).all():
            raise UserError(METHOD_KEY, "the solve of simulated data diverged", "use method: curvature or none")
        term = None if counts is None else of_maps((result.problem or drawn).terms, x.shape)
        return Sample(result.x, None if counts is None or term is None else counts.squared(term, result.x))

    return solutions(solved, options.samples, options.seed, options.workers)
