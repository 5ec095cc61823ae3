"""Any ``pyproximal.ProxOperator`` by its name, as a functional and as a term."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from math import inf, prod
from typing import Any

import numpy as np
import pyproximal
from pydantic import Field

from fusionkit.build import Context
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.functional import Vector
from fusionkit.operators.arguments import REFUSALS, call_with, resolve_arguments
from fusionkit.operators.penalty import IDENTITY, compose
from fusionkit.options import Options, Spec, Weight
from fusionkit.registry import suggestion
from fusionkit.terms import Array, Composed, LinearMap, Proximable

# functions that are convex for any arguments; all others count as nonconvex
# fmt: off
CONVEX = frozenset({
    "AffineSet", "Box", "Euclidean", "EuclideanBall", "HalfSpace", "Hankel", "Huber", "HuberCircular", "Intersection",
    "L1", "L1Ball", "L2", "L2Convolve", "L21", "L21_plus_L1", "Nuclear", "NuclearBall", "Simplex", "TV",
})
# fmt: on
# functions of pyproximal 0.13 whose prox does not minimise their value, as tests/test_functionals.py shows
UNFAITHFUL = {
    "Huber": "its prox is wrong between alpha and alpha + step (the functional huber is right)",
    "L0": "its prox thresholds at step * sigma, not at sqrt(2 * step * sigma), and its value leaves sigma out",
    "Log1": "its prox can be a stationary point that is no minimum, and its value leaves sigma out",
    "QuadraticEnvelopeRankL2": "its value takes the square root of the misfit",
    "RelaxedMumfordShah": "its value takes the minimum over the whole vector, its prox over each component",
}
BORDER = 1e-4  # some of its projections use bisection to 1e-5


class PyproximalOptions(Options):
    """Options of the functional ``pyproximal``."""

    operator: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    weight: Weight = 1.0


class PyproximalTermOptions(Options):
    """Options of the term ``pyproximal``."""

    operator: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    on: Spec = IDENTITY
    weight: Weight = 1.0
    name: str | None = None

    def term_name(self, kind: str) -> str:
        """The name of the function by default."""
        return self.name or self.operator


class NamedProx(pyproximal.ProxOperator):
    """A weighted function of pyproximal, in the dtype of its vector, with 0 and ``inf`` as values of indicators.

    Parameters
    ----------
    function : the ``pyproximal.ProxOperator``.
    weight : factor of its value.
    convex : whether it is convex.
    """

    def __init__(self, function: pyproximal.ProxOperator, weight: float, convex: bool) -> None:
        super().__init__(None, function.hasgrad)
        self.function, self.weight, self.convex = function, weight, convex

    def __call__(self, x: Vector) -> float:
        """The weighted value; for an indicator 0 inside and within 1e-4 of the border (relative), ``inf`` outside."""
        if self.weight == 0:
            return 0.0
        value = self.function(x.copy())
        if isinstance(value, bool | np.bool_):
            return 0.0 if value or self._nearly_inside(x) else inf
        return self.weight * float(value)

    def prox(self, x: Array, tau: float) -> Array:
        """The function's prox with the step ``tau`` times the weight."""
        if self.weight == 0:
            return x.copy()
        # some functions of pyproximal modify their input, some return complex numbers with a zero imaginary part, and
        # some divide by the length of a group of zeros and correct the result
        with np.errstate(divide="ignore", invalid="ignore"):
            result = self.function.prox(x.copy(), float(tau) * self.weight)
        return np.real(result).astype(x.dtype, copy=False).reshape(x.shape)

    def proxdual(self, x: Array, tau: float) -> Array:
        """The prox of the conjugate by Moreau's identity, convex or not."""
        return x - float(tau) * self.prox(x / float(tau), 1 / float(tau))

    def grad(self, x: Vector) -> Array:
        """The weighted gradient of the function, or of its Moreau envelope if it has none."""
        return self.weight * self.function.grad(x.copy()).astype(x.dtype, copy=False)

    def _nearly_inside(self, x: Array) -> bool:
        return bool(np.linalg.norm(self.prox(x, 1.0) - x) <= BORDER * np.linalg.norm(x))


def functional(options: PyproximalOptions, context: Context) -> NamedProx:
    """The function ``operator`` of pyproximal with ``arguments``, times ``weight``.

    Arguments may be numbers, texts, lists, ``{data: NAME}`` for an array of the dataset (flattened), ``{operator:
    SPEC}`` for a linear operator and ``{functional: SPEC}`` for another function. If required and missing, ``n``
    becomes the size of the vector, ``dim`` and ``dims`` its shape, ``ndim`` and ``k`` the size of its first axis.
    `UserError` if there is no such function, or it rejects the arguments.
    """
    maker = _maker_of(options.operator, context.at("operator").where)
    arguments = resolve_arguments(options.arguments, context)
    arguments = {key: _flat(value) for key, value in arguments.items()}
    where = context.at("arguments").where

    def make() -> pyproximal.ProxOperator:
        return call_with(maker, arguments, _defaults(maker, context.shape), context.dtype, where)

    function = NamedProx(make(), options.weight, options.operator in CONVEX)
    # on a second instance, since some count their calls or keep the last result as a start
    _try_out(make(), options.operator, context, where)
    if options.operator in UNFAITHFUL:
        warnings.warn(
            f"{context.where}: pyproximal's {options.operator}: {UNFAITHFUL[options.operator]}; "
            "do not rely on objective and optimality",
            FusionkitWarning,
            stacklevel=2,
        )
    return function


def term(options: PyproximalTermOptions, context: Context) -> Composed | Proximable:
    """``weight * f(K x)``, f pyproximal's function ``operator`` with ``arguments``, K the linear operator ``on``.

    See `functional` for the arguments.
    """
    linear_map: LinearMap = context.build("operators", options.on, "on")
    inner = PyproximalOptions(operator=options.operator, arguments=options.arguments, weight=options.weight)
    built = functional(inner, replace(context, shape=linear_map.range))
    return compose(built, linear_map, options.term_name("pyproximal"))


def _maker_of(name: str, where: str) -> Callable[..., pyproximal.ProxOperator]:
    known = [known for known in pyproximal.proximal.__all__ if known != "Nonlinear"]  # Nonlinear is to be subclassed
    if name not in known:
        raise UserError(where, f"pyproximal has no ProxOperator '{name}'", suggestion(name, known))
    return getattr(pyproximal, name)


def _defaults(maker: Callable[..., Any], shape: tuple[int, ...]) -> dict[str, Any]:
    size, first = prod(shape), shape[0]
    possible = {"n": size, "dim": shape, "dims": shape, "ndim": first}
    parameters = inspect.signature(maker).parameters
    if "k" in parameters:  # Intersection: k vectors of n values
        possible |= {"k": first, "n": size // first}
    return {
        key: possible[key]
        for key in possible
        if key in parameters and parameters[key].default is inspect.Parameter.empty
    }


def _flat(value: Any) -> Any:
    return value.ravel() if isinstance(value, np.ndarray) else value


def _try_out(function: pyproximal.ProxOperator, name: str, context: Context, where: str) -> None:
    """Evaluate it once, so that errors appear before the first iteration."""
    x = np.ones(prod(context.shape), context.dtype)
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            function(x.copy())
            size = np.size(function.prox(x, 1.0))
    except REFUSALS as error:
        raise UserError(where, f"{name} cannot be applied: {error}", "see its documentation") from error
    if size != x.size:
        raise UserError(where, f"{name} returns {size} values for the {x.size} of {context.shape}", "change the sizes")
