r"""A weight for each element, from trials with one weight for all.

Where only the fit to the image couples the maps, the error of one element hardly depends on the weights of the others.
The errors of each single map along the path give its best weight w_i, and the penalty becomes
:math:`\bar w \sum_i f_i\, g(x_i)` with the geometric mean of the w_i and :math:`f_i = w_i / \bar w`. One trial with
these weights follows; they are kept if they predict the other half of the counts better. With TV on four phantoms at 5
to 100 counts this gives 1 to 25 % less error for one to three more trials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log

from fusionkit.errors import UserError
from fusionkit.weights.auto import PER_ELEMENT, Method
from fusionkit.weights.chosen import ChosenWeight, rounded, two_errors
from fusionkit.weights.path import parabola_minimum, trials_by_map
from fusionkit.weights.search import Task, Trial

_REMEDY = "use counts, or give a number for each element"


def check_searched(task: Task, method: Method) -> None:
    """`UserError` if the options to be chosen together with the weight cannot be."""
    for name in sorted(task.searched):
        if method != "count_splitting":
            message = f"is auto, which {method} does not support"
            remedy = "give values, or with counts write weight: {auto: count_splitting}"
            raise UserError(f"terms[{task.index}].{name}", message, remedy)
    if PER_ELEMENT not in task.searched:
        return
    problem = task.problem(1.0)
    validation = task.validation_terms(problem)
    if len(validation) != 1 or validation[0].data.shape != problem.shape:
        where = f"terms[{task.index}].{PER_ELEMENT}"
        raise UserError(where, "is auto, and needs one fit of counts with a map for each element", _REMEDY)


@dataclass(frozen=True)
class ElementWeights:
    """The weights of the elements."""

    mean: float  # their geometric mean
    factors: Mapping[str, float]  # of each element
    errors: Mapping[str, float]  # standard error of the logarithm of each; those at the end of the path are left out


def element_weights(trials: Sequence[Trial], elements: Sequence[str]) -> ElementWeights:
    """The weight of the lowest error of each map; ``trials`` ascend and hold the errors of one map after the other."""
    by_map = trials_by_map(trials, len(elements))
    minima = [parabola_minimum([t.weight for t in each], [t.errors for t in each]) for each in by_map]
    mean = exp(sum(log(weight) for weight, _ in minima) / len(minima))
    own = dict(zip(elements, minima, strict=True))
    factors = {element: float(f"{weight / mean:.4g}") for element, (weight, _) in own.items()}
    return ElementWeights(mean, factors, {element: error for element, (_, error) in own.items() if error is not None})


def with_element_weights(chosen: ChosenWeight, trial: Trial, own: ElementWeights, correction: float) -> ChosenWeight:
    """The choice with weights for each element if they are better, else with factors of 1.

    Parameters
    ----------
    chosen : one weight for all.
    trial : the trial with weights for each element.
    own : these weights.
    correction : from the weight for half of the counts to that for all.
    """
    assert chosen.trial is not None
    facts = {**chosen.facts, "solves": chosen.facts["solves"] + 1, "iterations_beside": trial.iterations}
    if trial.error >= chosen.trial.error:
        note = f"{chosen.note[:-1]}; a weight for each element predicts it no better."
        return replace(chosen, note=note, facts=facts, options={PER_ELEMENT: dict.fromkeys(own.factors, 1.0)})
    weight = rounded(correction * trial.weight)
    weights = {element: weight * factor for element, factor in own.factors.items()}
    ranges = {element: two_errors(weights[element], error) for element, error in own.errors.items()}
    message = ", ".join(_in_words(element, value, ranges.get(element)) for element, value in weights.items())
    note = f"The weights of {chosen.term} are {message}: {chosen.note.partition(': ')[2]}"
    options = {PER_ELEMENT: dict(own.factors)}
    changed = {"uncertainty": None, "options": options, "ranges": ranges, "trial": trial}
    return replace(chosen, weight=weight, note=note, facts=facts, **changed)


def _in_words(element: str, weight: float, limits: tuple[float, float] | None) -> str:
    return f"{element} {weight:.3g}" + (f" ({limits[0]:.2g} to {limits[1]:.2g})" if limits else "")
