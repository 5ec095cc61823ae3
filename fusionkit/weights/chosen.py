"""A weight that was chosen, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from fusionkit.options import Spec
from fusionkit.weights.auto import AUTO, weighted

if TYPE_CHECKING:
    from fusionkit.weights.search import Trial


@dataclass(frozen=True)
class SearchCurve:
    """What was found along a path of weights.

    Parameters
    ----------
    weights : in the order in which they were tried, for all of the data.
    values : of each.
    spreads : standard error of each one's difference to the best, which both being compared with the same data makes
        far less than that of a value itself; 0 where none is known.
    iterations : of each weight's solves.
    quantity : what the values are.
    best : whether the ``lowest`` or the ``highest`` value is chosen, or where the values pass the ``level`` 1.
    """

    weights: tuple[float, ...]
    values: tuple[float, ...]
    spreads: tuple[float, ...]
    iterations: tuple[int, ...]
    quantity: str = "squared held-out error"
    best: Literal["lowest", "highest", "level"] = "lowest"


@dataclass(frozen=True)
class ChosenWeight:
    """The weight of one term.

    Parameters
    ----------
    index : place of the term in the configuration.
    term : its name.
    weight : the choice.
    method : ``image_noise``, ``count_scale`` or the name of a search.
    note : the same in a sentence.
    uncertainty : the lowest and the greatest weight that the data do not tell from it; None where it is exact, or not
        known.
    facts : numbers that it comes from, by name.
    curve : of the search; None where there was none.
    options : further options of the term that were chosen with it.
    ranges : as ``uncertainty``, of each element that has a weight of its own.
    trial : the best of the search, for one that goes on from it; None once all weights are chosen.
    asked : what stood in the configuration in its place.
    """

    index: int
    term: str
    weight: float
    method: str
    note: str
    uncertainty: tuple[float, float] | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    curve: SearchCurve | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    trial: Trial | None = field(default=None, repr=False, compare=False)
    asked: Any = AUTO

    @property
    def key(self) -> str:
        """The config key of the weight."""
        return f"terms[{self.index}].weight"

    @property
    def iterations(self) -> int:
        """Of all solves that the choice took, those that are not on the curve included."""
        here = sum(self.curve.iterations) if self.curve is not None else 0
        return here + int(self.facts.get("iterations_beside", 0))

    def plain(self) -> dict[str, Any]:
        """Mappings, lists, texts and numbers, for ``summary.json``."""
        found: dict[str, Any] = {"key": self.key, "method": self.method, "choice": self.weight, "asked": self.asked}
        if self.uncertainty is not None:
            found["uncertainty"] = list(self.uncertainty)
        if self.ranges:
            found["uncertainty_of_elements"] = {element: list(limits) for element, limits in self.ranges.items()}
        found |= {**self.facts, **self.options}
        if self.curve is not None:
            columns = ("weights", "values", "spreads", "iterations")
            found["curve"] = {name: list(getattr(self.curve, name)) for name in columns}
            found["curve"] |= {"quantity": self.curve.quantity, "best": self.curve.best}
        return found


def with_weights(terms: Sequence[Spec], chosen: Iterable[ChosenWeight]) -> list[Spec]:
    """The terms with the chosen numbers in place of ``auto``."""
    found = {one.index: one for one in chosen}
    return [
        weighted(term, found[index].weight, found[index].options) if index in found else term
        for index, term in enumerate(terms)
    ]


def rounded(weight: float) -> float:
    """To six digits, far below any uncertainty, so that the resolved configuration stays readable."""
    return float(f"{weight:.6g}")
