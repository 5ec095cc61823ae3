r"""What the compiled kernels can solve: a description of pixelwise terms that needs neither NumPy code nor operators.

A fidelity says what it is by an attribute ``kernel``; `supported` turns a sum of such terms into a `PixelwiseSpec`, or
into None where a term has no description or the kernels do not take the combination.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fusionkit.terms import Array, Bounds, Term

MOST_ELEMENTS = 8  # maps that the kernels take


@dataclass(frozen=True, eq=False)
class PowerSumLeastSquares:
    r""":math:`\frac{w}{2} \| \sum_i \max(Z_i x_i, 0)^\gamma - b \|^2`; for gamma = 1 the sum without the maximum.

    Parameters
    ----------
    z : Z_i, shape (n,).
    gamma : exponent, in [1, 4].
    floor : the second derivative of the power is that at Z x = floor wherever Z x is less.
    weight : w >= 0.
    image : b, shape (ny, nx).
    """

    z: Array
    gamma: float
    floor: float
    weight: float
    image: Array


@dataclass(frozen=True, eq=False)
class PoissonMaps:
    r""":math:`w \sum (x - b \log(x + \varepsilon))` on the maps themselves.

    Parameters
    ----------
    weight : w >= 0.
    epsilon : background, >= 0.
    floor : derivatives are those at x + epsilon = floor wherever it is less.
    maps : b >= 0, shape (n, ny, nx).
    """

    weight: float
    epsilon: float
    floor: float
    maps: Array


@dataclass(frozen=True, eq=False)
class LeastSquaresMaps:
    r""":math:`\frac{w}{2} \|x - b\|^2` on the maps themselves.

    Parameters
    ----------
    weight : w >= 0.
    maps : b, shape (n, ny, nx).
    """

    weight: float
    maps: Array


@dataclass(frozen=True, eq=False)
class TotalVariation:
    r""":math:`\lambda \sum |(I - \xi \xi^\top) \nabla x|` of maps (n, ny, nx), with isotropic lengths at each pixel.

    Parameters
    ----------
    weight : lambda >= 0.
    joint : whether the length is that of all maps together; else of each on its own.
    xi : the field, shape (2, ny, nx); None for zero.
    factors : of the weight, one for each map; None for 1, as where the maps share a length.
    """

    weight: float
    joint: bool = False
    xi: Array | None = None
    factors: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TotalGeneralisedVariation:
    r""":math:`\min_w \alpha_1 \|\nabla x - M w\|_{2,1} + \alpha_0 \|E w\|_{2,1}` of maps (n, ny, nx).

    Parameters
    ----------
    weight : alpha_1 >= 0.
    ratio : alpha_0 / alpha_1 > 0.
    joint : whether the lengths are those of all maps together.
    """

    weight: float
    ratio: float
    joint: bool


Kernel = PowerSumLeastSquares | PoissonMaps | LeastSquaresMaps | TotalVariation | TotalGeneralisedVariation


@runtime_checkable
class HasKernel(Protocol):
    """A term that compiled kernels may know."""

    @property
    def kernel(self) -> Kernel | None:
        """What the term is; None where no kernel knows it."""
        ...


@dataclass(frozen=True, eq=False)
class PixelwiseSpec:
    """A sum of pixelwise terms within bounds, at most one of a kind.

    Parameters
    ----------
    coupled : the fit that couples the elements of a pixel.
    poisson, squares : fits of the maps themselves.
    lower, upper : bounds of every value; infinite where there is none.
    """

    coupled: PowerSumLeastSquares | None = None
    poisson: PoissonMaps | None = None
    squares: LeastSquaresMaps | None = None
    lower: float = -np.inf
    upper: float = np.inf


def supported(terms: Sequence[Term], bounds: Bounds, shape: tuple[int, ...]) -> PixelwiseSpec | None:
    """The terms as the kernels take them; None where they do not.

    Parameters
    ----------
    terms : pixelwise terms.
    bounds : their intersection; only bounds that are the same at every pixel and element are known.
    shape : of the unknown.
    """
    if len(shape) != 3 or shape[0] > MOST_ELEMENTS or 0 in shape:
        return None
    if np.ndim(bounds.lower) or np.ndim(bounds.upper):
        return None
    spec = PixelwiseSpec(lower=float(bounds.lower), upper=float(bounds.upper))
    for term in terms:
        joined = _join(spec, term.kernel) if isinstance(term, HasKernel) else None
        if joined is None:
            return None
        spec = joined
    return spec


def _join(spec: PixelwiseSpec, kernel: Kernel | None) -> PixelwiseSpec | None:
    """The description with one more term; None where it has one of the kind."""
    match kernel:
        case PowerSumLeastSquares() if spec.coupled is None and 1 <= kernel.gamma <= 4:
            return replace(spec, coupled=kernel)
        case PoissonMaps() if spec.poisson is None:
            return replace(spec, poisson=kernel)
        case LeastSquaresMaps() if spec.squares is None:
            return replace(spec, squares=kernel)
    return None


def power_parts(y: float, dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """The exponent ``y`` in (0, 4] as kernels take it: a part of at most 16 bits, the rest, and y log2(e)."""
    number = dtype.type
    high = number(round(y * 2**13) / 2**13)
    return high, number(y - float(high)), number(y * math.log2(math.e))
