r"""Losses and chains given as scalars (`fusionkit.engines.losses`), compiled into Newton steps and checks.

``others`` is a tuple of `Other`, ``chain`` a `Chain` or an empty tuple. Their types hold the scalar classes, so Numba
compiles each combination on its own, and an absent one costs nothing. A loss of a datum that is NaN is 0. They use
rows 5 to 9 of the scratch ``rows``: a chain keeps its slope in rows that no other loss writes.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from fusionkit.engines.cpu.compile import OPTIONS, dot, inlined, read_only, total
from fusionkit.engines.kernel_terms import LossOfMaps, LossOfSum, PixelwiseSpec
from fusionkit.engines.losses import Unchanged
from fusionkit.engines.sums import COUPLED, SUMS
from fusionkit.terms import Array

_inlined: Any = {**OPTIONS, "forceinline": True}


class Other(NamedTuple):
    """A `LossOfMaps` for the kernels, every number in the dtype of the unknown."""

    loss: Any
    weight: Any
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


def others_of(spec: PixelwiseSpec, elements: int, dtype: np.dtype[Any]) -> tuple[Other, ...]:
    """The further losses of the maps for the kernels."""
    return tuple(_other(term, elements, dtype) for term in spec.others)


def _other(term: LossOfMaps, elements: int, dtype: np.dtype[Any]) -> Other:
    indices = list(range(elements) if term.indices is None else term.indices)
    places, factors = np.full(elements, -1), np.ones(elements)
    places[indices] = np.arange(len(indices))
    factors[indices] = 1.0 if term.factors is None else term.factors
    background = np.zeros((0, 0, 0)) if term.background is None else term.background
    return Other(
        in_dtype(term.loss, dtype),
        dtype.type(term.weight),
        read_only(places, np.int64),
        read_only(factors, dtype),
        read_only(term.data, dtype),
        read_only(background, dtype),
    )


def chain_of(spec: PixelwiseSpec, dtype: np.dtype[Any]) -> Chain | tuple[()]:
    """The coupled term if it is given as scalars, else an empty tuple."""
    term = spec.coupled
    if not isinstance(term, LossOfSum):
        return ()
    chain = in_dtype(Unchanged() if term.chain is None else term.chain, dtype)
    z, data = read_only(np.ravel(term.z), dtype), read_only(term.data, dtype)
    return Chain(in_dtype(term.loss, dtype), chain, dtype.type(term.weight), z, data)


def ours(spec: PixelwiseSpec) -> bool:
    """Whether all scalar classes are fusionkit's own; only their kernels are cached on disk."""
    parts: list[Any] = [term.loss for term in spec.further]
    if isinstance(spec.coupled, LossOfSum):
        parts += [spec.coupled.loss, spec.coupled.chain or Unchanged()]
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


def _each(part: Any) -> Callable[..., Any]:
    """A compiled function (others, column, *arguments) that calls ``part`` for each of ``others`` and its column."""

    def function(others: Any, column: Any, *arguments: Any) -> Any:
        raise NotImplementedError("only for compiled functions")

    @overload(function, jit_options=_inlined)
    def implementation(others: Any, column: Any, *arguments: Any) -> Any:
        if len(others) == 0:

            def nothing(others: Any, column: Any, *arguments: Any) -> Any:
                return None

            return nothing

        def first_and_rest(others: Any, column: Any, *arguments: Any) -> Any:
            part(others[0], column, *arguments)
            function(others[1:], column + 2, *arguments)

        return first_and_rest

    return function


def if_present(part: Any) -> Callable[..., Any]:
    """A compiled function (chain, *arguments) that calls ``part`` if there is a chain."""

    def function(chain: Any, *arguments: Any) -> Any:
        raise NotImplementedError("only for compiled functions")

    @overload(function, jit_options=_inlined)
    def implementation(chain: Any, *arguments: Any) -> Any:
        if len(chain) == 0:

            def nothing(chain: Any, *arguments: Any) -> Any:
                return None

            return nothing

        def call(chain: Any, *arguments: Any) -> Any:
            part(chain, *arguments)

        return call

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


@_each
@inlined
def expand_others(other: Any, column: int, xi: Any, gi: Any, ci: Any, i: int, rows: Any, at: Any) -> None:
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


@_each
@inlined
def change_others(
    other: Any, column: int, xi: Any, ni: Any, change: Any, before: Any, i: int, rows: Any, at: Any
) -> None:
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


@_each
@inlined
def bound_others(other: Any, column: int, xi: Any, ni: Any, change: Any, size: Any, i: int, rows: Any, at: Any) -> None:
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


@_each
@inlined
def collect_others(other: Any, column: int, xi: Any, r: Any, i: int, rows: Any, sums: Any, at: Any) -> None:
    """Add the gradient with respect to element i to r, and value and squared gradient to the sums."""
    j, first, m = at
    if other.places[i] >= 0:
        mean, value, b = rows[0], rows[1], other.data[other.places[i], j, first : first + m]
        _means(other, xi, i, mean, at)
        factor = other.weight * other.factors[i]
        for k in range(m):
            value[k] = value_of(other.loss, mean[k], b[k])
        sums[SUMS + column] += total(value, m)
        for k in range(m):
            mean[k] = factor * slope_of(other.loss, mean[k], b[k])
            r[k] += mean[k]
        sums[SUMS + column + 1] += dot(mean, mean, m)


@inlined
def _sum(chain: Any, x: Any, s: Any, elements: int, m: int) -> None:
    """s = sum_i z_i x_i."""
    for k in range(m):
        s[k] = chain.weight - chain.weight
    for i in range(elements):
        xi, z = x[i], chain.z[i]
        for k in range(m):
            s[k] += z * xi[k]


sum_chain = if_present(_sum)


@if_present
@inlined
def expand_chain(chain: Any, rows: Any, at: Any) -> None:
    """rows[8] = w phi' f' and rows[9] = sqrt(max(w (phi'' f'^2 + phi' f''), 0)), for s in rows[0]."""
    j, first, m = at
    s, slope, root, b = rows[0], rows[8], rows[9], chain.data[j, first : first + m]
    for k in range(m):
        mean, by_sum = value_of(chain.chain, s[k]), slope_of(chain.chain, s[k])
        first_derivative = slope_of(chain.loss, mean, b[k])
        second = curvature_of(chain.loss, mean, b[k]) * by_sum * by_sum
        second = chain.weight * (second + first_derivative * curvature_of(chain.chain, s[k]))
        slope[k] = chain.weight * first_derivative * by_sum
        root[k] = np.sqrt(second if second > 0 else second - second)


@if_present
@inlined
def couple_chain(chain: Any, gi: Any, yi: Any, i: int, rows: Any, m: int) -> None:
    """Add the gradient with respect to element i; y = the coupling u."""
    slope, root, z = rows[8], rows[9], chain.z[i]
    for k in range(m):
        gi[k] += z * slope[k]
        yi[k] = z * root[k]


@if_present
@inlined
def change_chain(chain: Any, new: Any, rows: Any, change: Any, before: Any, elements: int, at: Any) -> None:
    """Add the change of the term from the sum in rows[0] to that of ``new``, and the size of its former value."""
    j, first, m = at
    s, after, b = rows[0], rows[5], chain.data[j, first : first + m]
    _sum(chain, new, after, elements, m)
    for k in range(m):
        value = chain.weight * value_of(chain.loss, value_of(chain.chain, s[k]), b[k])
        change[k] += chain.weight * value_of(chain.loss, value_of(chain.chain, after[k]), b[k]) - value
        before[k] += abs(value)


@if_present
@inlined
def collect_chain(chain: Any, x: Any, residual: Any, rows: Any, elements: int, sums: Any, at: Any) -> None:
    """Add the value of the term to the sums; ``residual`` = w phi' f'."""
    j, first, m = at
    s, value, b = rows[0], rows[1], chain.data[j, first : first + m]
    _sum(chain, x, s, elements, m)
    for k in range(m):
        mean = value_of(chain.chain, s[k])
        value[k] = value_of(chain.loss, mean, b[k])
        residual[k] = chain.weight * slope_of(chain.loss, mean, b[k]) * slope_of(chain.chain, s[k])
    sums[COUPLED] += total(value, m)


@if_present
@inlined
def pull_chain(chain: Any, r: Any, residual: Any, i: int, rows: Any, sums: Any, m: int) -> None:
    """Add the gradient with respect to element i to r, and its square to the sums."""
    slope, z = rows[0], chain.z[i]
    for k in range(m):
        slope[k] = z * residual[k]
        r[k] += slope[k]
    sums[COUPLED + 1] += dot(slope, slope, m)
