"""One weight that was tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fusionkit.result import Result
from fusionkit.terms import Array


@dataclass(frozen=True)
class Trial:
    """A weight, what its maps miss, and the solves that it took.

    Parameters
    ----------
    weight : that was tried.
    errors : of its maps at each pixel that judges.
    results : the solves that the next weight goes on from.
    iterations : of all its solves.
    """

    weight: float
    errors: Array
    results: tuple[Result, ...]
    iterations: int

    @property
    def error(self) -> float:
        """The mean error."""
        return float(self.errors.mean(dtype="float64"))

    def from_maps_of(self, other: Trial) -> Trial:
        """The same trial to go on from, but from another's maps."""
        pairs = zip(self.results, other.results, strict=True)
        return replace(self, results=tuple(replace(own, x=its.x) for own, its in pairs))


Attempt = Callable[[float, Trial | None], Trial]  # of a weight, going on from a former one
