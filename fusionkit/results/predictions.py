"""What the forward models of a problem predict from its solution."""

from __future__ import annotations

import numpy as np

from fusionkit.problem import Problem
from fusionkit.terms import Array, Fitted


def predictions_of(problem: Problem, x: Array) -> dict[str, Array]:
    """What each forward model predicts, by the name of the array that it is compared with; not the unknown itself."""
    fitted = [term for term in problem.terms if isinstance(term, Fitted)]
    found = {t.target: t.predict(x) for t in reversed(fitted) if t.target}
    if np.array_equal(found.get("maps", ()), x, equal_nan=True):
        del found["maps"]
    return found
