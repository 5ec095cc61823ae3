r"""Losses and chains given as scalars (`fusionkit.engines.losses`), compiled into Newton steps and checks.

``others`` is a tuple of `Other`, ``chains`` one of `Chain`. Their types hold the scalar classes, so Numba compiles each
combination on its own, and an absent one costs nothing. A loss of a datum that is NaN is 0. They use rows 5 to 9 of the
scratch ``rows``, and rows `KEPT` + place for what is kept of a chain.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from fusionkit.engines.cpu.compile import INSIDE, OPTIONS, dot, inlined, read_only, total
from fusionkit.engines.cpu.maths import power
from fusionkit.engines.kernel_terms import LossOfMaps, LossOfSum, PixelwiseSpec, power_parts
from fusionkit.engines.losses import Unchanged
from fusionkit.engines.sums import COUPLED, SUMS
from fusionkit.terms import Array

KEPT = 10
_inlined: Any = {**OPTIONS, **INSIDE}


class Other(NamedTuple):
    """A `LossOfMaps` for the kernels, every number in the dtype of the unknown."""

    loss: Any
    weight: Any
    column: int  # of its sums
    places: Array  # index into the data for each element, -1 for none
    factors: Array  # of each element
    data: Array
    background: Array  # empty for none


class Chain(NamedTuple):
    """A `LossOfSum` for the kernels, every number in the dtype of the unknown."""

    loss: Any
    chain: Any
    weight: Any
    z: Array
    data: Array
    place: int  # among the terms that couple the elements
    column: int  # of its sums
    linear: bool
    concave: bool  # in single values, as `fusionkit.terms.Pixelwise.concavity` tells
    gamma: Any
    less: Any  # gamma - 1
    parts: tuple[Any, Any, Any]  # of the power
    floor: Any
    floor_power: Any


def others_of(spec: PixelwiseSpec, elements: int, dtype: np.dtype[Any]) -> tuple[Other, ...]:
    """The further losses of the maps for the kernels."""
    return tuple(_other(term, SUMS + 2 * k, elements, dtype) for k, term in enumerate(spec.others))


def _other(term: LossOfMaps, column: int, elements: int, dtype: np.dtype[Any]) -> Other:
    indices = list(range(elements) if term.indices is None else term.indices)
    places, factors = np.full(elements, -1), np.ones(elements)
    places[indices] = np.arange(len(indices))
    factors[indices] = 1.0 if term.factors is None else term.factors
    background = np.zeros((0, 0, 0)) if term.background is None else term.background
    return Other(
        in_dtype(term.loss, dtype),
        dtype.type(term.weight),
        column,
        read_only(places, np.int64),
        read_only(factors, dtype),
        read_only(term.data, dtype),
        read_only(background, dtype),
    )


def chains_of(spec: PixelwiseSpec, dtype: np.dtype[Any]) -> tuple[Chain, ...]:
    """The terms that couple the elements and are given as scalars."""
    first = SUMS + 2 * (len(spec.further) - len(spec.images))
    chains = [_chain(term, place, first + 2 * (place - 1), dtype) for place, term in enumerate(spec.images, 1)]
    if isinstance(spec.coupled, LossOfSum):
        chains.insert(0, _chain(spec.coupled, 0, COUPLED, dtype))
    return tuple(chains)


def _chain(term: LossOfSum, place: int, column: int, dtype: np.dtype[Any]) -> Chain:
    number, less = dtype.type, term.gamma - 1.0
    return Chain(
        in_dtype(term.loss, dtype),
        in_dtype(Unchanged() if term.chain is None else term.chain, dtype),
        number(term.weight),
        read_only(np.ravel(term.z), dtype),
        read_only(term.data, dtype),
        place,
        column,
        term.gamma == 1.0,
        term.gamma > 1.0 and term.chain is None,
        number(term.gamma),
        number(less),
        power_parts(less, dtype),
        number(term.floor),
        number(term.floor**less),
    )


def ours(spec: PixelwiseSpec) -> bool:
    """Whether all scalar classes are fusionkit's own; only their kernels are cached on disk."""
    images = [term for term in (spec.coupled, *spec.images) if isinstance(term, LossOfSum)]
    parts: list[Any] = [term.loss for term in (*spec.further, *images)]
    parts += [term.chain or Unchanged() for term in images]
    return all(type(part).__module__ == Unchanged.__module__ for part in parts)


def in_dtype(scalars: Any, dtype: np.dtype[Any]) -> Any:
    """The scalars with their fields in the dtype."""
    return type(scalars)(*(dtype.type(number) for number in scalars))


@cache
def _method(scalars: type, name: str) -> Any:
    return inlined(getattr(scalars, name))


def _calls(name: str) -> Callable[..., Any]:
    """A compiled function (scalars, *arguments) that calls the method ``name`` of the class of the scalars."""

    def function(scalars: Any, *arguments: Any) -> Any:
        raise NotImplementedError("only for compiled functions")

    @overload(function, jit_options=_inlined)
    def implementation(scalars: Any, *arguments: Any) -> Any:
        method = _method(scalars.instance_class, name)
        # a literal promotes to float64; with this cast the compiler uses float32 again
        number = np.float32 if arguments[0] == types.float32 else np.float64

        def of_datum(scalars: Any, *arguments: Any) -> Any:
            result = number(method(scalars, *arguments))
            return number(0) if np.isnan(arguments[1]) else result

        def call(scalars: Any, *arguments: Any) -> Any:
            return number(method(scalars, *arguments))

        return of_datum if len(arguments) == 2 else call

    return function


value_of, slope_of, curvature_of = _calls("value"), _calls("slope"), _calls("curvature")


def each(part: Any) -> Callable[..., Any]:
    """A compiled function (terms, *arguments) that calls ``part`` for each of the terms."""

    def function(terms: Any, *arguments: Any) -> Any:
        raise NotImplementedError("only for compiled functions")

    @overload(function, jit_options=_inlined)
    def implementation(terms: Any, *arguments: Any) -> Any:
        if len(terms) == 0:

            def nothing(terms: Any, *arguments: Any) -> Any:
                return None

            return nothing

        def first_and_rest(terms: Any, *arguments: Any) -> Any:
            part(terms[0], *arguments)
            function(terms[1:], *arguments)

        return first_and_rest

    return function


@inlined
def _means(other: Any, xi: Any, i: int, mean: Any, at: Any) -> None:
    """mean = s x + B at a chunk of element i."""
    j, first, m = at
    s = other.factors[i]
    if other.background.shape[0] > 0:
        b = other.background[other.places[i], j, first : first + m]
        for k in range(m):
            mean[k] = s * xi[k] + b[k]
    else:
        for k in range(m):
            mean[k] = s * xi[k]


@each
@inlined
def expand_others(other: Any, xi: Any, gi: Any, ci: Any, i: int, rows: Any, at: Any) -> None:
    """Add gradient and curvature with respect to element i."""
    j, first, m = at
    if other.places[i] >= 0:
        mean, b = rows[5], other.data[other.places[i], j, first : first + m]
        _means(other, xi, i, mean, at)
        factor = other.weight * other.factors[i]
        square = factor * other.factors[i]
        for k in range(m):
            gi[k] += factor * slope_of(other.loss, mean[k], b[k])
            ci[k] += square * curvature_of(other.loss, mean[k], b[k])


@each
@inlined
def change_others(other: Any, xi: Any, ni: Any, change: Any, before: Any, i: int, rows: Any, at: Any) -> None:
    """Add the change of the loss of element i from x to ``new``, and its former value."""
    j, first, m = at
    if other.places[i] >= 0:
        old, new, b = rows[5], rows[6], other.data[other.places[i], j, first : first + m]
        _means(other, xi, i, old, at)
        _means(other, ni, i, new, at)
        for k in range(m):
            value = other.weight * value_of(other.loss, old[k], b[k])
            change[k] += other.weight * value_of(other.loss, new[k], b[k]) - value
            before[k] += value


@each
@inlined
def bound_others(other: Any, xi: Any, ni: Any, change: Any, size: Any, i: int, rows: Any, at: Any) -> None:
    """Add an upper bound of the change of the convex loss: its slope at ``new`` times the move."""
    j, first, m = at
    if other.places[i] >= 0:
        mean, b = rows[5], other.data[other.places[i], j, first : first + m]
        _means(other, ni, i, mean, at)
        factor = other.weight * other.factors[i]
        for k in range(m):
            part = factor * slope_of(other.loss, mean[k], b[k]) * (ni[k] - xi[k])
            change[k] += part
            size[k] += abs(part)


@each
@inlined
def collect_others(other: Any, xi: Any, r: Any, i: int, rows: Any, sums: Any, at: Any) -> None:
    """Add the gradient with respect to element i to r, and value and squared gradient to the sums."""
    j, first, m = at
    if other.places[i] >= 0:
        mean, value, b = rows[0], rows[1], other.data[other.places[i], j, first : first + m]
        _means(other, xi, i, mean, at)
        factor = other.weight * other.factors[i]
        for k in range(m):
            value[k] = value_of(other.loss, mean[k], b[k])
        sums[other.column] += total(value, m)
        for k in range(m):
            mean[k] = factor * slope_of(other.loss, mean[k], b[k])
            r[k] += mean[k]
        sums[other.column + 1] += dot(mean, mean, m)


@inlined
def _sum(chain: Any, x: Any, y: Any, s: Any, elements: int, m: int) -> None:
    """s = sum_i (z_i x_i)^gamma; y = (z_i x_i)^(gamma - 1) in the chain's rows, untouched for gamma = 1."""
    zero = chain.weight - chain.weight
    for k in range(m):
        s[k] = zero
    for i in range(elements):
        xi, yi, z = x[i], y[chain.place * elements + i], chain.z[i]
        if chain.linear:
            for k in range(m):
                s[k] += z * xi[k]
        else:
            for k in range(m):
                t = z * xi[k]
                t = zero if t < zero else t
                raised = power(t, chain.parts)
                yi[k] = raised
                s[k] += raised * t


@inlined
def _bend(chain: Any, z: Any, x: Any, raised: Any) -> Any:
    """The second derivative of (z x)^gamma by x, at its floor below that."""
    t = z * x
    t = chain.floor if t < chain.floor else t
    raised = chain.floor_power if raised < chain.floor_power else raised
    return chain.gamma * chain.less * z * z * raised / t


@each
@inlined
def expand_chains(chain: Any, x: Any, y: Any, g: Any, c: Any, rows: Any, elements: int, at: Any) -> None:
    """Add the gradient to g and the curvature to c; the couplings go into the chain's rows of y, s is kept.

    With w phi' f' and sqrt(max(w (phi'' f'^2 + phi' f''), 0)) at s.
    """
    j, first, m = at
    s, slope, root, b = rows[KEPT + chain.place], rows[8], rows[9], chain.data[j, first : first + m]
    _sum(chain, x, y, s, elements, m)
    for k in range(m):
        mean, by_sum = value_of(chain.chain, s[k]), slope_of(chain.chain, s[k])
        first_derivative = slope_of(chain.loss, mean, b[k])
        second = curvature_of(chain.loss, mean, b[k]) * by_sum * by_sum
        second = chain.weight * (second + first_derivative * curvature_of(chain.chain, s[k]))
        slope[k] = chain.weight * first_derivative * by_sum
        root[k] = np.sqrt(second if second > 0 else second - second)
    for i in range(elements):
        xi, ui, gi, ci, z = x[i], y[chain.place * elements + i], g[i], c[i], chain.z[i]
        steep = chain.gamma * z
        if chain.linear:
            for k in range(m):
                gi[k] += z * slope[k]
                ui[k] = z * root[k]
        else:
            for k in range(m):
                curvature = slope[k] * _bend(chain, z, xi[k], ui[k])
                gi[k] += slope[k] * (steep * ui[k])
                ci[k] += curvature if curvature > 0 else curvature - curvature
                ui[k] = root[k] * (steep * ui[k])


@each
@inlined
def change_chains(chain: Any, new: Any, y: Any, rows: Any, change: Any, before: Any, elements: int, at: Any) -> None:
    """Add the change of the term from the kept sum to that of ``new``, and the size of its former value."""
    j, first, m = at
    s, after, b = rows[KEPT + chain.place], rows[5], chain.data[j, first : first + m]
    _sum(chain, new, y, after, elements, m)
    for k in range(m):
        value = chain.weight * value_of(chain.loss, value_of(chain.chain, s[k]), b[k])
        change[k] += chain.weight * value_of(chain.loss, value_of(chain.chain, after[k]), b[k]) - value
        before[k] += abs(value)


@each
@inlined
def collect_chains(chain: Any, x: Any, y: Any, rows: Any, elements: int, sums: Any, at: Any) -> None:
    """Add the value of the term to the sums; w phi' f' is kept."""
    j, first, m = at
    s, value, b = rows[KEPT + chain.place], rows[1], chain.data[j, first : first + m]
    _sum(chain, x, y, s, elements, m)
    for k in range(m):
        mean = value_of(chain.chain, s[k])
        value[k] = value_of(chain.loss, mean, b[k])
        s[k] = chain.weight * slope_of(chain.loss, mean, b[k]) * slope_of(chain.chain, s[k])
    sums[chain.column] += total(value, m)


@each
@inlined
def pull_chains(chain: Any, r: Any, y: Any, i: int, rows: Any, elements: int, sums: Any, m: int) -> None:
    """Add the gradient with respect to element i to r, and its square to the sums."""
    residual, slope, yi, z = rows[KEPT + chain.place], rows[0], y[chain.place * elements + i], chain.z[i]
    steep = chain.gamma * z
    for k in range(m):
        slope[k] = residual[k] * (z if chain.linear else steep * yi[k])
        r[k] += slope[k]
    sums[chain.column + 1] += dot(slope, slope, m)


@each
@inlined
def concave_chains(chain: Any, x: Any, y: Any, need: Any, factor: Any, rows: Any, elements: int, at: Any) -> None:
    """Add the concavity times ``factor`` to ``need`` (n, ny, nx)."""
    j, first, m = at
    s, b = rows[KEPT + chain.place], chain.data[j, first : first + m]
    if chain.concave:
        _sum(chain, x, y, s, elements, m)
        for i in range(elements):
            xi, yi, out, z = x[i], y[chain.place * elements + i], need[i, j, first : first + m], chain.z[i]
            for k in range(m):
                slope = factor * chain.weight * slope_of(chain.loss, s[k], b[k])
                out[k] -= slope * _bend(chain, z, xi[k], yi[k])
