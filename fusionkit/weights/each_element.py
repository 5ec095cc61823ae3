r"""A weight for each element, from the trials of one weight for all.

Where no penalty couples the maps, only the fit to the image does: what a weight does to the error of one element hardly
depends on the weights of the others. Each element's own errors along the path tell its own best weight w_i, and the
penalty becomes :math:`\bar w \sum_i f_i\, g(x_i)` with the geometric mean of the w_i and :math:`f_i = w_i / \bar w`. It
is tried once, and kept where it predicts the other half of the counts better than one weight does. Measured with TV on
four phantoms at 5 to 100 counts: 1 to 25 % less error, for one to three trials more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, log

from fusionkit.errors import UserError
from fusionkit.weights.asked import PER_ELEMENT, Method
from fusionkit.weights.choice import vertex
from fusionkit.weights.chosen import ChosenWeight, rounded
from fusionkit.weights.path import views
from fusionkit.weights.task import Task
from fusionkit.weights.trial import Trial

_REMEDY = "use counts, or give a number for each element"


def check_each(task: Task, method: Method) -> None:
    """`UserError` where a weight for each element is asked for that cannot be searched."""
    if not task.each:
        return
    key = f"terms[{task.index}].{PER_ELEMENT}"
    if method != "count_splitting":
        said = f"is auto, which {method} does not know"
        raise UserError(key, said, f"write weight: {{auto: count_splitting}}, or {_REMEDY}")
    problem = task.problem(1.0)
    judges = task.judges(problem)
    if len(judges) != 1 or judges[0].data.shape != problem.shape:
        raise UserError(key, "is auto, and needs one fit of counts with a map for each element", _REMEDY)


def of_each(trials: Sequence[Trial], elements: Sequence[str]) -> tuple[float, dict[str, float]]:
    """The geometric mean of the elements' weights, and each one's factor.

    Parameters
    ----------
    trials : with one weight for all, ascending; their errors are those of all maps, one after the other.
    elements : of the maps.
    """
    own = [vertex([t.weight for t in seen], [t.errors for t in seen])[0] for seen in views(trials, len(elements))]
    mean = exp(sum(log(weight) for weight in own) / len(own))
    return mean, {element: float(f"{weight / mean:.4g}") for element, weight in zip(elements, own, strict=True)}


def with_own(found: ChosenWeight, tried: Trial, factors: Mapping[str, float], correction: float) -> ChosenWeight:
    """The choice with the elements' own weights where they are better, else with factors of 1.

    Parameters
    ----------
    found : one weight for all.
    tried : the weights of the elements.
    factors : of the elements.
    correction : from the weight of half of the counts to that of all.
    """
    assert found.trial is not None
    facts = {**found.facts, "solves": found.facts["solves"] + 1, "iterations_beside": tried.iterations}
    if tried.error >= found.trial.error:
        note = f"{found.note[:-1]}; one for each element predicts it no better."
        return replace(found, note=note, facts=facts, options={PER_ELEMENT: dict.fromkeys(factors, 1.0)})
    weight = rounded(correction * tried.weight)
    said = ", ".join(f"{element} {weight * factor:.3g}" for element, factor in factors.items())
    note = f"The weights of {found.term} are {said}: {found.note.partition(': ')[2]}"
    own = {PER_ELEMENT: dict(factors)}
    return replace(found, weight=weight, note=note, uncertainty=None, facts=facts, options=own, trial=tried)
