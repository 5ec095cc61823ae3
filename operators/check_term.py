"""Checks of an author's term: every method at random points, its results, and whether the methods agree.

Values decide (`fusionkit.operators.check_function`); the curvature is compared with second differences of them.
"""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.arrays import call_checked, is_authors
from fusionkit.engines.kernel_terms import LossOfMaps
from fusionkit.errors import UserError, author_errors
from fusionkit.linear import require_adjoint
from fusionkit.operators.check_function import ACCURACY, ROUNDING, Probe, check_out, check_repeated
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

_SHAPE = (2, 6, 5)  # of the unknown where the term shows none


def check_term(term: Term, x: Array | None = None) -> None:
    """Test every method of a term, and of its functional, operator and forward model.

    `UserError`, which names the term, the method and the first mistake, if there is one.

    Parameters
    ----------
    term : the term.
    x : a point inside its domain, about the size of the solution, in the shape and dtype of the problem; None draws
        positive values, about its data or float32 values about 1.
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
    probe = Probe(where, term.value, x)
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


def _check_composed(where: str, term: Composed, probe: Probe) -> None:
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
    functional = Probe(where, term.functional, y if np.any(y) else np.ones_like(y), " of its functional")
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


def _check_forward(where: str, forward: Forward, probe: Probe) -> None:
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
    allowed = ACCURACY * float(np.linalg.norm(change)) + ROUNDING * float(np.linalg.norm(prediction)) / h
    left, right = float(np.vdot(change, r)), float(np.vdot(d, back))
    if abs(left - right) > allowed:
        problem = f"adjoint of its forward model is wrong: <J d, r> is {left:.6g} and <d, J'r> is {right:.6g}"
        raise UserError(where, problem, "let it return the transposed Jacobian times r")
    middle = 0.5 * (prediction + forward.apply(3 * x)) - forward.apply(2 * x)
    if forward.linear and np.linalg.norm(middle) > ACCURACY * np.linalg.norm(prediction):
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
    noise = ROUNDING * float(np.linalg.norm(jet.slope)) / h
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
        noise = 10 * ROUNDING * float(np.linalg.norm(lower(m, b))) / h
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
    if np.isfinite(value) and abs(value - start) > ACCURACY * abs(start):
        problem = f"kernel has the value {value:.6g}, but value is {start:.6g}"
        raise UserError(where, problem, "declare the kernel of this term, or none")


def _check_pixelwise(where: str, term: Pixelwise, probe: Probe, start: float) -> None:
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
    if abs(float(total) - start) > ACCURACY * abs(start) + 10 * probe.noise(start):
        problem = f"pixel_values add up to {float(total):.6g}, but value is {start:.6g}"
        raise UserError(where, problem, "correct pixel_values or value")
    concavity = term.concavity(probe.single)
    if concavity is not None and np.shape(concavity) != full:
        raise UserError(where, f"concavity returns the shape {np.shape(concavity)} instead of {full}", "correct it")
    call_checked(where, "information", term.information, (probe.single, slice(0, count)), full)


def _check_expansion(where: str, term: Pixelwise, probe: Probe, x: Array, rows: slice, gradient: Array) -> None:
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
