r"""The primal step on a chunk of pixels, for every engine: where the joint prox is taken, and where x goes.

Runs inside compiled code only; what the arrays are stands in `fusionkit.engines.cpu.newton`.
"""

from __future__ import annotations

from typing import Any

from fusionkit.engines.cpu.compile import inlined, merged
from fusionkit.engines.cpu.newton import newton
from fusionkit.engines.cpu.reduce import apart


@inlined
def aim(x: Any, pulled: Any, tau: Any, fit: Any, held: Any, target: Any, m: int) -> None:
    """target = x - tau K'p, where the joint prox is taken, and held = x within the bounds, where it starts."""
    for k in range(m):
        target[k] = x[k] - tau * pulled[k]
        above = fit.lower if x[k] < fit.lower else x[k]
        held[k] = fit.upper if above > fit.upper else above


@merged
def land(x: Any, held: Any, target: Any, new: Any, work: Any, fit: Any, primal: Any, steps: int, at: Any) -> float:
    """x <- behind x + ahead prox(target); ||x+ - x||^2 of the chunk, or 0 where over-relaxation hides it.

    Parameters
    ----------
    x : the unknown, shape (n, ny, nx); the chunk is overwritten.
    primal : tau, 1 / tau, ahead = rho and behind = 1 - rho.
    steps : of Newton in the prox.
    """
    j, first, m = at
    _, inverse, ahead, behind = primal
    newton(held, target, new, work, fit, inverse, steps, at)
    moved = 0.0
    if behind == fit.zero:
        for i in range(fit.elements):
            moved += apart(x[i, j, first : first + m], new[i], m)
    for i in range(fit.elements):
        _advance(x[i, j, first : first + m], new[i], ahead, behind, m)
    return moved


@inlined
def _advance(x: Any, new: Any, ahead: Any, behind: Any, m: int) -> None:
    """x <- behind x + ahead new: the way of over-relaxation."""
    for k in range(m):
        x[k] = behind * x[k] + ahead * new[k]
