r"""The shares of a penalty that best predict held-out counts, for each element.

An option that is a share c mixes two maps linearly. With maps s at the start of its search and maps o at its other end,
both from half of the counts, and the other half b,

.. math:: \| c s + (1 - c) o - b \|^2 = c\,\|s - b\|^2 + (1 - c)\,\|o - b\|^2 - c (1 - c)\,\|s - o\|^2

is least at :math:`c = \tfrac12 + (\|o - b\|^2 - \|s - b\|^2) / (2 \|s - o\|^2)`, between 0 and 1. It is set to 1
within two standard errors of 1, so that noise does not discard a good start. Source: L. Breiman, Mach. Learn. 24,
49 (1996), stacked regressions.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np

from fusionkit.interrupts import Terminated
from fusionkit.terms import Array
from fusionkit.weights.auto import GUIDE_SHARE, LARGE_SHARE
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.path import map_levels
from fusionkit.weights.search import Attempt, Task, Trial

# in the order of their search: the value at the start, and what the share is of
SHARES: Mapping[str, tuple[float, str]] = {
    GUIDE_SHARE: (1.0, "the image in its groups"),
    LARGE_SHARE: (0.0, "large patches"),
}
_THRESHOLD = 2.0  # standard errors below 1 from which the share is used


def with_shares(task: Task, chosen: ChosenWeight, attempt: Callable[[Task], Attempt]) -> ChosenWeight:
    """Add each share that is searched: one for each element, or one for all where the data are not one map per element.

    Parameters
    ----------
    task : the search.
    chosen : the choice at the natural weight, with all shares at their starts.
    attempt : solves and validates a task.
    """
    with suppress(Terminated):  # a search that is stopped keeps what it has
        for name in SHARES:
            if name in task.searched:
                chosen = _with_share(name, task, chosen, attempt)
    return chosen


def _with_share(name: str, task: Task, chosen: ChosenWeight, attempt: Callable[[Task], Attempt]) -> ChosenWeight:
    start, meaning = SHARES[name]
    here, known = chosen.trial, chosen.options
    assert here is not None

    def tried(value: dict[str, float] | float) -> Trial:
        return attempt(task.with_options({**known, name: value}))(chosen.weight, here)

    other = tried(1.0 - start)
    elements, parts = _parts(task, here, other)
    shares = {element: share_of_start(*arrays) for element, *arrays in zip(elements, *parts, strict=True)}
    values = {element: share if start else round(1.0 - share, 4) for element, share in shares.items()}
    option = values if elements == task.dataset.elements else values["all"]
    mixed = not set(shares.values()) <= {1.0} and not set(shares.values()) <= {0.0}
    trial = tried(option) if mixed else here if set(shares.values()) <= {1.0} else other
    iterations = chosen.iterations + other.iterations + (trial.iterations if mixed else 0)
    solves = int(chosen.facts.get("solves", 1)) + 1 + mixed
    facts = {**chosen.facts, "solves": solves, "iterations_beside": iterations}
    listed = ", ".join(f"{element} {value:g}" for element, value in values.items())
    note = f"{chosen.note[:-1]}. Share of {meaning}, by held-out counts: {listed}."
    return replace(chosen, note=note, facts=facts, options={**known, name: option}, trial=trial)


def _parts(task: Task, here: Trial, other: Trial) -> tuple[tuple[str, ...], list[Array]]:
    """Errors here, errors at the other end and squared distances of the two, each by element; and the elements."""
    problem = task.problem(here.weight)
    terms = task.validation_terms(problem)
    each = len(terms) == 1 and terms[0].data.shape == problem.shape
    elements = task.dataset.elements if each else ("all",)
    maps, others = here.results[0].x, other.results[0].x
    distances = [(one.expected(maps) - one.expected(others)) ** 2 / map_levels(one) for one in terms]
    distance = np.concatenate([np.ravel(one) for one in distances])
    distance[(here.errors == 0.0) & (other.errors == 0.0)] = 0.0  # nothing was held out there
    return elements, [array.reshape(len(elements), -1) for array in (here.errors, other.errors, distance)]


def share_of_start(errors: Array, others: Array, distances: Array) -> float:
    """The share c of one element, two digits.

    Parameters
    ----------
    errors, others : squared held-out errors at each pixel, at the start and at the other end.
    distances : squared differences of the two maps.
    """
    distance = float(distances.sum(dtype=np.float64))
    if not distance > 0.0:
        return 1.0
    gain = np.asarray(others - errors, np.float64)
    share, error = 0.5 + gain.sum() / (2.0 * distance), gain.std() * gain.size**0.5 / (2.0 * distance)
    return 1.0 if share + _THRESHOLD * error >= 1.0 else float(f"{max(share, 0.0):.2g}")
