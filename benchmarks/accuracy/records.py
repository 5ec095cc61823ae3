"""The rows of a study, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Numbers of cells, as their files hold them."""

    rows: tuple[dict[str, Any], ...]

    def of(self, **asked: Any) -> Rows:
        """Those rows whose entries are as asked."""
        return Rows(tuple(row for row in self.rows if all(row[name] == value for name, value in asked.items())))

    def values(self, name: str) -> list[Any]:
        """The different values of an entry, in the order in which they come."""
        return list(dict.fromkeys(row[name] for row in self.rows))

    def mean(self, name: str) -> float:
        """Mean over the rows, and over the elements where there is a number for each; NaN without rows."""
        return float(np.mean([np.mean(row[name]) for row in self.rows])) if self.rows else float("nan")

    def by_element(self, name: str) -> list[float]:
        """Mean over the rows, for each element."""
        return [float(value) for value in np.mean([row[name] for row in self.rows], axis=0)] if self.rows else []

    def spread(self, name: str) -> float:
        """Standard deviation over the rows of the mean over the elements; 0 for a single row."""
        values = [float(np.mean(row[name])) for row in self.rows]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
