"""A weight that was chosen, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Curve:
    """Held-out errors along a path of weights.

    Parameters
    ----------
    weights : in the order in which they were tried, for all counts.
    errors : mean squared held-out error of each, in counts squared.
    spreads : standard error of each one's difference to the lowest, which both being compared with the same held-out
        counts makes far less than that of an error itself; 0 for the lowest.
    iterations : of each solve.
    """

    weights: tuple[float, ...]
    errors: tuple[float, ...]
    spreads: tuple[float, ...]
    iterations: tuple[int, ...]


@dataclass(frozen=True)
class ChosenWeight:
    """The weight of one term.

    Parameters
    ----------
    index : place of the term in the configuration.
    term : its name.
    weight : the choice.
    method : ``image_noise``, ``count_scale`` or ``count_splitting``.
    note : the same in a sentence.
    uncertainty : the lowest and the greatest weight that the data do not tell from it; None where it is exact.
    facts : numbers that it comes from, by name.
    curve : of the search; None where there was none.
    """

    index: int
    term: str
    weight: float
    method: str
    note: str
    uncertainty: tuple[float, float] | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    curve: Curve | None = None

    @property
    def key(self) -> str:
        """The config key of the weight."""
        return f"terms[{self.index}].weight"

    def plain(self) -> dict[str, Any]:
        """Mappings, lists, texts and numbers, for ``summary.json``."""
        found: dict[str, Any] = {"key": self.key, "method": self.method, "choice": self.weight}
        if self.uncertainty is not None:
            found["uncertainty"] = list(self.uncertainty)
        found |= self.facts
        if self.curve is not None:
            columns = ("weights", "errors", "spreads", "iterations")
            found["curve"] = {name: list(getattr(self.curve, name)) for name in columns}
        return found


def rounded(weight: float) -> float:
    """To six digits, far below any uncertainty, so that the resolved configuration stays readable."""
    return float(f"{weight:.6g}")
