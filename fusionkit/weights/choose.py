"""Every ``weight: auto`` of an objective: which way of choosing it is for which term.

The ways of choosing a penalty's weight by name, and the one for data that nobody named one for.

===================  ========================================================================  =====================
name                 the weight                                                                for
===================  ========================================================================  =====================
``count_splitting``  with which maps of half of the counts predict the other half best         counts, scaled or not
``masked_pixels``    with which maps predict pixels that they have not seen best               any maps
``sure``             of the least unbiased estimate of the squared error                       known noise
``discrepancy``      at which the data are missed by as much as the noise                      known noise
``l_curve``          at the corner of misfit against penalty                                   anything
===================  ========================================================================  =====================

Several penalties that ask for a weight: each is searched with the others at zero, and the best is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.options import Spec
from fusionkit.terms import Fitted, Term
from fusionkit.weights.auto import Method, asked, asks_each, checkable, method_of, weighted
from fusionkit.weights.chosen import ChosenWeight, with_weights
from fusionkit.weights.count_splitting import can_split, count_splitting
from fusionkit.weights.discrepancy import discrepancy
from fusionkit.weights.fits import weight_of_counts, weight_of_image
from fusionkit.weights.l_curve import l_curve
from fusionkit.weights.masked_pixels import masked_pixels
from fusionkit.weights.model_error import model_error
from fusionkit.weights.path import paired
from fusionkit.weights.per_element import check_each
from fusionkit.weights.search import NORMAL, POISSON, Objective, Task, Trial, noise_of
from fusionkit.weights.sure import sure

_MOVES = 2.0  # times less weight of an image after which the penalty is searched again


@dataclass(frozen=True)
class Choices:
    """What the data tell at once, and what is left to search.

    Parameters
    ----------
    chosen : weights of fits to data, by their noise.
    searches : each penalty that asks, with its method. Of several, each is searched with the others at zero, and the
        one with the lowest error is kept.
    fits : fits to images that ask whether their model is as good as their noise.
    """

    chosen: tuple[ChosenWeight, ...]
    searches: tuple[Search, ...]
    fits: tuple[Task, ...] = ()


def plan_choices(dataset: Dataset, objective: Objective) -> Choices:
    """The weights of fits to data, and the search that is left; nothing is solved.

    Parameters
    ----------
    dataset : the data; ground truth and the noise of a phantom are not looked at.
    objective : some of whose terms say ``weight: auto``.

    Raises
    ------
    UserError : the data do not tell a weight, several penalties ask and cannot be compared, or a method is not for
        this term.
    """
    places = asked(objective.terms)
    specs = [checkable(spec, f"terms[{index}]") for index, spec in enumerate(objective.terms)]
    terms = objective.build(dataset, specs).terms
    penalties = [index for index in places if not isinstance(terms[index], Fitted)]
    chosen, judged = [], []
    for index in places:
        if index not in penalties:
            if _judged(objective.terms[index], terms[index], index):
                judged.append(index)
            chosen.append(_of_data(terms[index], dataset, index))
            specs[index] = weighted(specs[index], chosen[-1].weight)
    for index in penalties:
        specs[index] = weighted(specs[index], 0.0)
    settled = replace(objective, terms=tuple(specs))
    searches = []
    for index in penalties:
        task = Task(settled, dataset, index, terms[index].name, asks_each(objective.terms[index]))
        method = method_of(objective.terms[index], f"terms[{index}]") or default_method(task)
        check_each(task, method)
        searches.append((task, method))
    check_comparable(searches)
    fits = tuple(Task(settled, dataset, index, terms[index].name) for index in judged)
    return Choices(tuple(chosen), tuple(searches), fits)


def _judged(spec: Spec, term: Term, index: int) -> bool:
    """Whether held-out counts are to judge this fit's weight; `UserError` for a method that is for penalties."""
    method = method_of(spec, f"terms[{index}]")
    if method is None:
        return False
    if method != "count_splitting" or noise_of(term) != NORMAL:
        said = f"{method} is for penalties; the weight of a fit to data comes from its noise"
        remedy = "write auto, or {auto: count_splitting} for an image whose model may be wrong"
        raise UserError(f"terms[{index}].weight", said, remedy)
    return True


def choose_weights(dataset: Dataset, objective: Objective) -> tuple[ChosenWeight, ...]:
    """The weight of each term that says ``weight: auto``, in the order of the terms.

    Raises
    ------
    UserError : as `plan_choices`, or a solve of the search diverges.
    RefusalError : the solver cannot take a term.
    """
    choices = plan_choices(dataset, objective)
    fits = {one.index: one for one in choices.chosen}
    penalties = compete(choices.searches, fits)
    latest: Trial | None = None
    for task in choices.fits:
        noise = fits[task.index]
        best = next((one.trial for one in penalties.values() if one.weight), None)
        judged = model_error(replace(with_found(task, {**fits, **penalties}), near=latest or best), noise)
        fits[task.index] = judged
        if judged.weight * _MOVES < noise.weight:
            latest = judged.trial
    if latest is not None:  # a penalty that made up for a wrong model is too strong, or the wrong one
        penalties = compete(choices.searches, fits, penalties, latest)
    found = [*fits.values(), *penalties.values()]
    told = [replace(one, trial=None, asked=objective.terms[one.index].options["weight"]) for one in found]
    return tuple(sorted(told, key=lambda one: one.index))


def _of_data(term: Term, dataset: Dataset, index: int) -> ChosenWeight:
    """The weight of a term that compares with data, by what the noise of these is."""
    assert isinstance(term, Fitted)
    if noise_of(term) == NORMAL:
        return weight_of_image(term.data, index, term.name)
    if noise_of(term) == POISSON:
        data = dataset.arrays.get(term.target, term.data)
        labels = dataset.stacks.get(term.target, dataset.elements)
        converted = term.target == "maps" and dataset.counting is not None and bool(dataset.counting.units)
        return weight_of_counts(data, labels, index, term.name, converted)
    raise UserError(f"terms[{index}].weight", f"auto does not know the noise that {term.name} is for", "give a number")


BY_NAME: dict[Method, Callable[[Task], ChosenWeight]] = {
    "count_splitting": count_splitting,
    "masked_pixels": masked_pixels,
    "discrepancy": discrepancy,
    "l_curve": l_curve,
    "sure": sure,
}


def default_method(task: Task) -> Method:
    """``count_splitting`` for counts, else ``masked_pixels``; `UserError` where no data can judge."""
    arrays = dict(task.dataset.arrays)
    return "count_splitting" if can_split(task.judges(task.problem(1.0)), arrays) else "masked_pixels"


Search = tuple[Task, Method]
Found = Mapping[int, ChosenWeight]  # by the term's place
COMPARABLE: set[Method] = {
    "count_splitting",
    "masked_pixels",
}  # their errors are of the same data, whatever the penalty


def check_comparable(searches: Sequence[Search]) -> None:
    """`UserError` where several penalties ask and their errors cannot be compared."""
    methods = {method for _, method in searches}
    if len(searches) > 1 and (len(methods) > 1 or not methods <= COMPARABLE):
        names = " and ".join(task.term for task, _ in searches)
        said = f"{names} say auto, and {' and '.join(sorted(methods))} cannot choose between them"
        raise UserError(searches[1][0].key, said, "give one of them a number, or write {auto: count_splitting} in each")


def compete(
    searches: Sequence[Search], fits: Found, former: Found | None = None, latest: Trial | None = None
) -> dict[int, ChosenWeight]:
    """The weight of each penalty by its place: of several, that of all but the best is zero.

    Parameters
    ----------
    searches : in the order of the terms; those after the first are given up where they cannot win any more.
    fits : weights of fits to data, by the term's place.
    former : what a search with other weights of the fits has found: the one that won then is searched first, and each
        from the weight that it had.
    latest : the trial whose maps are the nearest by now, to start from; None for none.

    Raises
    ------
    UserError : a solve diverges, or a method does not suit the data.
    """
    before = former or {}
    tried: list[ChosenWeight] = []
    for task, method in sorted(searches, key=lambda search: _is_dropped(before.get(search[0].index))):
        old = before.get(task.index)
        near = old.trial if old is not None else None
        rival = min(tried, key=_error).trial if tried else None
        nearest = rival or latest
        if near is not None and nearest is not None:
            near = near.from_maps_of(nearest)
        ready = replace(with_found(task, fits), near=near, rival=rival)
        tried.append(_after(BY_NAME[method](ready), old))
    return {one.index: one for one in _kept(tried)}


def with_found(task: Task, found: Found) -> Task:
    """The task with the weights that have been found."""
    terms = tuple(with_weights(task.objective.terms, found.values()))
    return replace(task, objective=replace(task.objective, terms=terms))


def _kept(tried: Sequence[ChosenWeight]) -> list[ChosenWeight]:
    """The best as it is, the others with the weight zero: the first that the data do not tell from the lowest."""
    if len(tried) < 2:
        return list(tried)
    lowest = min(tried, key=_error)
    best = next(one for one in sorted(tried, key=lambda one: one.index) if not _clearly_above(one, lowest))
    return [one if one is best else _dropped(one, best) for one in tried]


def _dropped(one: ChosenWeight, best: ChosenWeight) -> ChosenWeight:
    above = 100.0 * (_error(one) / _error(best) - 1.0)
    said = f"{above:.2g} % above that" if above > 0.0 else "not told from that"
    note = f"The weight of {one.term} is 0: its error is {said} of {best.term}."
    return replace(one, weight=0.0, uncertainty=None, note=note, facts={**one.facts, "best": one.weight})


def _clearly_above(one: ChosenWeight, lowest: ChosenWeight) -> bool:
    """Whether the error is more than its standard error above the lowest."""
    if one.trial is None or lowest.trial is None:
        return one is not lowest
    difference, spread = paired(one.trial.errors, lowest.trial.errors)
    return difference > spread


def _error(one: ChosenWeight) -> float:
    return one.trial.error if one.trial is not None else inf


def _is_dropped(one: ChosenWeight | None) -> bool:
    return one is not None and one.weight == 0.0


def _after(one: ChosenWeight, old: ChosenWeight | None) -> ChosenWeight:
    """The choice with the iterations of the search before it in its account."""
    if old is None:
        return one
    beside = int(one.facts.get("iterations_beside", 0)) + old.iterations
    return replace(one, facts={**one.facts, "iterations_beside": beside})
