"""A chosen weight, with the method, the uncertainty and the curve behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import TYPE_CHECKING, Any, Literal

from fusionkit.options import Spec
from fusionkit.weights.auto import AUTO, with_weight

if TYPE_CHECKING:
    from fusionkit.weights.search import Trial


OUT_OF_TIME = "out_of_time"  # a fact of a weight whose search has met its limit of time


@dataclass(frozen=True)
class SearchCurve:
    """Results along a path of weights."""

    weights: tuple[float, ...]  # in the order of the trials, for all of the data
    values: tuple[float, ...]  # error or other criterion at each weight
    # standard error of the difference to the best value; 0 where unknown. It is far smaller than that of a value, since
    # both refer to the same data.
    spreads: tuple[float, ...]
    iterations: tuple[int, ...]  # of the solves at each weight
    quantity: str = "squared held-out error"  # name of the criterion
    # whether the ``lowest`` or the ``highest`` value is best, or where the values cross the ``level`` 1
    best: Literal["lowest", "highest", "level"] = "lowest"


@dataclass(frozen=True)
class ChosenWeight:
    """The weight of one term."""

    index: int  # of the term in the configuration
    term: str  # its name
    weight: float  # the chosen value
    method: str  # ``image_noise``, ``count_scale`` or the name of a search
    note: str  # one sentence for the user
    # lowest and highest weight that the data do not distinguish from it; None where exact or unknown
    uncertainty: tuple[float, float] | None = None
    facts: Mapping[str, float] = field(default_factory=dict)  # numbers behind the choice, by name
    curve: SearchCurve | None = None  # of the search; None without one
    options: Mapping[str, Any] = field(default_factory=dict)  # further options of the term chosen with it
    # the ``uncertainty`` of each element with a weight of its own
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    # the best of the search, from which another search continues; None once all weights are chosen
    trial: Trial | None = field(default=None, repr=False, compare=False)
    request: Any = AUTO  # the value in the configuration: ``auto``, or ``{auto: METHOD}``
    # root mean square error of each map from half of the counts, estimated by the other half
    map_errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The config key of the weight."""
        return f"terms[{self.index}].weight"

    @property
    def iterations(self) -> int:
        """Iterations of all solves of the choice, including those off the curve."""
        on_curve = sum(self.curve.iterations) if self.curve is not None else 0
        return on_curve + int(self.facts.get("iterations_beside", 0))

    def plain(self) -> dict[str, Any]:
        """Plain YAML types for ``summary.json``."""
        entry: dict[str, Any] = {"key": self.key, "method": self.method, "choice": self.weight, "asked": self.request}
        if self.uncertainty is not None:
            entry["uncertainty"] = list(self.uncertainty)
        if self.ranges:
            entry["uncertainty_of_elements"] = {element: list(limits) for element, limits in self.ranges.items()}
        entry |= {**self.facts, **self.options} | ({"map_errors": dict(self.map_errors)} if self.map_errors else {})
        if self.curve is not None:
            columns = ("weights", "values", "spreads", "iterations")
            entry["curve"] = {name: list(getattr(self.curve, name)) for name in columns}
            entry["curve"] |= {"quantity": self.curve.quantity, "best": self.curve.best}
        return entry


def with_weights(terms: Sequence[Spec], chosen: Iterable[ChosenWeight]) -> list[Spec]:
    """The terms with the chosen numbers in place of ``auto``."""
    by_index = {one.index: one for one in chosen}
    return [
        with_weight(term, by_index[index].weight, by_index[index].options) if index in by_index else term
        for index, term in enumerate(terms)
    ]


def rounded(weight: float) -> float:
    """Six digits: far finer than any uncertainty, and readable in the resolved configuration."""
    return float(f"{weight:.6g}")


def two_errors(weight: float, error: float) -> tuple[float, float]:
    """The range of two standard errors of the logarithm of a weight."""
    return rounded(weight * exp(-2.0 * error)), rounded(weight * exp(2.0 * error))
