"""The rows of a study, with selections and means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rows:
    """The numbers of cells, as in their files."""

    rows: tuple[dict[str, Any], ...]

    def of(self, **entries: Any) -> Rows:
        """The rows with these entries."""
        return Rows(tuple(row for row in self.rows if all(row[name] == value for name, value in entries.items())))

    def values(self, name: str) -> list[Any]:
        """The distinct values of an entry, in order of appearance."""
        return list(dict.fromkeys(row[name] for row in self.rows))

    def mean(self, name: str) -> float:
        """Mean over the rows, and over the elements if the entry has one value each; NaN without rows."""
        return float(np.mean([np.mean(row[name]) for row in self.rows])) if self.rows else float("nan")

    def by_element(self, name: str) -> list[float]:
        """Mean over the rows, for each element."""
        return [float(value) for value in np.mean([row[name] for row in self.rows], axis=0)] if self.rows else []

    def spread(self, name: str) -> float:
        """Standard deviation over the rows of the mean over elements; 0 for a single row."""
        values = [float(np.mean(row[name])) for row in self.rows]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
