"""Every ``weight: auto`` of an objective: which way of choosing it is for which term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fusionkit.data import Dataset
from fusionkit.errors import UserError
from fusionkit.options import Spec
from fusionkit.terms import Fitted, Term
from fusionkit.weights.asked import Method, asked, checkable, method_of, weighted
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.count_scale import weight_of_counts
from fusionkit.weights.image_noise import weight_of_image
from fusionkit.weights.methods import BY_NAME, default_method
from fusionkit.weights.model_error import model_error
from fusionkit.weights.task import NORMAL, POISSON, Objective, Task, noise_of

COMPARABLE: set[Method] = {
    "count_splitting",
    "masked_pixels",
}  # their errors are of the same data, whatever the penalty
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
    searches: tuple[tuple[Task, Method], ...]
    fits: tuple[Task, ...] = ()


def plan_choices(dataset: Dataset, objective: Objective) -> Choices:
    """The weights of fits to data, and the search that is left; nothing is solved.

    Parameters
    ----------
    dataset : the data; ground truth and the noise of a phantom are not looked at.
    objective : some of whose terms say ``weight: auto``.

    Raises
    ------
    UserError : the data do not tell a weight, two penalties ask for one, or a method is not for this term.
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
        task = Task(settled, dataset, index, terms[index].name)
        searches.append((task, method_of(objective.terms[index], f"terms[{index}]") or default_method(task)))
    _check_comparable(searches)
    fits = tuple(Task(settled, dataset, index, terms[index].name) for index in judged)
    return Choices(tuple(chosen), tuple(searches), fits)


def _check_comparable(searches: Sequence[tuple[Task, Method]]) -> None:
    """`UserError` where several penalties ask and their errors cannot be compared."""
    methods = {method for _, method in searches}
    if len(searches) > 1 and (len(methods) > 1 or not methods <= COMPARABLE):
        names = " and ".join(task.term for task, _ in searches)
        said = f"{names} say auto, and {' and '.join(sorted(methods))} cannot choose between them"
        raise UserError(searches[1][0].key, said, "give one of them a number, or write {auto: count_splitting} in each")


def kept(tried: Sequence[ChosenWeight]) -> list[ChosenWeight]:
    """Of penalties that were searched, the one with the lowest error; the weights of the others become zero."""
    if len(tried) < 2:
        return list(tried)
    errors = [min(one.curve.values) if one.curve is not None else float("inf") for one in tried]
    best = tried[errors.index(min(errors))]
    return [
        one if one is best else _dropped(one, best, error / min(errors))
        for one, error in zip(tried, errors, strict=True)
    ]


def _dropped(one: ChosenWeight, best: ChosenWeight, ratio: float) -> ChosenWeight:
    note = f"The weight of {one.term} is 0: its error is {100 * (ratio - 1):.2g} % above that of {best.term}."
    return replace(one, weight=0.0, uncertainty=None, note=note, facts={**one.facts, "best": one.weight})


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
    found = {one.index: one for one in choices.chosen}
    tried = [BY_NAME[method](task) for task, method in choices.searches]
    found |= {one.index: one for one in kept(tried)}
    moved = False
    for task in choices.fits:
        noise = found[task.index]
        found[task.index] = model_error(_with(task, found), noise)
        moved |= found[task.index].weight * _MOVES < noise.weight
    for task, method in choices.searches if moved else ():  # a penalty that made up for a wrong model is too strong
        if found[task.index].weight:
            found[task.index] = BY_NAME[method](_with(task, found))
    told = [replace(one, asked=objective.terms[one.index].options["weight"]) for one in found.values()]
    return tuple(sorted(told, key=lambda one: one.index))


def _with(task: Task, found: Mapping[int, ChosenWeight]) -> Task:
    """The task with the weights that have been found."""
    terms = tuple(with_weights(task.objective.terms, list(found.values())))
    return replace(task, objective=replace(task.objective, terms=terms))


def with_weights(terms: Sequence[Spec], chosen: Sequence[ChosenWeight]) -> list[Spec]:
    """The terms with the chosen numbers in place of ``auto``."""
    numbers = {one.index: one.weight for one in chosen}
    return [weighted(term, numbers[index]) if index in numbers else term for index, term in enumerate(terms)]


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
