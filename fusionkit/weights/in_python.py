"""`fusionkit.choose_weights`: ``weight: auto`` for scripts that compose their own problem."""

from collections.abc import Mapping, Sequence
from typing import Any

from fusionkit.compose_problem import Objective
from fusionkit.data.dataset import Dataset, Precision
from fusionkit.options import Spec, parse
from fusionkit.problem import Engine
from fusionkit.weights.auto import auto_terms
from fusionkit.weights.choose import choose_weights as choose
from fusionkit.weights.chosen import with_weights


def choose_weights(
    dataset: Dataset,
    terms: Sequence[Spec | Mapping[str, Any] | str],
    solver: str | Mapping[str, Any] = "chambolle_pock",
    precision: Precision = "single",
    engine: Engine = "auto",
) -> list[dict[str, Any]]:
    """The terms with a number for every ``weight: auto``, ready for `fusionkit.compose`.

    `UserError` if the data do not determine a weight, or several penalties cannot be compared. `RefusalError` if the
    solver cannot take a term.

    Parameters
    ----------
    dataset : the data.
    terms : of the objective, as in a config.
    solver : for the search: its name, or its name and options.
    precision, engine : as `fusionkit.compose`.
    """
    specs = [
        term if isinstance(term, Spec) else parse(Spec, _as_mapping(term), f"terms[{index}]")
        for index, term in enumerate(terms)
    ]
    if auto_terms(specs):
        chosen_by = parse(Spec, _as_mapping(solver), "solver")
        specs = with_weights(specs, choose(dataset, Objective(specs, chosen_by, None, precision, engine)))
    return [{"type": spec.type, **spec.options} for spec in specs]


def _as_mapping(value: Mapping[str, Any] | str) -> Mapping[str, Any]:
    return {"type": value} if isinstance(value, str) else value
