"""Gradient steps on smooth terms: value, gradient, the descent lemma, an estimate of the curvature."""

from collections.abc import Sequence

import numpy as np

from fusionkit.certificate import inner, norm
from fusionkit.problem import Split
from fusionkit.terms import Array, Smooth, accumulate


def value_of(terms: Sequence[Smooth], x: Array) -> float:
    """f(x) in float64."""
    return float(sum(term.value(x) for term in terms))


def gradient_of(terms: Sequence[Smooth], x: Array, out: Array | None = None) -> Array:
    """The gradient of f at x."""
    return accumulate(terms, x, np.empty_like(x) if out is None else out)


def descends(x: Array, value: float, gradient: Array, new: Array, new_value: float, lipschitz: float) -> bool:
    """Whether f(new) <= f(x) + <grad f(x), new - x> + L/2 ||new - x||^2, up to the rounding of f.

    True if the right-hand side is not finite: no step would descend, and the loop ends on such values.
    """
    move = new - x
    bound = value + inner(gradient, move) + 0.5 * lipschitz * inner(move, move)
    if not np.isfinite(bound):
        return True
    return bool(new_value <= bound + rounding(value, x))


def rounding(value: float, x: Array) -> float:
    """By how much two evaluations of f may differ through rounding in the precision of x."""
    return 4.0 * float(np.finfo(x.dtype).eps) * (1.0 + abs(value))


def curvature_between(split: Split, x: Array, gradient: Array) -> float:
    """Curvature of f along a short step against its gradient: a first estimate of the Lipschitz constant L.

    The step has the length 1e-2 ||x|| (1e-2 at x = 0) and stays within the bounds.
    """
    slope = norm(gradient)
    if slope == 0.0:
        return 1.0
    moved = split.bounds.prox(x - x.dtype.type(1e-2 * (norm(x) or 1.0) / slope) * gradient, 1.0)
    move = norm(moved - x)
    if move == 0.0:
        return 1.0
    guess = norm(gradient_of(split.smooth, moved) - gradient) / move
    return guess if np.isfinite(guess) and guess > 0.0 else 1.0
