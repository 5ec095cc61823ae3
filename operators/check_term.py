r"""Checks of an author's term: every method at random points, its results, and whether the methods agree.

Values decide: the gradient is compared with their differences, the curvature with second differences, and a prox with
the values of :math:`T(z) + \|z - v\|^2 / (2 t)` about it. Nothing is tested where a value is infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.arrays import call_checked, is_authors
from fusionkit.engines.kernel_terms import LossOfMaps
from fusionkit.errors import UserError, author_errors
from fusionkit.linear import require_adjoint
from fusionkit.operators.fidelity.loss import Loss
from fusionkit.operators.forward import Forward, LinearForward, PixelwiseChain, PixelwiseForward
from fusionkit.terms import (
    Array,
    Bounds,
    Composed,
    CosineDiagonal,
    Differentiable,
    Expansion,
    HasDualBall,
    LinearMap,
    Pixelwise,
    Proximable,
    Term,
)

_ROUNDING = 5e-7  # of single precision, in which a method may compute
_ACCURACY = 1e-3  # relative, of a derivative
_GAIN = 1e-4  # of a prox, relative to its squared move: it must be exact to about a per cent
_SHAPE = (2, 6, 5)  # of the unknown where the term shows none


def check_term(term: Term, x: Array | None = None) -> None:
    """Test every method of a term, and of its functional, operator and forward model.

    Parameters
    ----------
    term : the term.
    x : a point inside its domain, about the size of the solution, in the shape and dtype of the problem; None draws
        positive values, about its data or float32 values about 1.

    Raises
    ------
    UserError : names the term, the method and the first mistake.
    """
    name = getattr(term, "name", None)
    where = name if isinstance(name, str) and name else type(term).__name__
    if where != name:
        raise UserError(where, f"its name is {name!r}", "set name to a text")
    if x is None:
        data = getattr(term, "data", None)
        level = float(np.abs(data).mean()) if isinstance(data, np.ndarray) and data.size else 1.0
        dtype = data.dtype if isinstance(data, np.ndarray) and data.dtype.kind == "f" else np.dtype(np.float32)
        x = typical_point(_shape_of(term), dtype, level)
    probe = _Probe(where, term.value, x)
    forward = getattr(term, "forward", None)
    if isinstance(forward, Forward):
        _check_forward(where, forward, probe)
    if isinstance(term, Composed):
        _check_composed(where, term, probe)
    if isinstance(term, Bounds):
        if np.any(np.greater(term.lower, term.upper)):
            raise UserError(where, "lower exceeds upper", "exchange them")
        return
    start = probe.value(probe.x)
    loss, data = getattr(term, "loss", None), np.asarray(getattr(term, "data", 0.0), np.float64)  # of a fidelity
    if isinstance(loss, Loss) and isinstance(forward, Forward) and (is_authors(loss) or is_authors(loss.scalars)):
        _check_loss(where, loss, np.asarray(forward.apply(probe.x)), data)
    _check_kernel(where, getattr(term, "kernel", None), probe.x, start)
    if np.isfinite(start) and term.convex:
        probe.check_convex(start)
    if isinstance(term, Differentiable) and np.isfinite(start):
        probe.check_gradient(term.gradient, start)
    if isinstance(term, Pixelwise) and np.isfinite(start):
        _check_pixelwise(where, term, probe, start)
    if isinstance(term, Proximable):
        probe.check_prox(term.prox, takes_out=True)


def typical_point(shape: tuple[int, ...], dtype: np.dtype[Any], level: float) -> Array:
    """Positive random values about ``level``."""
    return ((level or 1.0) * np.random.default_rng(0).uniform(0.5, 1.5, shape)).astype(dtype)


def _shape_of(term: Term) -> tuple[int, ...]:
    if isinstance(term, Composed):
        return tuple(term.operator.domain)
    forward = getattr(term, "forward", None)
    if isinstance(forward, PixelwiseForward):
        z = getattr(getattr(forward, "inner", forward), "z", None)
        return forward.range if len(forward.range) == 3 or z is None else (len(z), *forward.range)
    data = getattr(term, "data", None)
    return data.shape if isinstance(data, np.ndarray) and data.ndim == 3 else _SHAPE


class _Probe:
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
        return _ROUNDING * (abs(value) / self.x.size**0.5 + 1e-30)

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
            allowed = _ACCURACY * max(length, abs(expected)) + 10 * abs(far - near)
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


def _check_composed(where: str, term: Composed, probe: _Probe) -> None:
    """Operator, auxiliary operator and functional."""
    for linear_map, which in ((term.operator, "operator"), (term.auxiliary, "auxiliary operator")):
        if linear_map is None or not is_authors(linear_map):
            continue
        require_adjoint(linear_map, where)
        if which == "operator" and linear_map.domain != probe.x.shape:
            problem = f"the domain of its operator is {linear_map.domain}, but the unknown has {probe.x.shape}"
            raise UserError(where, problem, "correct domain")
        for method, shape, target in (
            ("apply", linear_map.domain, linear_map.range),
            ("adjoint", linear_map.range, linear_map.domain),
        ):
            call, point = getattr(linear_map, method), typical_point(shape, probe.single.dtype, probe.size)
            title = f"{method} of its {which}"
            result = call_checked(where, title, call, (point,), target, probe.single.dtype)
            check_repeated(where, title, call, (point,), result)
            check_out(where, title, partial(call, point), np.full_like(result, np.nan), result)
        _check_cosine(where, linear_map)
    if not is_authors(term.functional):
        return
    y = np.asarray(term.operator.apply(probe.single)).ravel()
    functional = _Probe(where, term.functional, y if np.any(y) else np.ones_like(y), " of its functional")
    functional.check_prox(term.functional.prox)
    tau, dual = 0.7, call_checked(where, "proxdual of its functional", term.functional.proxdual, (y, 0.7), y.shape)
    moreau = y - tau * term.functional.prox(y / tau, 1.0 / tau)
    if np.linalg.norm(dual - moreau) > 1e-3 * np.linalg.norm(y):
        problem = "proxdual of its functional differs from v - tau prox(v / tau, 1 / tau), Moreau's identity"
        raise UserError(where, problem, "correct proxdual")
    if isinstance(term.functional, HasDualBall):
        inside = call_checked(where, "project_dual of its functional", term.functional.project_dual, (y,), y.shape)
        if np.linalg.norm(inside - moreau) > 1e-3 * np.linalg.norm(y):
            problem = "project_dual of its functional differs from proxdual, which projects for any step"
            raise UserError(where, problem, "correct project_dual, or remove it if the functional is no norm")


def _check_cosine(where: str, linear_map: LinearMap) -> None:
    if not isinstance(linear_map, CosineDiagonal):
        return
    from scipy.fft import dctn, idctn

    x = np.random.default_rng(2).standard_normal(linear_map.domain)
    with author_errors(where, "normal_eigenvalues of its operator"):
        axes = linear_map.cosine_axes()
        spectrum = np.asarray(dctn(x, axes=axes, norm="ortho")) * linear_map.normal_eigenvalues()
    normal = linear_map.adjoint(linear_map.apply(x))
    if np.linalg.norm(np.asarray(idctn(spectrum, axes=axes, norm="ortho")) - normal) > 1e-3 * np.linalg.norm(normal):
        problem = "normal_eigenvalues of its operator are not those of K'K in the cosine basis"
        raise UserError(where, problem, "correct or remove them")


def _check_forward(where: str, forward: Forward, probe: _Probe) -> None:
    """Prediction, Jacobian and, for a pixelwise model, its jet."""
    if isinstance(forward, LinearForward):
        if is_authors(forward.linear_map):
            require_adjoint(forward.linear_map, where)
        return
    inner = forward.inner if isinstance(forward, PixelwiseChain) else None
    if not (is_authors(forward) or is_authors(inner) or is_authors(getattr(forward, "function", None))):
        return
    random, x = np.random.default_rng(3), probe.x
    prediction = call_checked(where, "apply of its forward model", forward.apply, (x,), forward.range)
    call_checked(where, "apply of its forward model", forward.apply, (probe.single,), forward.range, probe.single.dtype)
    r, d = random.standard_normal(forward.range), np.clip(random.standard_normal(x.shape), -3, 3)
    h = 1e-4 * probe.size
    change = (forward.apply(x + h * d) - forward.apply(x - h * d)) / (2 * h)
    back = call_checked(where, "adjoint of its forward model", forward.adjoint, (x, r), x.shape)
    allowed = _ACCURACY * float(np.linalg.norm(change)) + _ROUNDING * float(np.linalg.norm(prediction)) / h
    left, right = float(np.vdot(change, r)), float(np.vdot(d, back))
    if abs(left - right) > allowed:
        problem = f"adjoint of its forward model is wrong: <J d, r> is {left:.6g} and <d, J'r> is {right:.6g}"
        raise UserError(where, problem, "let it return the transposed Jacobian times r")
    middle = 0.5 * (prediction + forward.apply(3 * x)) - forward.apply(2 * x)
    if forward.linear and np.linalg.norm(middle) > _ACCURACY * np.linalg.norm(prediction):
        raise UserError(where, "linear is set, but apply of its forward model is not affine", "unset it")
    if forward.nonnegative and np.any(prediction < 0):
        raise UserError(where, "apply of its forward model is negative, though nonnegative is set", "unset it")
    if not isinstance(forward, PixelwiseForward):
        return
    with author_errors(where, "jet of its forward model"):
        jet = forward.jet(x)
    along = np.asarray(jet.slope * d)
    along = along.sum(axis=0) if len(forward.range) < x.ndim else along
    for part, given, expected in (("prediction", jet.prediction, prediction), ("slope", along, change)):
        if np.shape(given) != expected.shape or np.linalg.norm(given - expected) > allowed + 1e-9:
            raise UserError(where, f"the {part} in jet of its forward model differs from apply", "correct jet")
    if jet.bend is None or isinstance(forward, PixelwiseChain):
        return
    bend = (forward.jet(x + h).slope - forward.jet(x - h).slope) / (2 * h)
    noise = _ROUNDING * float(np.linalg.norm(jet.slope)) / h
    if np.linalg.norm(jet.bend - bend) > 1e-2 * np.linalg.norm(bend) + noise:
        raise UserError(
            where, "the bend in jet of its forward model differs from differences of the slope", "correct jet"
        )


def _check_loss(where: str, loss: Loss, m: Array, b: Array) -> None:
    """The derivatives of a loss against differences."""
    h = 1e-4 * (float(np.sqrt(np.mean(m**2))) or 1.0)
    for method, lower, upper in (
        ("derivative", loss.values, loss.derivative),
        ("curvature", loss.derivative, loss.curvature),
    ):
        expected = (lower(m + h, b) - lower(m - h, b)) / (2 * h)
        given = call_checked(where, f"{method} of its loss", upper, (m, b), m.shape)
        noise = 10 * _ROUNDING * float(np.linalg.norm(lower(m, b))) / h
        if np.linalg.norm(given - expected) > 1e-2 * np.linalg.norm(expected) + noise:
            problem = f"{method} of its loss differs from differences of {lower.__name__}"
            raise UserError(where, problem, f"correct {method}, the slope of ScalarLoss, or {lower.__name__}")


def _check_kernel(where: str, kernel: Any, x: Array, start: float) -> None:
    """The value of a declared kernel of the maps is that of the term."""
    if not isinstance(kernel, LossOfMaps):
        return
    m = x if kernel.indices is None else x[list(kernel.indices)]
    m = m if kernel.factors is None else m * np.reshape(kernel.factors, (-1, 1, 1))
    m = m if kernel.background is None else m + kernel.background
    with author_errors(where, "kernel"):
        value = kernel.weight * float(np.sum(kernel.loss.value(m, kernel.data), dtype=np.float64))
    if np.isfinite(value) and abs(value - start) > _ACCURACY * abs(start):
        problem = f"kernel has the value {value:.6g}, but value is {start:.6g}"
        raise UserError(where, problem, "declare the kernel of this term, or none")


def _check_pixelwise(where: str, term: Pixelwise, probe: _Probe, start: float) -> None:
    """The expansion and the values at each pixel, of all rows and of some."""
    full, count = probe.x.shape, probe.x.shape[1]
    gradient = term.gradient(probe.x)
    total: npt.NDArray[Any] = np.zeros(())
    for rows in (slice(0, count // 2), slice(count // 2, count)):
        if rows.start == rows.stop:
            continue
        block = probe.x[:, rows].copy()
        values = call_checked(where, "pixel_values", term.pixel_values, (block, rows), block.shape[1:])
        total = total + values.sum()
        _check_expansion(where, term, probe, block, rows, gradient[:, rows])
    if abs(float(total) - start) > _ACCURACY * abs(start) + 10 * probe.noise(start):
        problem = f"pixel_values add up to {float(total):.6g}, but value is {start:.6g}"
        raise UserError(where, problem, "correct pixel_values or value")
    concavity = term.concavity(probe.single)
    if concavity is not None and np.shape(concavity) != full:
        raise UserError(where, f"concavity returns the shape {np.shape(concavity)} instead of {full}", "correct it")
    call_checked(where, "information", term.information, (probe.single, slice(0, count)), full)


def _check_expansion(where: str, term: Pixelwise, probe: _Probe, x: Array, rows: slice, gradient: Array) -> None:
    shape = x.shape
    with author_errors(where, "expand"):
        single = term.expand(x.astype(probe.single.dtype), rows)
        expansion = term.expand(x, rows)
    if not isinstance(expansion, Expansion):
        raise UserError(where, f"expand returns a {type(expansion).__name__}", "return an Expansion")
    for name in ("gradient", "curvature", "coupling"):
        part = getattr(single, name)
        if part is not None or name != "coupling":
            call_checked(where, f"{name} of expand", lambda part=part: part, (), shape, probe.single.dtype)
    close = 1e-3 * float(np.abs(gradient).max()) + 1e-30
    if not np.allclose(expansion.gradient, gradient, rtol=1e-3, atol=close):
        raise UserError(where, "the gradient of expand differs from gradient", "correct expand")
    if np.any(expansion.curvature < 0):
        raise UserError(where, "the curvature of expand is negative", "clip it at 0")
    d, h = np.clip(np.random.default_rng(4).standard_normal(shape), -3, 3), 1e-2 * probe.size
    middle, ahead, behind = (term.pixel_values(x + s * h * d, rows) for s in (0.0, 1.0, -1.0))
    bend = float(np.sum(ahead + behind - 2 * middle, dtype=np.float64)) / h**2
    model = float(np.sum(expansion.curvature * d**2))
    if expansion.coupling is not None:
        model += float(np.sum(np.sum(expansion.coupling * d, axis=0) ** 2))
    if model < 0.8 * bend - 8 * probe.noise(float(np.abs(middle).sum())) / h**2:
        problem = f"the curvature of expand is too low: {model:.6g} along a random line, {bend:.6g} by differences"
        raise UserError(where, problem, "correct expand: only negative curvature may be dropped")
