"""The weight of every term with ``weight: auto``, and the method for each.

A fit to data gets its weight from the noise. The weight of a penalty is searched:

===================  ========================================================================  =====================
method               the weight at which                                                       for
===================  ========================================================================  =====================
``count_splitting``  maps from half of the counts best predict the other half                  counts, scaled or not
``masked_pixels``    maps best predict left-out pixels                                         any maps
``sure``             the unbiased estimate of the squared error is smallest                    known noise
``discrepancy``      the residual equals the noise                                             known noise
``l_curve``          the curve of data misfit against penalty has its corner                   anything
===================  ========================================================================  =====================

Of several penalties, each is searched with the others at zero, and the best one is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fusionkit.checkpoint.folder import Checkpoint
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.interrupts import Terminated
from fusionkit.options import Spec
from fusionkit.terms import Fitted, Term
from fusionkit.weights.auto import Method, auto_terms, method_of, searched_options, with_placeholder, with_weight
from fusionkit.weights.chosen import OUT_OF_TIME, ChosenWeight
from fusionkit.weights.compete import STOPPED, ChosenWeights, Search, at_zero, check_comparable, compete, with_chosen
from fusionkit.weights.count_splitting import can_split
from fusionkit.weights.fidelity_weights import weight_of_counts, weight_of_image
from fusionkit.weights.model_error import model_error
from fusionkit.weights.per_element import check_searched
from fusionkit.weights.progress import OutOfTime, Progress
from fusionkit.weights.search import NORMAL, POISSON, Objective, Task, Trial, noise_kind

_TRIALS = 5  # usual number in a search
# float64 arrays of the size of the maps: halves of the counts, trials and their errors; the trials of both models of an
# image; groups of patches
_HALVES, _IMAGES, _GROUPS = 18, 12, 19


@dataclass(frozen=True)
class SearchPlan:
    """Weights known without a solve, and the searches that remain."""

    chosen: tuple[ChosenWeight, ...]  # weights of fits to data, by their noise
    searches: tuple[Search, ...]  # the penalties with automatic weights, with their methods
    fits: tuple[Task, ...] = ()  # fits to images whose weight held-out counts may reduce
    progress: Progress = field(default_factory=Progress)  # of the searches


def plan_searches(dataset: Dataset, objective: Objective, checkpoint: Checkpoint | None = None) -> SearchPlan:
    """Weights of fits to data, and the searches that remain; solves nothing.

    `UserError` if the data do not determine a weight, several penalties cannot be compared, or a method does not suit
    its term.

    Parameters
    ----------
    dataset : the data; the ground truth and noise of a phantom are ignored.
    objective : objective in which some weights are automatic.
    checkpoint : of their solves.
    """
    places = auto_terms(objective.terms)
    specs = [with_placeholder(spec, f"terms[{index}]") for index, spec in enumerate(objective.terms)]
    terms = objective.build(dataset, specs).terms
    penalties = [index for index in places if not isinstance(terms[index], Fitted)]
    chosen, lowered = [], []
    for index in places:
        if index not in penalties:
            if _by_held_out_counts(objective.terms[index], terms[index], index):
                lowered.append(index)
            elif searched := searched_options(objective.terms[index]):
                message = "is auto, and the weight comes from the noise alone"
                raise UserError(f"terms[{index}].{min(searched)}", message, "write weight: {auto: count_splitting}")
            chosen.append(_weight_of_fit(terms[index], dataset, index))
            specs[index] = with_weight(specs[index], chosen[-1].weight)
    for index in penalties:
        specs[index] = with_weight(specs[index], 0.0)
    resolved = replace(objective, terms=tuple(specs))
    searches, progress = [], Progress(checkpoint=checkpoint)
    for index in penalties:
        options = searched_options(objective.terms[index])
        task = Task(resolved, dataset, index, terms[index].name, options, progress=progress)
        method = method_of(objective.terms[index], f"terms[{index}]") or default_method(task)
        check_searched(task, method)
        searches.append((task, method))
    check_comparable(searches)
    fits = tuple(
        Task(resolved, dataset, i, terms[i].name, searched_options(objective.terms[i]), progress=progress)
        for i in lowered
    )
    first = [task.term for task, _ in searches if not fits or task.natural_weight is not None]
    again = [task.term for task, _ in searches] if fits else []
    images = [(task.term, _TRIALS * max(len(task.searched) + 1, 1)) for task in fits]
    progress.stages = [(name, _TRIALS) for name in first] + images + [(name, 2) for name in again]
    return SearchPlan(tuple(chosen), tuple(searches), fits, progress)


def search_bytes(dataset: Dataset, objective: Objective) -> int:
    """Bytes that the searches need beside the data, at their peak; measured at 512^2 and 1024^2."""
    plan = plan_searches(dataset, objective)
    arrays = _HALVES * bool(plan.searches or plan.fits) + _IMAGES * bool(plan.fits)
    arrays += _GROUPS * any(task.natural_weight is not None for task, _ in plan.searches)
    return 8 * arrays * max((array.size for array in dataset.arrays.values()), default=0)


def _by_held_out_counts(spec: Spec, term: Term, index: int) -> bool:
    """Whether held-out counts determine the weight of this fit; `UserError` for a method for penalties."""
    method = method_of(spec, f"terms[{index}]")
    if method is None:
        return False
    if method != "count_splitting" or noise_kind(term) != NORMAL:
        message = f"{method} is for penalties; the weight of a fit to data comes from its noise"
        remedy = "write auto, or {auto: count_splitting} for an image whose model may be wrong"
        raise UserError(f"terms[{index}].weight", message, remedy)
    return True


def choose_weights(
    dataset: Dataset, objective: Objective, checkpoint: Checkpoint | None = None
) -> tuple[ChosenWeight, ...]:
    """The weight of each term with ``weight: auto``, in the order of the terms.

    A search saves its solves in the ``checkpoint``, and takes them from there if it is repeated. `UserError` as in
    `plan_searches`, or if a solve of the search diverges. `RefusalError` if the solver cannot take a term.
    """
    choices = plan_searches(dataset, objective, checkpoint)
    try:
        chosen = _carry_out(choices)
    except OutOfTime:
        remedy = "give it more, or the weights as numbers"
        raise UserError("solver.time_limit", "is too short for the search for weights", remedy) from None
    is_late = choices.progress.is_late
    final = [
        replace(
            one,
            trial=None,
            request=objective.terms[one.index].options["weight"],
            map_errors=one.trial.map_errors if one.trial is not None else {},
            note=f"{one.note} The search met its time limit." if is_late and one.iterations else one.note,
            facts={**one.facts, OUT_OF_TIME: 1} if is_late and one.iterations else one.facts,
        )
        for one in chosen
    ]
    return tuple(sorted(final, key=lambda one: one.index))


def _carry_out(choices: SearchPlan) -> list[ChosenWeight]:
    """The weights of the plan."""
    noise: ChosenWeights = {one.index: one for one in choices.chosen}
    if not choices.fits:
        fits, penalties = noise, compete(choices.searches, noise)
    else:
        # first without the images; a penalty that needs no search suffices to weigh them
        natural = [search for search in choices.searches if search[0].natural_weight is not None]
        without_images = {**noise, **{task.index: replace(noise[task.index], weight=0.0) for task in choices.fits}}
        penalties = compete(natural or choices.searches, without_images)
        fits, best_trial = _weigh_images(choices.fits, noise, penalties)
        try:
            penalties = compete(choices.searches, fits, penalties, best_trial)
        except Terminated:
            penalties = {**at_zero(choices.searches, STOPPED), **penalties}
    return [*fits.values(), *penalties.values()]


def _weigh_images(
    images: Sequence[Task], fits: ChosenWeights, penalties: ChosenWeights
) -> tuple[dict[int, ChosenWeight], Trial | None]:
    """The weights of fits, those of images chosen by held-out counts, and the best trial."""
    weights, best_trial = dict(fits), next((one.trial for one in penalties.values() if one.weight), None)
    for task in images:
        prepared = replace(with_chosen(task, {**weights, **penalties}), near=best_trial)
        task.progress.begin(task.term)
        try:
            weights[task.index] = model_error(prepared, fits[task.index])
        except Terminated:
            break
        best_trial = weights[task.index].trial
    return weights, best_trial


def _weight_of_fit(term: Term, dataset: Dataset, index: int) -> ChosenWeight:
    """The weight of a fit from the noise in its data."""
    assert isinstance(term, Fitted)
    if noise_kind(term) == NORMAL:
        return weight_of_image(term.data, index, term.name)
    if noise_kind(term) == POISSON:
        data = dataset.arrays.get(term.target, term.data)
        labels = dataset.stacks.get(term.target, dataset.elements)
        converted = term.target == "maps" and dataset.counting is not None and bool(dataset.counting.units)
        return weight_of_counts(data, labels, index, term.name, converted)
    raise UserError(f"terms[{index}].weight", f"auto does not know the noise model of {term.name}", "give a number")


def default_method(task: Task) -> Method:
    """``count_splitting`` for counts, else ``masked_pixels``; `UserError` without data to validate with."""
    arrays = dict(task.dataset.arrays)
    return "count_splitting" if can_split(task.validation_terms(task.problem(1.0)), arrays) else "masked_pixels"
