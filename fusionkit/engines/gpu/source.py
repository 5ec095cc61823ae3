"""The CUDA C++ source of the kernels, specialised for a problem by macros, and their structures."""

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from fusionkit.engines import sums
from fusionkit.engines.kernel_terms import PixelwiseSpec, PowerSumLeastSquares, TotalVariation, power_parts
from fusionkit.terms import Array

KERNELS = ("iterate", "prox", "collect", "stationarity", "apart")
_ATTEMPTS = 8  # step lengths to try, as in fusionkit.pixelwise
# each file uses the ones before it
_FILES = ("numbers.cuh", "pixel.cuh", "newton.cuh", "variation.cuh", "iterate.cu", "check.cu")
_COLUMNS = {
    "COUPLED_VALUE": sums.COUPLED,
    "POISSON_VALUE": sums.POISSON,
    "SQUARES_VALUE": sums.SQUARES,
    "TV_VALUE": sums.TV,
    "DUAL_GRADIENT": sums.DUAL_GRADIENT,
    "SIZE": sums.SIZE,
    "DUAL": sums.DUAL,
    "OUTSIDE": sums.OUTSIDE,
    "INNER": sums.INNER,
    "SUMS": sums.SUMS,
}
SHAPE = np.dtype([("ny", np.int32), ("nx", np.int32)])
ROWS = np.dtype([("first", np.int32), ("step", np.int32), ("count", np.int32)])


def macros(
    spec: PixelwiseSpec, tv: TotalVariation | None, elements: int, dtype: np.dtype[Any], newton_steps: int
) -> dict[str, str]:
    """The macros that specialise the source.

    Parameters
    ----------
    spec : the pixelwise terms with the bounds.
    tv : the total variation; None for no penalty.
    elements : n.
    dtype : of the unknown, float32 or float64.
    newton_steps : Newton steps of the joint prox in each iteration.
    """
    gamma = spec.coupled.gamma if isinstance(spec.coupled, PowerSumLeastSquares) else 1.0
    flags = {
        "EXACT": dtype == np.float64,
        "COUPLED": spec.coupled is not None,
        "LINEAR": gamma == 1.0,
        "BOUNDED": gamma <= 2.0,
        "POISSON": spec.poisson is not None,
        "SQUARES": spec.squares is not None,
        "PENALTY": tv is not None,
        "JOINT": tv is not None and tv.joint,
        "GUIDED": tv is not None and tv.xi is not None,
    }
    numbers = {"N": elements, "STEPS": newton_steps, "ATTEMPTS": _ATTEMPTS, **_COLUMNS}
    return {
        "REAL": "double" if dtype == np.float64 else "float",
        **{name: str(int(flag)) for name, flag in flags.items()},
        **{name: str(number) for name, number in numbers.items()},
    }


def source(defined: Mapping[str, str]) -> str:
    """The text of all kernels with these macros."""
    lines = [f"#define {name} {value}\n" for name, value in defined.items()]
    return "".join(lines) + _text()


@cache
def _text() -> str:
    folder = files("fusionkit.engines.gpu") / "kernels"
    return "\n".join((folder / name).read_text("utf-8") for name in _FILES)


def record(layout: np.dtype[Any], *values: Any) -> Array:
    """A structure, as an array of one element."""
    return np.array([values], layout)


def rows(ny: int, stride: int) -> Array:
    """``Rows`` of kernels/check.cu: the rows of a sample, those of `fusionkit.engines.cpu.threads.spread`."""
    first = stride // 2
    return record(ROWS, first, stride, len(range(first, ny, stride)))


@lru_cache(8)  # making it takes longer than a launch
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
    poisson, squares = spec.poisson, spec.squares
    coupled = spec.coupled if isinstance(spec.coupled, PowerSumLeastSquares) else None
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
