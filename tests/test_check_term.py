"""Mistakes in authors' terms, operators and forward models are named before the first iteration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from problems import PROBLEMS, build

import fusionkit as fk
from fusionkit.extend import (
    Array,
    ComposedPenalty,
    Expansion,
    Identity,
    Jet,
    LossOfMaps,
    Pixelwise,
    PixelwiseForward,
    Proximable,
    ScalarLoss,
    Smooth,
    fidelity,
)
from fusionkit.operators.fidelity.least_squares import LeastSquaresLoss
from fusionkit.operators.functional.norms import L1

SHAPE = (2, 6, 5)
Wrong = Callable[[Any], Any]


class Sparse(Proximable):
    """0.5 ||x||_1."""

    name = "own"

    def value(self, x: Array) -> float:
        return 0.5 * float(np.abs(x).sum(dtype=np.float64))

    def prox(self, v: Array, step: float, out: Array | None = None) -> Array:
        return np.subtract(v, np.clip(v, -0.5 * step, 0.5 * step), out=out)


class Level(Smooth, Pixelwise):
    """||x - 5||^2 / 2."""

    name = "own"

    def value(self, x: Array) -> float:
        return 0.5 * float(((x - 5) ** 2).sum(dtype=np.float64))

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        return np.subtract(x, 5, out=out)

    def expand(self, x: Array, rows: slice) -> Expansion:
        return Expansion(x - 5, np.ones_like(x))

    def pixel_values(self, x: Array, rows: slice) -> Array:
        return 0.5 * ((x - 5) ** 2).sum(axis=0)


class Difference:
    """Differences of neighbouring elements."""

    domain, range, norm = SHAPE, (1, 6, 5), 2.0

    def apply(self, x: Array, out: Array | None = None) -> Array:
        return np.subtract(x[1:], x[:1], out=out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        return np.concatenate([-y, y], out=out)


class Root(PixelwiseForward):
    """sqrt(1 + x)."""

    range, nonnegative = SHAPE, True

    def apply(self, x: Array) -> Array:
        return np.sqrt(1 + x)

    def jet(self, x: Array, second: bool = True) -> Jet:
        root = np.sqrt(1 + x)
        return Jet(root, 0.5 / root, -0.25 / root**3)


def broken(part: Any, method: str, wrong: Wrong) -> Any:
    """The part with ``wrong`` applied to the results of its method, or its attribute replaced by ``wrong(value)``."""
    good = getattr(part, method)
    setattr(part, method, (lambda *given, **more: wrong(good(*given, **more))) if callable(good) else wrong(good))
    return part


def keeping(good: Any) -> Any:
    """A function that returns one array for ever."""
    kept: dict[Any, Array] = {}

    def call(*arguments: Any, **more: Any) -> Array:
        result = good(*arguments)
        kept.setdefault(result.dtype, result.copy())[...] = result
        return kept[result.dtype]

    return call


def term(part: Any) -> Any:
    if isinstance(part, Difference):
        return ComposedPenalty(L1(0.5), part, "own")
    if isinstance(part, PixelwiseForward):
        return fidelity("own", 1.0, LeastSquaresLoss(), part, np.full(SHAPE, 3.0, np.float32))
    return part


def nan(result: Array) -> Array:
    result = result.copy()
    result.flat[3] = np.nan
    return result


ARRAYS: dict[str, Wrong] = {
    "returns a NoneType": lambda r: None,
    "returns a list": lambda r: r.tolist(),
    "returns the shape": lambda r: r[..., :1],
    "returns int64": lambda r: r.astype(np.int64),
    "returns values that are not finite": nan,
}
MISTAKES: list[tuple[type, str, Wrong, str]] = [
    *((Sparse, "value", lambda r, wrong=w: wrong, "value returns a") for w in (None, "x", np.ones(SHAPE), True)),
    (Sparse, "value", lambda r: np.nan, "value is nan"),
    (Sparse, "value", lambda r: -r, "prox is no minimiser"),
    (Sparse, "name", lambda r: "", "Sparse: its name is ''"),
    *((Sparse, "prox", wrong, f"prox {text}") for text, wrong in ARRAYS.items()),
    (Sparse, "prox", lambda r: r.astype(np.float64), "prox returns float64; .* keep the dtype"),
    (Sparse, "prox", lambda r: 3 * r, "prox is no minimiser"),
    (Sparse, "prox", lambda r: 0.97 * r, "prox is no minimiser"),
    (Sparse, "prox", lambda r: r / 0 if 1 // 0 else r, "prox fails .ZeroDivisionError.*test_check_term.py, line"),
    (Level, "value", lambda r: r**0.5, "gradient gives the slope"),
    *((Level, "gradient", wrong, f"gradient {text}") for text, wrong in ARRAYS.items()),
    (Level, "gradient", lambda r: r.astype(np.float64), "gradient returns float64"),
    *((Level, "gradient", lambda r, f=f: f * r, "gradient gives the slope") for f in (-1.0, 0.0, 1.01)),
    *((Level, "expand", lambda r, w=w: w, "expand returns a") for w in (None, (1, 2))),
    (Level, "expand", lambda r: Expansion(2 * r.gradient, r.curvature), "gradient of expand differs"),
    (Level, "expand", lambda r: Expansion(r.gradient, -r.curvature), "curvature of expand is negative"),
    (Level, "expand", lambda r: Expansion(r.gradient, 0 * r.curvature), "curvature of expand is too low"),
    (Level, "expand", lambda r: Expansion(r.gradient, r.curvature[0]), "curvature of expand returns the shape"),
    (Level, "pixel_values", lambda r: -r, "pixel_values add up to"),
    (Level, "pixel_values", lambda r: None, "pixel_values returns a NoneType"),
    *((Difference, m, w, f"{m} of its operator {t}") for m in ("apply", "adjoint") for t, w in ARRAYS.items()),
    *((Difference, "adjoint", lambda r, f=f: f * r, "adjoint of its operator is wrong") for f in (-1.0, 0.0, 1.01)),
    (Difference, "apply", lambda r: r + 1, "adjoint of its operator is wrong"),
    (Difference, "apply", lambda r: r.astype(np.float64), "apply of its operator returns float64"),
    *((Difference, "norm", lambda r, w=w: w, "norm of its operator is") for w in (0.1, 0.0, np.nan, None, "2")),
    *((Difference, m, list, f"{m} of its operator is") for m in ("domain", "range")),
    (Root, "apply", lambda r: r - 2, "apply of its forward model is negative"),
    (Root, "adjoint", lambda r: -r, "adjoint of its forward model is wrong"),
    (Root, "jet", lambda r: Jet(r.prediction, -r.slope, r.bend), "adjoint of its forward model is wrong"),
    (Root, "jet", lambda r: Jet(r.prediction + 1, r.slope, r.bend), "the prediction in jet of its forward model"),
    (Root, "jet", lambda r: Jet(r.prediction, r.slope, -r.bend), "the bend in jet of its forward model"),
    (Root, "linear", lambda r: True, "linear is set, but apply of its forward model is not affine"),
    (Root, "jet", lambda r: None, "adjoint of its forward model fails"),
]


@pytest.mark.parametrize("case", range(len(MISTAKES)))
def test_a_mistake_is_named(case: int) -> None:
    kind, method, wrong, message = MISTAKES[case]
    with pytest.raises(fk.UserError, match=message) as caught:
        fk.check_term(term(broken(kind(), method, wrong)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "method"), [(Sparse, "prox"), (Level, "gradient"), (Difference, "apply")])
def test_wrong_memory_is_named(kind: type, method: str) -> None:
    for wrap, message in (
        (lambda good: lambda *given, out=None: good(*given), f"{method}.* ignores out"),
        (keeping, f"{method}.* returns an array that it keeps"),
        (
            lambda good: lambda a, *b, out=None: np.multiply(good(a, *b), a.fill(1) or 1),
            f"{method}.* modifies its input",
        ),
        (lambda good: lambda a, *b, out=None: a[: len(good(a, *b))], f"{method}.* returns its input itself"),
    ):
        part = kind()
        setattr(part, method, wrap(getattr(part, method)))
        with pytest.raises(fk.UserError, match=message):
            fk.check_term(term(part))


class Shaded(PixelwiseForward):
    """g x with a gain g of each row."""

    def __init__(self, gain: Array) -> None:
        self.gain, self.range = gain, SHAPE

    def apply(self, x: Array) -> Array:
        return (x * self.gain).astype(x.dtype)

    def jet(self, x: Array, second: bool = True) -> Jet:
        slope = np.broadcast_to(self.gain, x.shape).astype(x.dtype)
        return Jet(self.apply(x), slope, np.zeros_like(x) if second else None)


class ShadedRows(Shaded):
    """The same, cut to the rows."""

    def at_rows(self, rows: slice) -> ShadedRows:
        return ShadedRows(self.gain[rows])


class Relative(NamedTuple):
    """(m - b)^2 / 2 with derivatives times a factor."""

    first: float = 1.0
    second: float = 1.0

    def value(self, m: Any, b: Any) -> Any:
        return (m - b) ** 2 / 2

    def slope(self, m: Any, b: Any) -> Any:
        return self.first * (m - b)

    def curvature(self, m: Any, b: Any) -> Any:
        return self.second + 0 * m


class Norm(L1):
    """The l1 norm of an author, whose ball is wrong."""

    def project_dual(self, p: Array, out: Array | None = None) -> Array:
        return np.clip(p, -0.1, 0.1)

    def proxdual(self, x: Array, tau: float) -> Array:
        return np.clip(x, -0.5, 0.5)


def test_losses_kernels_and_balls_are_tested() -> None:
    data = np.full(SHAPE, 3.0, np.float32)
    for loss, message in ((Relative(2.0), "derivative of its loss"), (Relative(1.0, 0.0), "curvature of its loss")):
        with pytest.raises(fk.UserError, match=f"own: {message} differs from differences"):
            fk.check_term(fidelity("own", 1.0, ScalarLoss(loss), Identity(SHAPE), data))
    fk.check_term(fidelity("own", 1.0, ScalarLoss(Relative()), Identity(SHAPE), data))
    own = Level()
    own.kernel = LossOfMaps(Relative(), 2.0, np.full(SHAPE, 5.0, np.float32))  # type: ignore[attr-defined]
    with pytest.raises(fk.UserError, match=r"own: kernel has the value .*, but value is"):
        fk.check_term(own)
    with pytest.raises(fk.UserError, match="own: project_dual of its functional differs from proxdual"):
        fk.check_term(ComposedPenalty(Norm(0.5), Difference(), "own"))


def test_a_forward_model_is_told_its_rows() -> None:
    gain = np.linspace(0.5, 1.5, SHAPE[1])[:, None]
    with pytest.raises(fk.UserError, match="own: pixel_values fails"):
        fk.check_term(term(Shaded(gain)))
    fk.check_term(term(ShadedRows(gain)))


def test_right_terms_pass() -> None:
    for kind in (Sparse, Level, Difference, Root):
        fk.check_term(term(kind()))
    for name in list(PROBLEMS)[::4]:
        problem = build(name, np.float32)[0]
        for one in problem.terms:
            fk.check_term(one, np.full(problem.shape, 3.0, np.float32))


def test_terms_are_tested_when_they_are_composed() -> None:
    data = fk.Dataset({"maps": np.full(SHAPE, 4.0)}, elements=("Co", "O"))
    with pytest.raises(fk.UserError, match="own: gradient gives the slope"):
        fk.compose(data, [broken(Level(), "gradient", np.negative)])
    late = Sparse()
    problem = fk.compose(data, [{"type": "least_squares", "data": "maps"}, late])
    late.prox = lambda *given, **more: None  # type: ignore[method-assign]
    with pytest.raises(fk.UserError, match="own: prox returns a NoneType"):
        fk.solve(problem, fk.make_solver("chambolle_pock"), data.arrays["maps"])
