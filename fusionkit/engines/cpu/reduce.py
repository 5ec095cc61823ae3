"""Sums over a chunk of a row inside compiled functions, in float64 and in the same order always."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusionkit.engines.cpu.compile import summing


@summing
def dot(a: Any, b: Any, m: int) -> float:
    """Inner product of the first m values in float64; sums of several lanes, in the same order always."""
    total = 0.0
    for k in range(m):
        total += np.float64(a[k]) * np.float64(b[k])
    return total


@summing
def total(a: Any, m: int) -> float:
    """Sum of the first m values in float64."""
    total = 0.0
    for k in range(m):
        total += np.float64(a[k])
    return total


@summing
def apart(a: Any, b: Any, m: int) -> float:
    """Squared distance of the first m values, of a chunk at most: it is summed in their own precision."""
    total = a[0] - a[0]
    for k in range(m):
        total += (a[k] - b[k]) * (a[k] - b[k])
    return np.float64(total)
