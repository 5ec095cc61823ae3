"""Every ``weight: auto`` of a configuration: which way of choosing it is for which term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fusionkit.composition import compose, make_solver
from fusionkit.config import Config
from fusionkit.counting.step import is_counts
from fusionkit.data import Dataset
from fusionkit.errors import UserError
from fusionkit.options import Spec
from fusionkit.problem import Problem
from fusionkit.start import starting_point
from fusionkit.terms import Array, Fitted, Term
from fusionkit.weights.asked import asked, checkable, weighted
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.count_scale import weight_of_counts
from fusionkit.weights.image_noise import weight_of_image
from fusionkit.weights.search import SHARE, TOLERANCE, Search, search
from fusionkit.weights.thinning import Halves, thin

_SEED = 0  # of the division of the counts: the same data give the same weight
_NORMAL, _POISSON = "normal", "poisson"


def choose_weights(config: Config, dataset: Dataset) -> tuple[ChosenWeight, ...]:
    """The weight of each term that says ``weight: auto``, in the order of the configuration.

    Parameters
    ----------
    config : with at least one such term.
    dataset : the data; ground truth and the noise of a phantom are not looked at.

    Raises
    ------
    UserError : the data do not tell a weight, or two penalties ask for one.
    RefusalError : the solver cannot take a term.
    """
    places = asked(config.terms)
    specs = [checkable(spec) for spec in config.terms]
    terms = _compose(config, dataset, specs).terms
    chosen: list[ChosenWeight] = []
    penalties = [index for index in places if not isinstance(terms[index], Fitted)]
    if len(penalties) > 1:
        said = f"two penalties say auto, {terms[penalties[0]].name} and {terms[penalties[1]].name}"
        raise UserError(f"terms[{penalties[1]}].weight", said, "give one of them a number")
    for index in places:
        if index not in penalties:
            chosen.append(_of_data(terms[index], dataset, index))
            specs[index] = weighted(specs[index], chosen[-1].weight)
    for index in penalties:
        chosen.append(_of_penalty(config, dataset, specs, index, terms))
    return tuple(sorted(chosen, key=lambda one: one.index))


def with_weights(config: Config, chosen: Sequence[ChosenWeight]) -> Config:
    """The configuration with the chosen numbers in place of ``auto``."""
    terms = list(config.terms)
    for one in chosen:
        terms[one.index] = weighted(terms[one.index], one.weight)
    return config.model_copy(update={"terms": terms})


def _compose(config: Config, dataset: Dataset, specs: Sequence[Spec]) -> Problem:
    labels = config.unknown.labels if config.unknown is not None else None
    return compose(dataset, specs, labels, config.precision, config.engine)


def _noise(term: Term) -> str:
    return str(getattr(term, "noise", ""))


def _of_data(term: Term, dataset: Dataset, index: int) -> ChosenWeight:
    """The weight of a term that compares with data, by what the noise of these is."""
    assert isinstance(term, Fitted)
    if _noise(term) == _NORMAL:
        return weight_of_image(term.data, index, term.name)
    if _noise(term) == _POISSON:
        data = dataset.arrays.get(term.target, term.data)
        labels = dataset.stacks.get(term.target, dataset.elements)
        converted = term.target == "maps" and dataset.counting is not None and bool(dataset.counting.units)
        return weight_of_counts(data, labels, index, term.name, converted)
    raise UserError(f"terms[{index}].weight", f"auto does not know the noise that {term.name} is for", "give a number")


def _of_penalty(
    config: Config, dataset: Dataset, specs: Sequence[Spec], index: int, terms: Sequence[Term]
) -> ChosenWeight:
    key = f"terms[{index}].weight"
    halves = _halves(dataset, terms, key)
    training = replace(dataset, arrays={**dataset.arrays, **{name: one.training for name, one in halves.items()}})
    shared = [
        weighted(spec, SHARE * float(spec.options.get("weight", 1.0))) if _noise(term) == _POISSON else spec
        for spec, term in zip(specs, terms, strict=True)
    ]

    def build(weight: float) -> Problem:
        return _compose(config, training, [*shared[:index], weighted(shared[index], weight), *shared[index + 1 :]])

    def errors(problem: Problem, x: Array) -> Array:
        fitted = [term for term in problem.terms if isinstance(term, Fitted) and _noise(term) == _POISSON]
        parts = [np.ravel(term.expected(x) - halves[term.target].held_out) ** 2 for term in fitted]  # type: ignore[attr-defined]
        return np.concatenate(parts)

    options = dict(config.solver.options)
    options["tolerance"] = max(TOLERANCE, float(options.get("tolerance", 0.0)))
    solver = make_solver(config.solver.type, **options)
    start = starting_point("auto", build(1.0), training)
    return search(Search(build, errors, solver, start, index, terms[index].name))


def _halves(dataset: Dataset, terms: Sequence[Term], key: str) -> dict[str, Halves]:
    """The counts of every Poisson term, divided."""
    names = [term.target for term in terms if isinstance(term, Fitted) and _noise(term) == _POISSON]
    remedy = "give a number, or try several: fusionkit sweep --over"
    if not names:
        raise UserError(key, "auto divides counts into two halves, and there is no poisson term", remedy)
    random, found = np.random.default_rng(_SEED), {}
    for name in dict.fromkeys(names):
        counts = dataset.arrays.get(name)
        if counts is None or not is_counts(counts):
            said = f"auto divides counts into two halves, and '{name}' are no counts (whole numbers)"
            raise UserError(key, said, f"keep counts with data.normalize: none, or {remedy}")
        found[name] = thin(counts, SHARE, random)
    return found
