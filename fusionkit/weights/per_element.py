r"""A weight for each element, from the trials of one weight for all.

Where no penalty couples the maps, only the fit to the image does: what a weight does to the error of one element hardly
depends on the weights of the others. Each element's own errors along the path tell its own best weight w_i, and the
penalty becomes :math:`\bar w \sum_i f_i\, g(x_i)` with the geometric mean of the w_i and :math:`f_i = w_i / \bar w`. It
is tried once, and kept where it predicts the other half of the counts better than one weight does. Measured with TV on
four phantoms at 5 to 100 counts: 1 to 25 % less error, for one to three trials more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log

from fusionkit.errors import UserError
from fusionkit.weights.auto import PER_ELEMENT, Method
from fusionkit.weights.chosen import ChosenWeight, rounded
from fusionkit.weights.path import vertex, views
from fusionkit.weights.search import Task, Trial

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


@dataclass(frozen=True)
class Own:
    """The weights of the elements.

    Parameters
    ----------
    mean : their geometric mean.
    factors : of each, by element.
    errors : standard error of each one's logarithm; those that lie at the end of the path are left out.
    """

    mean: float
    factors: Mapping[str, float]
    errors: Mapping[str, float]


def of_each(trials: Sequence[Trial], elements: Sequence[str]) -> Own:
    """The weight with the lowest error of each element's own map.

    Parameters
    ----------
    trials : with one weight for all, ascending; their errors are those of all maps, one after the other.
    elements : of the maps.
    """
    found = [vertex([t.weight for t in seen], [t.errors for t in seen]) for seen in views(trials, len(elements))]
    mean = exp(sum(log(weight) for weight, _ in found) / len(found))
    own = dict(zip(elements, found, strict=True))
    factors = {element: float(f"{weight / mean:.4g}") for element, (weight, _) in own.items()}
    return Own(mean, factors, {element: error for element, (_, error) in own.items() if error is not None})


def with_own(found: ChosenWeight, tried: Trial, own: Own, correction: float) -> ChosenWeight:
    """The choice with the elements' own weights where they are better, else with factors of 1.

    Parameters
    ----------
    found : one weight for all.
    tried : the weights of the elements.
    own : these weights.
    correction : from the weight of half of the counts to that of all.
    """
    assert found.trial is not None
    facts = {**found.facts, "solves": found.facts["solves"] + 1, "iterations_beside": tried.iterations}
    if tried.error >= found.trial.error:
        note = f"{found.note[:-1]}; one for each element predicts it no better."
        return replace(found, note=note, facts=facts, options={PER_ELEMENT: dict.fromkeys(own.factors, 1.0)})
    weight = rounded(correction * tried.weight)
    weights = {element: weight * factor for element, factor in own.factors.items()}
    ranges = {
        element: (rounded(weights[element] * exp(-2.0 * error)), rounded(weights[element] * exp(2.0 * error)))
        for element, error in own.errors.items()
    }
    said = ", ".join(_said(element, value, ranges.get(element)) for element, value in weights.items())
    note = f"The weights of {found.term} are {said}: {found.note.partition(': ')[2]}"
    options = {PER_ELEMENT: dict(own.factors)}
    changed = {"uncertainty": None, "options": options, "ranges": ranges, "trial": tried}
    return replace(found, weight=weight, note=note, facts=facts, **changed)


def _said(element: str, weight: float, limits: tuple[float, float] | None) -> str:
    return f"{element} {weight:.3g}" + (f" ({limits[0]:.2g} to {limits[1]:.2g})" if limits else "")
