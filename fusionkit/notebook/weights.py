"""Weights from the data in `fusionkit.fuse`: maps into counts, and every ``weight: auto`` into a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fusionkit.data.counts.convert import counted
from fusionkit.data.counts.kind import guess
from fusionkit.data.dataset import Dataset, Precision
from fusionkit.data.normalise import Scale
from fusionkit.errors import UserError
from fusionkit.notebook.defaults import Plan
from fusionkit.options import Spec, parse
from fusionkit.problem import Engine
from fusionkit.terms import Term
from fusionkit.weights.auto import AUTO, asked
from fusionkit.weights.chosen import ChosenWeight


def in_counts(dataset: Dataset) -> tuple[Dataset, tuple[Scale, ...]]:
    """The dataset with its maps in counts, and what one count of each is; z is then fitted to counts.

    Raises
    ------
    UserError : the maps hold negative values, or their noise does not tell counts.
    """
    kind = guess(dataset.arrays["maps"])
    if kind is None:
        said = "auto needs counts or what was made of them, and the maps hold negative values or nothing else than 0"
        raise UserError("weight", said, "leave the background on the counts, or leave weight out")
    converted = counted(dataset, kind, "weight")
    facts = converted.counting
    units = [1.0] * len(dataset.elements) if facts is None else [facts.units.get(e, 1.0) for e in dataset.elements]
    if facts is not None:
        converted = replace(converted, counting=replace(facts, units={}))
    return converted, tuple(Scale(0.0, unit) for unit in units)


def automatic(plan: Plan, keep: tuple[str, ...]) -> Plan:
    """The plan with ``weight: auto`` in every term that has a weight, but in those of the types ``keep``."""
    plain = [dict(term) for term in plan.terms if isinstance(term, Mapping)]
    return replace(plan, terms=[{**t, "weight": AUTO} if "weight" in t and t["type"] not in keep else t for t in plain])


def chosen_weights(
    plan: Plan, solver: Spec, precision: Precision, engine: Engine
) -> tuple[Plan, tuple[ChosenWeight, ...]]:
    """The plan with a number in place of every ``weight: auto``, a note on each, and the choices."""
    if any(isinstance(term, Term) for term in plan.terms):
        return plan, ()  # terms that exist have their weights
    specs = [_spec(term, f"terms[{index}]") for index, term in enumerate(plan.terms)]
    if not asked(specs):
        return plan, ()
    from fusionkit.weights.choose import choose_weights
    from fusionkit.weights.chosen import with_weights
    from fusionkit.weights.search import Objective

    chosen = choose_weights(plan.dataset, Objective(specs, solver, None, precision, engine))
    notes = (*plan.notes, *(one.note for one in chosen))
    return replace(plan, terms=with_weights(specs, chosen), notes=notes), chosen


def _spec(term: Any, where: str) -> Spec:
    return term if isinstance(term, Spec) else parse(Spec, {"type": term} if isinstance(term, str) else term, where)
