r"""The terms that compiled kernels take, as descriptions without NumPy code or operators.

The attribute ``kernel`` of a term is its description. `describe` turns a sum of pixelwise terms into a `PixelwiseSpec`,
or says why kernels do not take it. Kernels run whole iterations with a penalty that has a row in `ENGINES`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fusionkit.engines.losses import LeastSquares, LossScalars, Poisson, ScalarFunction
from fusionkit.terms import Array, Bounds, Term

MOST_ELEMENTS = 32  # the kernels hold a chunk of each map on the stack
MOST_IMAGES = 3  # terms that couple the elements of a pixel


class Kernel:
    """The description of a term for the kernels."""


@dataclass(frozen=True, eq=False)
class PowerSumLeastSquares(Kernel):
    r""":math:`\frac{w}{2} \| \sum_i \max(Z_i x_i, 0)^\gamma - b \|^2`; for gamma = 1 the sum without the maximum."""

    z: Array  # Z_i, shape (n,)
    gamma: float  # exponent, in [1, 4]
    floor: float  # below Z x = floor the second derivative of the power is that at the floor
    weight: float  # w >= 0
    image: Array  # b, shape (ny, nx)


@dataclass(frozen=True, eq=False)
class PoissonMaps(Kernel):
    r""":math:`w \sum (x - b \log(x + \varepsilon))` on the maps themselves."""

    weight: float  # w >= 0
    epsilon: float  # background, >= 0
    floor: float  # below x + epsilon = floor the derivatives are those at the floor
    maps: Array  # b >= 0, shape (n, ny, nx)


@dataclass(frozen=True, eq=False)
class LeastSquaresMaps(Kernel):
    r""":math:`\frac{w}{2} \|x - b\|^2` on the maps themselves."""

    weight: float  # w >= 0
    maps: Array  # b, shape (n, ny, nx)


@dataclass(frozen=True, eq=False)
class LossOfMaps(Kernel):
    r""":math:`w \sum_k \varphi(s_k x_{i(k)} + B_k; b_k)` for some of the maps.

    Parameters
    ----------
    loss : phi.
    weight : w >= 0.
    data : b, shape (k, ny, nx).
    indices : i(k), each at most once; None for all maps.
    factors : s_k > 0; None for 1.
    background : B, of the shape of the data; None for 0.
    """

    loss: LossScalars
    weight: float
    data: Array
    indices: tuple[int, ...] | None = None
    factors: tuple[float, ...] | None = None
    background: Array | None = None


@dataclass(frozen=True, eq=False)
class LossOfMixture(Kernel):
    r""":math:`w \sum_k \varphi(\sum_i M_{ki} x_i + B_k; b_k)`: every map contributes to every datum of a pixel."""

    loss: LossScalars  # phi
    weight: float  # w >= 0
    data: Array  # b, shape (k, ny, nx)
    matrix: Array  # M >= 0, shape (k, n)
    background: Array | None = None  # B, of the shape of the data; None for 0


@dataclass(frozen=True, eq=False)
class LossOfSum(Kernel):
    r""":math:`w \sum \varphi(f(s); b)`, one value :math:`s = \sum_i (z_i x_i)^\gamma` at each pixel.

    Parameters
    ----------
    loss : phi.
    weight : w >= 0.
    data : b, shape (ny, nx).
    z : z_i, shape (n,).
    chain : f; None for the sum itself.
    gamma, floor : as in `PowerSumLeastSquares`; for gamma = 1 the plain sum.
    """

    loss: LossScalars
    weight: float
    data: Array
    z: Array
    chain: ScalarFunction | None = None
    gamma: float = 1.0
    floor: float = 1.0


@dataclass(frozen=True, eq=False)
class TotalVariation(Kernel):
    r""":math:`\lambda \sum h(|(I - \xi \xi^\top) \nabla x|)` of maps (n, ny, nx), by lengths at each pixel."""

    weight: float  # lambda >= 0
    joint: bool = False  # whether the length at a pixel is that of all maps together
    xi: Array | None = None  # the field, shape (2, ny, nx); None for zero
    factors: tuple[float, ...] | None = None  # of the weight, one for each map; None for 1
    anisotropic: bool = False  # whether the differences along rows and columns count alone
    smoothing: float = 0.0  # alpha of Huber's function h; 0 for h(t) = t
    norm: float = 0.0  # of the differences

    @property
    def isotropic(self) -> bool:
        """Whether it is a sum of lengths."""
        return not (self.anisotropic or self.smoothing)


@dataclass(frozen=True)
class TotalGeneralisedVariation(Kernel):
    r""":math:`\min_w \alpha_1 \|\nabla x - M w\|_{2,1} + \alpha_0 \|E w\|_{2,1}` of maps (n, ny, nx)."""

    weight: float  # alpha_1 >= 0
    ratio: float  # alpha_0 / alpha_1 > 0
    joint: bool  # whether the lengths are those of all maps together
    field_norm: float  # upper bound of the norm of w -> (-M w, E w)


@dataclass(frozen=True)
class Curvature(Kernel):
    r""":math:`\lambda \|L x\|_1` or :math:`\tfrac{\lambda}{2} \|L x\|^2` of maps (n, ny, nx), L the Laplacian."""

    weight: float  # lambda >= 0
    squared: bool  # whether it is the second
    norm: float  # of L


# the class that iterates with each penalty: an `fusionkit.engines.engine.Engine`, or only a part of one
ENGINES: dict[type[Kernel], str] = {
    TotalVariation: "fusionkit.engines.cpu.tv:TVEngine",
    TotalGeneralisedVariation: "fusionkit.engines.cpu.tgv:TGVEngine",
    Curvature: "fusionkit.engines.cpu.curvature:CurvatureEngine",
}
FUSED = (TotalVariation, TotalGeneralisedVariation)  # an iteration with one of them is one pass over memory, or two


def leading(penalties: Sequence[Kernel]) -> int:
    """Index of the penalty whose iteration moves x: total variation, else TGV or Huber's; their number if none does."""
    plain = [index for index, one in enumerate(penalties) if isinstance(one, TotalVariation) and not one.smoothing]
    fused = [index for index, one in enumerate(penalties) if isinstance(one, FUSED)]
    return (*plain, *fused, len(penalties))[0]


SEVERAL = "fusionkit.engines.cpu.several:SeveralEngine"  # takes any number of penalties


@runtime_checkable
class HasKernel(Protocol):
    """A term that may have a compiled kernel."""

    @property
    def kernel(self) -> Kernel | None:
        """The description; None if no kernel takes the term."""
        ...


def kernel_of(term: Term) -> Kernel | None:
    """The description of a term for the kernels; None if it has none."""
    return term.kernel if isinstance(term, HasKernel) else None


@dataclass(frozen=True, eq=False)
class PixelwiseSpec:
    """A sum of pixelwise terms within bounds."""

    coupled: PowerSumLeastSquares | LossOfSum | None = None  # the first fidelity that couples the elements of a pixel
    poisson: PoissonMaps | None = None  # of the maps themselves
    squares: LeastSquaresMaps | None = None  # of the maps themselves
    lower: float = -np.inf  # of every value; infinite for no bound
    upper: float = np.inf
    others: tuple[LossOfMaps, ...] = ()  # further losses of the maps
    mixture: LossOfMixture | None = None  # a loss of sums of the maps
    images: tuple[LossOfSum, ...] = ()  # further fidelities that couple the elements
    order: tuple[int, ...] = ()  # index of each described term in `weights`

    @property
    def fits(self) -> tuple[Any, ...]:
        """The coupled term, Poisson, squares and `further`; None for an absent one."""
        return (self.coupled, self.poisson, self.squares, *self.further)

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights of `fits`; 0 for an absent one."""
        return tuple(fit.weight if fit else 0.0 for fit in self.fits)

    @property
    def further(self) -> tuple[LossOfMaps | LossOfMixture | LossOfSum, ...]:
        """The further losses of the maps, the mixture, if any, and the further images."""
        return (*self.others, *(() if self.mixture is None else (self.mixture,)), *self.images)


class Unsupported(Exception):
    """The reason why the kernels do not take a sum of pixelwise terms."""


def describe(terms: Sequence[Term], bounds: Bounds, shape: tuple[int, ...]) -> PixelwiseSpec:
    """The pixelwise terms for the kernels.

    `Unsupported`, which names the term and the reason, if one has no kernel.

    Parameters
    ----------
    terms : pixelwise terms.
    bounds : the intersection of all bounds.
    shape : of the unknown.
    """
    kernels = [_checked(term) for term in terms]
    first: dict[Any, Any] = {kind: next((one for one in kernels if isinstance(one, kind)), None) for kind in _SPECIAL}
    images = [one for one in kernels if isinstance(one, PowerSumLeastSquares | LossOfSum)]
    coupled = first[PowerSumLeastSquares] or next(iter(images), None)
    kernels = [one if one is coupled or one in first.values() else _general(one) for one in kernels]
    spec = PixelwiseSpec(
        coupled,
        first[PoissonMaps],
        first[LeastSquaresMaps],
        others=tuple(one for one in kernels if isinstance(one, LossOfMaps)),
        mixture=next((one for one in kernels if isinstance(one, LossOfMixture)), None),
        images=tuple(one for one in kernels if isinstance(one, LossOfSum) and one is not coupled),
    )
    for term, kernel in zip(terms, kernels, strict=True):
        if kernel in spec.images[MOST_IMAGES - 1 :]:
            raise Unsupported(f"{term.name} couples the elements after {MOST_IMAGES} other terms, the most in kernels")
        if kernel not in spec.fits:
            raise Unsupported(f"{term.name} is the second mixture of the maps, but the kernels take one")
    spec = replace(spec, order=tuple(spec.fits.index(kernel) for kernel in kernels))
    if len(shape) != 3 or 0 in shape:
        raise Unsupported(f"the kernels take maps (n, ny, nx), but the unknown has the shape {shape}")
    if shape[0] > MOST_ELEMENTS:
        raise Unsupported(f"the kernels take at most {MOST_ELEMENTS} elements, but there are {shape[0]}")
    if np.ndim(bounds.lower) or np.ndim(bounds.upper):
        raise Unsupported("the kernels take one lower and one upper bound, but the bounds differ between values")
    return replace(spec, lower=float(bounds.lower), upper=float(bounds.upper))


_SPECIAL: tuple[Any, ...] = (PowerSumLeastSquares, PoissonMaps, LeastSquaresMaps)  # the first of each has its own code


def _checked(term: Term) -> Kernel:
    """The kernel of a term, if it is one of pixels within its limits."""
    kernel = kernel_of(term)
    match kernel:
        case PowerSumLeastSquares() | LossOfSum() if not 1 <= kernel.gamma <= 4:
            raise Unsupported(f"the kernels take exponents from 1 to 4, but that of {term.name} is {kernel.gamma:g}")
        case LossOfMixture() if len(kernel.data) > MOST_ELEMENTS:
            raise Unsupported(f"the kernels take at most {MOST_ELEMENTS} data a pixel, but {term.name} has more")
        case PoissonMaps() | LeastSquaresMaps() | LossOfMaps() | LossOfMixture() | PowerSumLeastSquares() | LossOfSum():
            return kernel
    raise Unsupported(f"no kernel is compiled for {term.name}")


def _general(kernel: Kernel) -> Kernel:
    """The kernel by scalars; unchanged if it has no such form."""
    match kernel:
        case PoissonMaps():
            return LossOfMaps(Poisson(kernel.epsilon, kernel.floor), kernel.weight, kernel.maps)
        case LeastSquaresMaps():
            return LossOfMaps(LeastSquares(), kernel.weight, kernel.maps)
        case PowerSumLeastSquares():
            one = kernel
            return LossOfSum(LeastSquares(), one.weight, one.image, one.z, None, one.gamma, one.floor)
    return kernel


def power_parts(y: float, dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """The exponent ``y`` in (0, 4] for kernels: a part of at most 16 bits, the rest, and y log2(e)."""
    number = dtype.type
    high = number(round(y * 2**13) / 2**13)
    return high, number(y - float(high)), number(y * math.log2(math.e))
