"""The CUDA C++ source of the kernels, specialised for a problem by macros."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from fusionkit.engines import sums as fast_sums
from fusionkit.engines.kernel import PixelwiseSpec, TotalVariation

KERNELS = ("iterate", "prox", "collect", "stationarity", "apart")
_ATTEMPTS = 8  # lengths of a Newton step that are tried, as in fusionkit.pixelwise
# each file uses what stands before it
_FILES = ("numbers.cuh", "pixel.cuh", "newton.cuh", "variation.cuh", "iterate.cu", "check.cu")
_COLUMNS = {
    "COUPLED_VALUE": fast_sums.COUPLED,
    "POISSON_VALUE": fast_sums.POISSON,
    "SQUARES_VALUE": fast_sums.SQUARES,
    "TV_VALUE": fast_sums.TV,
    "TURN": fast_sums.TURN,
    "SIZE": fast_sums.SIZE,
    "DUAL": fast_sums.DUAL,
    "OUTSIDE": fast_sums.OUTSIDE,
    "INNER": fast_sums.INNER,
    "SUMS": fast_sums.SUMS,
}


def macros(
    spec: PixelwiseSpec, tv: TotalVariation | None, elements: int, dtype: np.dtype[Any], newton_steps: int
) -> dict[str, str]:
    """What the source is specialised for.

    Parameters
    ----------
    spec : the pixelwise terms with the bounds.
    tv : the total variation; None for no penalty.
    elements : n.
    dtype : of the unknown, float32 or float64.
    newton_steps : of the joint prox in each iteration.
    """
    gamma = spec.coupled.gamma if spec.coupled else 1.0
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
