"""Several penalties that ask for a weight: each is searched with the others at zero, and the best is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from fusionkit.errors import UserError
from fusionkit.weights.auto import Method
from fusionkit.weights.choice import paired
from fusionkit.weights.chosen import ChosenWeight, with_weights
from fusionkit.weights.methods import BY_NAME
from fusionkit.weights.search import Task
from fusionkit.weights.trial import Trial

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
