"""The structures that the kernels take by value: NumPy records of the same layout, every number in the dtype of x."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fusionkit.engines.kernel import PixelwiseSpec, TotalVariation, power_parts
from fusionkit.terms import Array

SHAPE = np.dtype([("ny", np.int32), ("nx", np.int32)])
ROWS = np.dtype([("first", np.int32), ("step", np.int32), ("count", np.int32)])


def record(layout: np.dtype[Any], *values: Any) -> Array:
    """One structure, as an array of one element."""
    return np.array([values], layout)


def rows(ny: int, every: int) -> Array:
    """``Rows`` of kernels/check.cu: every so many of ny, as `fusionkit.engines.cpu.threads.spread` takes them."""
    first = every // 2
    return record(ROWS, first, every, len(range(first, ny, every)))


@lru_cache(8)  # the same for many iterations, and making it takes longer than a launch
def steps(dtype: np.dtype[Any], tau: float, sigma: float, relaxation: float) -> Array:
    """``Steps`` of kernels/iterate.cu."""
    layout = np.dtype([(name, dtype) for name in ("sigma", "tau", "inverse", "ahead", "behind")])
    return record(layout, sigma, tau, 1.0 / tau, relaxation, 1.0 - relaxation)


def ball(tv: TotalVariation | None, elements: int, dtype: np.dtype[Any]) -> Array:
    """``Ball`` of kernels/variation.cuh."""
    factors = np.array(tv.factors if tv and tv.factors else np.ones(elements), dtype)
    layout = np.dtype([(name, dtype, (elements,)) for name in ("radius", "factor")])
    return record(layout, factors * dtype.type(tv.weight if tv else 0.0), factors)


def fit(spec: PixelwiseSpec, elements: int, dtype: np.dtype[Any]) -> Array:
    """``Fit`` of kernels/pixel.cuh."""
    coupled, poisson, squares = spec.coupled, spec.poisson, spec.squares
    gamma = coupled.gamma if coupled else 1.0
    floor = coupled.floor if coupled else 1.0
    high, low, scaled = power_parts(gamma - 1.0, dtype)
    weight = coupled.weight if coupled else 0.0
    values: dict[str, Any] = {
        "high": high,
        "low": low,
        "scaled": scaled,
        "floor": floor,
        "floor_power": floor ** (gamma - 1.0),
        "coupled_weight": weight,
        "coupled_root": weight**0.5,
        "above": 0.5 * (gamma - 1.0),
        "below": (gamma - 1.0) / gamma,
        "poisson_weight": poisson.weight if poisson else 0.0,
        "epsilon": poisson.epsilon if poisson else 0.0,
        "mean_floor": poisson.floor if poisson else 0.0,
        "squares_weight": squares.weight if squares else 0.0,
        "lower": spec.lower,
        "upper": spec.upper,
        "rounding": 8 * np.finfo(dtype).eps,  # as in fusionkit.pixelwise
    }
    z = np.ravel(coupled.z).astype(np.float64) if coupled else np.ones(elements)
    steep = gamma * z * values["floor_power"] * values["coupled_root"]
    arrays = {"z": z, "slope": gamma * z, "bend": gamma * (gamma - 1.0) * z**2, "steep": steep}
    layout = np.dtype([*((name, dtype) for name in values), *((name, dtype, (elements,)) for name in arrays)])
    return record(layout, *values.values(), *arrays.values())
