"""Covering designs: fewer rows than a cross product, with every pair of values of any two factors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any


def every_pair(*factors: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows (one value of each factor) that contain every pair of values of different factors.

    Faults of kernels depend on one factor or on two together, rarely on three. The rows are chosen greedily and are the
    same in every process.
    """
    rows = list(product(*(range(len(factor)) for factor in factors)))
    pairs_of = {row: set(combinations(enumerate(row), 2)) for row in rows}
    missing = set().union(*pairs_of.values())
    chosen = []
    while missing:
        best = max(rows, key=lambda row: len(pairs_of[row] & missing))
        chosen.append(tuple(factor[index] for factor, index in zip(factors, best, strict=True)))
        missing -= pairs_of[best]
    return chosen
