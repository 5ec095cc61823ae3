"""Error bars and composition of a finished solve, as its configuration asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fusionkit.config import Config
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.problem import Problem
from fusionkit.registry import suggestion
from fusionkit.terms import Array
from fusionkit.uncertainty.composition import Composition, counted, from_counts, from_samples
from fusionkit.uncertainty.estimate import METHOD_KEY, Stopped, by_bootstrap, by_curvature, total_variation
from fusionkit.uncertainty.information import of_maps
from fusionkit.uncertainty.intervals import Uncertainty
from fusionkit.uncertainty.options import CompositionOptions
from fusionkit.uncertainty.regions import Region, regions_of
from fusionkit.uncertainty.resample import check_drawable


@dataclass(frozen=True)
class Assessment:
    """What is known about the error of a result; nothing where nothing was asked for.

    Parameters
    ----------
    uncertainty : error bars of the maps.
    compositions : one a region.
    """

    uncertainty: Uncertainty | None = None
    compositions: tuple[Composition, ...] = ()


def check(config: Config, problem: Problem) -> None:
    """Refuse before the solve what could not be assessed after it.

    Raises
    ------
    UserError : the unknown are no maps, a term does not go with the method, or a region or k-factor is wrong.
    """
    method, wanted = config.uncertainty.method, config.composition
    key = "composition" if method == "none" else METHOD_KEY
    if len(problem.shape) != 3 or not problem.labels:
        raise UserError(key, f"needs maps of elements, but the unknown has shape {problem.shape}", "remove it")
    if method == "bootstrap":
        check_drawable(problem, METHOD_KEY)
    elif of_maps(problem.terms, problem.shape) is None:
        said = "no term of a weight > 0 compares the maps with data of their shape as they are, without a forward model"
        raise UserError(key, said, "use uncertainty.method: bootstrap")
    if method == "curvature":
        total_variation(problem)
        _check_information(problem)
    if wanted is not None:
        regions_of(wanted, (problem.shape[1], problem.shape[2]))
        k_factors(wanted, problem.labels)


def assess(
    config: Config, dataset: Dataset, problem: Problem, x: Array, stop_requested: Callable[[], bool] | None = None
) -> Assessment:
    """Error bars and composition of the solution ``x``.

    Parameters
    ----------
    config, dataset : what was solved.
    problem : the objective that x belongs to.
    x : the solution, (n, ny, nx).
    stop_requested : polled between the solves of a bootstrap; True ends it, and nothing is assessed.
    """
    options, wanted = config.uncertainty, config.composition
    regions = regions_of(wanted, (problem.shape[1], problem.shape[2])) if wanted is not None else ()
    samples: list[list[Array]] = []
    found: Uncertainty | None = None
    if options.method == "curvature":
        found = by_curvature(problem, x, options.interval)
    elif options.method == "bootstrap":

        def see(sample: Array) -> None:
            samples.append([region.sums(sample) for region in regions])

        try:
            found = by_bootstrap(config, dataset, problem, x, see, stop_requested)
        except Stopped:
            return Assessment()
    if wanted is None:
        return Assessment(found)
    return Assessment(found, _compositions(wanted, problem, x, regions, samples))


def _check_information(problem: Problem) -> None:
    """`UserError` where the data would tell nothing of a pixel without an element."""
    term = of_maps(problem.terms, problem.shape)
    if term is not None and not term.loss.information(np.zeros(1)).all():
        said = f"the term {term.name} has epsilon 0, and so no curvature where a map is 0"
        raise UserError(METHOD_KEY, said, "give it an epsilon > 0, in counts, or use method: bootstrap")


def k_factors(options: CompositionOptions, elements: tuple[str, ...]) -> Array:
    """k of each element; `UserError` where one lacks or belongs to no element."""
    given = options.k_factors
    if not given:
        return np.ones(len(elements))
    for name in given:
        if name not in elements:
            raise UserError(f"composition.k_factors.{name}", "has no map", suggestion(name, elements))
    missing = [element for element in elements if element not in given]
    if missing:
        raise UserError("composition.k_factors", f"has none for {', '.join(missing)}", "give one for every element")
    return np.array([given[element] for element in elements])


def _compositions(
    options: CompositionOptions, problem: Problem, x: Array, regions: tuple[Region, ...], samples: list[list[Array]]
) -> tuple[Composition, ...]:
    k, term = k_factors(options, problem.labels), of_maps(problem.terms, x.shape)
    found = []
    for index, region in enumerate(regions):
        sums = counted(region, x, term)
        if samples:
            own = [each[index] for each in samples]
            found.append(from_samples(region, problem.labels, sums, own, k, options.interval))
        else:
            found.append(from_counts(region, problem.labels, sums, k, options.interval))
    return tuple(found)
