"""The array module of an array, and operators on arrays that never convert to NumPy implicitly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from strict_arrays import NAMESPACE, StrictArray

from fusionkit.arrays import get_array_module, on_host
from fusionkit.linear import IdentityMap
from fusionkit.operators.functional.huber import GroupHuber
from fusionkit.operators.functional.norms import L1, L21, Euclidean, SquaredL2
from fusionkit.operators.functional.stacked import StackedNorms
from fusionkit.operators.linear.gradient import gradient_map
from fusionkit.operators.linear.laplacian import LaplacianMap
from fusionkit.operators.linear.symmetric_gradient import symmetric_gradient_map
from fusionkit.operators.penalty.tgv import Field, Lift
from fusionkit.problem import Box
from fusionkit.terms import Array

SHAPE, DTYPE = (2, 5, 7), np.dtype(np.float32)
GRADIENT, SECOND = gradient_map(SHAPE), symmetric_gradient_map(SHAPE)
MAPS: dict[str, Any] = {
    "gradient": GRADIENT,
    "laplacian": LaplacianMap(GRADIENT),
    "symmetric_gradient": SECOND,
    "identity": IdentityMap(SHAPE),
    "lift": Lift(GRADIENT, SECOND.range[0]),
    "field": Field(SECOND),
}
SIZE = 2 * 35
FUNCTIONALS: dict[str, Any] = {
    "l1": L1(0.4),
    "l21": L21(2, 0.4),
    "l2": SquaredL2(0.4),
    "euclidean": Euclidean(0.4),
    "group_huber": GroupHuber(2, 0.3, 0.4),
    "stacked": StackedNorms((L21(2, 0.4), L1(0.2)), (40, SIZE - 40)),
}


def random(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(DTYPE)


def strict(values: Array) -> Any:
    return StrictArray(values)


def same(found: Any, expected: Any) -> None:
    assert isinstance(found, StrictArray)
    np.testing.assert_array_equal(on_host(found), expected)


def test_the_module_of_an_array() -> None:
    assert get_array_module(np.zeros(2)) is np
    assert get_array_module(np.float32(2)) is np
    assert get_array_module(strict(np.zeros(2))) is NAMESPACE


def test_a_strict_array_mixes_with_none_of_numpy() -> None:
    kept, plain = strict(random(3)), random(3)
    for mixed in (lambda: kept + plain, lambda: np.copyto(kept, plain), lambda: np.asarray(kept)):
        with pytest.raises(TypeError):
            mixed()
    with pytest.raises(TypeError):
        kept[...] = plain


@pytest.mark.parametrize("name", MAPS)
def test_linear_maps_stay_on_the_device(name: str) -> None:
    operator = MAPS[name]
    x, y = random(*operator.domain), random(*operator.range)
    same(operator.apply(strict(x)), operator.apply(x))
    same(operator.adjoint(strict(y)), operator.adjoint(y))


@pytest.mark.parametrize("name", FUNCTIONALS)
def test_functionals_stay_on_the_device(name: str) -> None:
    functional, x = FUNCTIONALS[name], random(SIZE)
    assert functional(strict(x)) == functional(x)
    same(functional.proxdual(strict(x), 0.7), functional.proxdual(x, 0.7))
    if name != "stacked":  # a concatenation, which no solver on the device needs
        same(functional.prox(strict(x), 0.7), functional.prox(x, 0.7))


def test_bounds_stay_on_the_device() -> None:
    x = random(*SHAPE)
    same(Box(0.0, 1.0).prox(strict(x), 1.0), Box(0.0, 1.0).prox(x, 1.0))
