r"""Checks of a function by its values: convexity, gradient and prox, and what its methods do with arrays.

The gradient is compared with differences of the values, and a prox with the values of
:math:`T(z) + \|z - v\|^2 / (2 t)` about it. Nothing is tested where a value is infinite.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fusionkit.arrays import call_checked
from fusionkit.errors import UserError, author_errors
from fusionkit.terms import Array

ROUNDING = 5e-7  # of single precision, in which a method may compute
ACCURACY = 1e-3  # relative, of a derivative
_GAIN = 1e-4  # of a prox, relative to its squared move: it must be exact to about a per cent


class Probe:
    """Values of a function about a point, to judge its derivatives and its prox.

    Parameters
    ----------
    where : the term, for messages.
    call : the function.
    x : the point; derivatives are taken in float64.
    part : of the term, for messages: empty, or " of its functional".
    """

    def __init__(self, where: str, call: Callable[[Array], Any], x: Array, part: str = "") -> None:
        self.where, self.call, self.part, self.random = where, call, part, np.random.default_rng(1)
        self.single, self.x = x, x.astype(np.float64)
        self.size = float(np.sqrt(np.mean(self.x**2))) or 1.0

    def value(self, x: Array) -> float:
        """The value, a number that may be infinite."""
        method, before = f"{'value' if not self.part else '__call__'}{self.part}", x.copy()
        with author_errors(self.where, method):
            value = self.call(x)
        if isinstance(value, bool | np.bool_) or not isinstance(value, float | int | np.floating | np.integer):
            self.refuse(method, f"returns a {type(value).__name__}", "return a float")
        if np.isnan(value) or value == -np.inf:
            self.refuse(method, f"is {value} at positive values", "return a number, or inf outside the domain")
        if not np.array_equal(x, before):
            self.refuse(method, "modifies its input", "copy it first")
        return float(value)

    def refuse(self, method: str, problem: str, remedy: str) -> None:
        raise UserError(self.where, f"{method} {problem}", remedy)

    def noise(self, value: float) -> float:
        """Rounding of a sum of as many values as x has."""
        return ROUNDING * (abs(value) / self.x.size**0.5 + 1e-30)

    def check_convex(self, start: float) -> None:
        """A declared convexity holds between two points."""
        other = self.size * self.random.uniform(0.0, 3.0, self.x.shape)
        end, middle = self.value(other), self.value(0.5 * (self.x + other))
        if middle > 0.5 * (start + end) + 10 * self.noise(abs(start) + abs(end)):
            problem = f"is {middle:.6g} half-way between points where it is {start:.6g} and {end:.6g}: it is not convex"
            self.refuse("value", problem, "set convex to False, or correct value")

    def check_gradient(self, gradient: Callable[..., Any], start: float) -> None:
        """The gradient is that of the value."""
        single = self.check_calls("gradient", gradient, (self.single,))
        g = call_checked(self.where, "gradient", gradient, (self.x,), self.x.shape)
        for move in (np.clip(self.random.standard_normal(self.x.shape), -3, 3), self.x / self.size):
            far, near = (self._slope(move, step * self.size) for step in (1e-3, 5e-4))
            expected, length = (4 * near - far) / 3, float(np.linalg.norm(g))
            allowed = ACCURACY * max(length, abs(expected)) + 10 * abs(far - near)
            allowed += 4 * self.noise(start) / (5e-4 * self.size)
            if np.isfinite(expected) and abs(float(np.vdot(g, move)) - expected) > allowed:
                problem = f"gives the slope {np.vdot(g, move):.6g} where differences of the values give {expected:.6g}"
                self.refuse("gradient", problem, "correct gradient or value")
        check_out(self.where, "gradient", partial(gradient, self.single), np.full_like(single, np.nan), single)

    def _slope(self, move: Array, step: float) -> float:
        return (self.value(self.x + step * move) - self.value(self.x - step * move)) / (2 * step)

    def check_calls(self, method: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Array:
        """Shape, dtype and memory of an elementwise method in the precision of the problem."""
        result = call_checked(self.where, method, call, arguments, self.single.shape, self.single.dtype)
        check_repeated(self.where, method, call, arguments, result)
        return result

    def check_prox(self, prox: Callable[..., Any], takes_out: bool = False) -> None:
        """The prox is a minimiser, at two steps."""
        method = f"prox{self.part}"
        half = self.value(0.5 * self.x)
        start = self.value(self.x)
        slope = abs(start - half) * 2 if np.isfinite(start - half) else 0.0
        step = 0.1 * float(np.vdot(self.x, self.x)) / slope if slope > 0.0 else 1.0
        v = (self.x * self.random.choice([-0.3, 1.0], self.x.shape, p=[0.2, 0.8])).astype(self.single.dtype)
        single = self.check_calls(method, prox, (v, step))
        for t in (step, 3.0 * step):
            p = call_checked(self.where, method, prox, (v.astype(np.float64), t), v.shape).astype(np.float64)
            self._check_minimiser(method, prox, p, v.astype(np.float64), t)
        if takes_out:
            check_out(self.where, method, partial(prox, v, step), np.full_like(single, np.nan), single)
            own = v.copy()  # out may be the input
            check_out(self.where, method, partial(prox, own, step), own, single)

    def _check_minimiser(self, method: str, prox: Callable[..., Any], p: Array, v: Array, step: float) -> None:
        def cost(z: Array) -> float:
            return self.value(z) + float(np.sum((z - v) ** 2)) / (2 * step)

        best, share = cost(p), float(np.sum((p - v) ** 2)) / (2 * step)
        if not np.isfinite(best):  # a constraint to rounding
            again = call_checked(self.where, method, prox, (p, step), p.shape)
            if np.linalg.norm(again - p) > 1e-2 * max(np.linalg.norm(v), 1e-30):
                self.refuse(method, "returns points where the value is infinite", "return a point of the domain")
            return
        signs, inside = self.random.choice([-1.0, 1.0], p.shape), bool(p.min() >= 0.0)  # a domain may end at 0
        allowed = _GAIN * share + self.noise(abs(self.value(p)) + share)
        for index, move in enumerate((p, v - p, signs * p, signs * (v - p), self.size * signs)):
            for length in (0.1, -0.1, 0.01, -0.01) if index < 2 else (0.03, -0.03):
                z = p + length * move
                lower = cost(np.maximum(z, 0.0) if inside else z)
                if best - lower > allowed:
                    problem = f"is no minimiser at the step {step:.3g}: value + |z - v|^2 / (2 step) is {best:.8g}"
                    self.refuse(method, f"{problem}, and {lower:.8g} nearby", "correct prox, its step or value")


def check_out(where: str, method: str, call: Callable[..., Any], out: Array, result: Array) -> None:
    """``out`` receives the result and is returned."""
    with author_errors(where, method):
        returned = call(out=out)
    if returned is not out or not np.allclose(out, result, rtol=1e-4, atol=1e-6 * float(np.abs(result).max())):
        raise UserError(where, f"{method} ignores out", "write the result into out and return it")


def check_repeated(where: str, method: str, call: Callable[..., Any], arguments: Sequence[Any], result: Array) -> None:
    """A second call leaves the first result as it was and gives the same again."""
    first, rest = result.copy(), arguments[1:]
    with author_errors(where, method):
        other = call(0.5 * arguments[0], *rest)
        again = call(arguments[0], *rest)
    if np.may_share_memory(result, other) or not np.array_equal(result, first):
        raise UserError(where, f"{method} returns an array that it keeps", "return a fresh array")
    if not np.allclose(again, first, rtol=1e-4, atol=1e-6 * float(np.abs(first).max())):
        raise UserError(where, f"{method} gives another result in a second call", "let it depend on its arguments only")
