"""Every ``weight: auto`` of an objective: which way of choosing it is for which term."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.options import Spec
from fusionkit.terms import Fitted, Term
from fusionkit.weights.auto import asked, asks_each, checkable, method_of, weighted
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.compete import Search, check_comparable, compete, with_found
from fusionkit.weights.count_scale import weight_of_counts
from fusionkit.weights.fits import weight_of_image
from fusionkit.weights.methods import default_method
from fusionkit.weights.model_error import model_error
from fusionkit.weights.per_element import check_each
from fusionkit.weights.search import NORMAL, POISSON, Objective, Task, noise_of
from fusionkit.weights.trial import Trial

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
