"""The search for the weight of each penalty; of several, the one with the lowest error is kept, the others get zero.

The best penalty of an earlier search is searched first, so that the others can stop once they cannot win.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from fusionkit.errors import UserError
from fusionkit.interrupts import Terminated
from fusionkit.weights.auto import Method
from fusionkit.weights.chosen import ChosenWeight, with_weights
from fusionkit.weights.count_splitting import count_splitting
from fusionkit.weights.discrepancy import discrepancy
from fusionkit.weights.l_curve import l_curve
from fusionkit.weights.masked_pixels import masked_pixels
from fusionkit.weights.path import paired_difference
from fusionkit.weights.search import DivergedError, Task, Trial
from fusionkit.weights.shares import SHARES
from fusionkit.weights.sure import sure

_DIVERGED = "The weight of {} is 0: its search diverged."
STOPPED = "The weight of {} is 0: its search was stopped."

BY_NAME: dict[Method, Callable[[Task], ChosenWeight]] = {
    "count_splitting": count_splitting,
    "masked_pixels": masked_pixels,
    "discrepancy": discrepancy,
    "l_curve": l_curve,
    "sure": sure,
}


Search = tuple[Task, Method]
ChosenWeights = Mapping[int, ChosenWeight]  # by the index of the term
# their errors refer to the same data, whatever the penalty
COMPARABLE: set[Method] = {"count_splitting", "masked_pixels"}


def check_comparable(searches: Sequence[Search]) -> None:
    """`UserError` where the errors of several penalties with automatic weights cannot be compared."""
    methods = {method for _, method in searches}
    if len(searches) > 1 and (len(methods) > 1 or not methods <= COMPARABLE):
        names = " and ".join(task.term for task, _ in searches)
        message = f"{names} have automatic weights, and {' and '.join(sorted(methods))} cannot choose between them"
        raise UserError(
            searches[1][0].key, message, "give one of them a number, or write {auto: count_splitting} in each"
        )


def compete(
    searches: Sequence[Search],
    fits: ChosenWeights,
    earlier: ChosenWeights | None = None,
    best_trial: Trial | None = None,
) -> dict[int, ChosenWeight]:
    """The weight of each penalty by index; of several, all but the best get zero.

    `UserError` if every search diverges, or a method does not suit the data.

    Parameters
    ----------
    searches : in the order of the terms; those after the first stop once they cannot win.
    fits : weights of fits to data, by index.
    earlier : weights from a search with other weights of the fits: the best penalty is searched first, and each search
        starts at its earlier weight.
    best_trial : the trial with the best maps so far, as a starting point, or None.
    """
    former = earlier or {}
    results, diverged = list[ChosenWeight](), list[tuple[Task, Method, DivergedError]]()
    unsearched = at_zero(searches, STOPPED)
    for task, method in sorted(searches, key=lambda search: _search_order(search[0], former.get(search[0].index))):
        old = former.get(task.index)
        near = old.trial if old is not None else None
        rival = min(results, key=_error).trial if results else None
        nearest = rival or best_trial
        if near is not None and nearest is not None:
            near = near.from_maps_of(nearest)
        prepared = replace(with_chosen(task, fits), near=near, rival=rival)
        task.progress.begin(task.term)
        try:
            results.append(_with_former_counts(BY_NAME[method](_with_former_shares(prepared, old)), old))
        except DivergedError as error:
            diverged.append((task, method, error))
        except Terminated:
            if not results:
                raise
            break
    if diverged and not results:
        raise diverged[0][2]
    lost = at_zero([(task, method) for task, method, _ in diverged], _DIVERGED)
    return {**unsearched, **lost, **{one.index: one for one in _keep_best(results)}}


def at_zero(searches: Sequence[Search], note: str) -> dict[int, ChosenWeight]:
    """Weight zero for the penalties of searches that gave none."""
    return {
        task.index: ChosenWeight(task.index, task.term, 0.0, method, note.format(task.term))
        for task, method in searches
    }


def with_chosen(task: Task, weights: ChosenWeights) -> Task:
    """The task with these weights."""
    terms = tuple(with_weights(task.objective.terms, weights.values()))
    return replace(task, objective=replace(task.objective, terms=terms))


def _keep_best(results: Sequence[ChosenWeight]) -> list[ChosenWeight]:
    """Set all weights but the best to zero; the best is the first not significantly above the lowest error."""
    if len(results) < 2:
        return list(results)
    lowest = min(results, key=_error)
    best = next(one for one in sorted(results, key=lambda one: one.index) if not _significantly_above(one, lowest))
    return [one if one is best else _set_to_zero(one, best) for one in results]


def _set_to_zero(one: ChosenWeight, best: ChosenWeight) -> ChosenWeight:
    above = 100.0 * (_error(one) / _error(best) - 1.0)
    message = f"{above:.2g} % above that" if above > 0.0 else "not distinguishable from that"
    note = f"The weight of {one.term} is 0: its error is {message} of {best.term}."
    return replace(one, weight=0.0, uncertainty=None, note=note, facts={**one.facts, "best": one.weight})


def _significantly_above(one: ChosenWeight, lowest: ChosenWeight) -> bool:
    """Whether the error exceeds the lowest by more than its standard error."""
    if one.trial is None or lowest.trial is None:
        return one is not lowest
    difference, spread = paired_difference(one.trial.errors, lowest.trial.errors)
    return difference > spread


def _error(one: ChosenWeight) -> float:
    return one.trial.error if one.trial is not None else inf


def _search_order(task: Task, old: ChosenWeight | None) -> tuple[bool, bool]:
    """Sort key: earlier winners and penalties without a search come first, so that the others can stop early."""
    return old is not None and old.weight == 0.0, task.natural_weight is None


def _with_former_shares(task: Task, old: ChosenWeight | None) -> Task:
    """The task with the shares of an earlier search: they are determined best without the image term."""
    known = _shares(old)
    return replace(task.with_options(known), searched=task.searched - known.keys()) if known else task


def _shares(old: ChosenWeight | None) -> dict[str, Any]:
    """The shares that an earlier search chose."""
    return {name: old.options[name] for name in SHARES if name in old.options} if old is not None else {}


def _with_former_counts(one: ChosenWeight, old: ChosenWeight | None) -> ChosenWeight:
    """The weight, with the iterations and the shares of an earlier search."""
    if old is None:
        return one
    iterations = int(one.facts.get("iterations_beside", 0)) + old.iterations
    kept: dict[str, Any] = {"options": old.options, "note": old.note} if _shares(old) else {}
    return replace(one, facts={**one.facts, "iterations_beside": iterations}, **kept)
