r"""The joint pixelwise prox, compiled: the damped Newton steps that `fusionkit.pixelwise` defines.

Whether a step decreases a pixel's objective follows from differences of each term, such as
:math:`b \log((x' + \varepsilon) / (x + \varepsilon))` and :math:`(m' - m)(m' + m - 2 b) / 2`: they need one logarithm
instead of two and round less than the difference of two sums.
"""

from typing import Any, NamedTuple

import numpy as np

from fusionkit.engines.cpu.compile import (
    CHUNK,
    announce_compilation,
    apart,
    copy,
    couplings,
    inlined,
    kernel,
    merged,
    read_only,
    scratch,
)
from fusionkit.engines.cpu.mixture import Mixture, mixture_of
from fusionkit.engines.cpu.newton import newton
from fusionkit.engines.cpu.scalars import Chain, Other, chains_of, others_of, ours
from fusionkit.engines.cpu.threads import run, shares, thread_count
from fusionkit.engines.kernel_terms import PixelwiseSpec, PowerSumLeastSquares, power_parts
from fusionkit.terms import Array


class Fit(NamedTuple):
    """A `PixelwiseSpec` for the kernels: every number in the dtype of the unknown, empty arrays for absent data."""

    elements: int
    zero: Any
    third: Any
    half: Any
    one: Any
    tiny: Any
    infinite: Any
    rounding: Any
    images: int  # terms that couple the elements of a pixel
    coupled: bool  # whether there are any
    power: bool  # the first is a power sum
    linear: bool
    bounded: bool  # `newton.decreases` has bounds of the power
    z: Array
    gamma: Any
    high: Any
    low: Any
    scaled: Any
    floor: Any
    floor_power: Any
    coupled_weight: Any
    image: Array
    poisson: bool
    poisson_weight: Any
    epsilon: Any
    mean_floor: Any
    counts: Array
    squares: bool
    squares_weight: Any
    targets: Array
    lower: Any
    upper: Any
    others: tuple[Other, ...]
    chains: tuple[Chain, ...]
    mixture: tuple[Mixture, ...]


def fit_of(spec: PixelwiseSpec, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Fit:
    """The spec for the kernels.

    Parameters
    ----------
    spec : from `fusionkit.engines.kernel_terms.describe`.
    shape : of the unknown, (n, ny, nx).
    dtype : of the unknown, float32 or float64.
    """
    number = dtype.type
    poisson, squares = spec.poisson, spec.squares
    coupled = spec.coupled if isinstance(spec.coupled, PowerSumLeastSquares) else None
    gamma = coupled.gamma if coupled else 1.0
    high, low, scaled = power_parts(gamma - 1.0, dtype)
    floor = coupled.floor if coupled else 1.0
    return Fit(
        elements=shape[0],
        zero=number(0),
        third=number(1 / 3),
        half=number(0.5),
        one=number(1),
        tiny=number(2.0**-126),
        infinite=number(np.inf),
        rounding=number(8 * np.finfo(dtype).eps),  # as in fusionkit.pixelwise
        images=(spec.coupled is not None) + len(spec.images),
        coupled=spec.coupled is not None,
        power=coupled is not None,
        linear=gamma == 1.0,
        bounded=gamma <= 2.0,
        z=read_only(coupled.z if coupled else np.zeros(0), dtype).reshape(-1),
        gamma=number(gamma),
        high=high,
        low=low,
        scaled=scaled,
        floor=number(floor),
        floor_power=number(floor ** (gamma - 1.0)),
        coupled_weight=number(coupled.weight if coupled else 0.0),
        image=read_only(coupled.image if coupled else np.zeros((0, 0)), dtype),
        poisson=poisson is not None,
        poisson_weight=number(poisson.weight if poisson else 0.0),
        epsilon=number(poisson.epsilon if poisson else 0.0),
        mean_floor=number(poisson.floor if poisson else 0.0),
        counts=read_only(poisson.maps if poisson else np.zeros((0, 0, 0)), dtype),
        squares=squares is not None,
        squares_weight=number(squares.weight if squares else 0.0),
        targets=read_only(squares.maps if squares else np.zeros((0, 0, 0)), dtype),
        lower=number(spec.lower),
        upper=number(spec.upper),
        others=others_of(spec, shape[0], dtype),
        chains=chains_of(spec, dtype),
        mixture=mixture_of(spec, dtype),
    )


@inlined
def prox_input(x: Any, pulled: Any, inverse: Any, fit: Any, held: Any, target: Any, m: int) -> None:
    """target = x - tau K'p, the argument of the joint prox, and held = x within the bounds, where Newton starts."""
    for k in range(m):
        target[k] = x[k] - pulled[k] / inverse[k]
        above = fit.lower if x[k] < fit.lower else x[k]
        held[k] = fit.upper if above > fit.upper else above


@merged
def primal_step(
    x: Any, held: Any, target: Any, new: Any, work: Any, fit: Any, inverse: Any, primal: Any, steps: int, at: Any
) -> float:
    """x <- behind x + ahead prox(target); returns ||(x+ - x) / tau||^2 of the chunk, 0 with over-relaxation.

    Parameters
    ----------
    x : the unknown, shape (n, ny, nx); the chunk is overwritten.
    inverse : 1 / tau at each value of the chunk.
    primal : ahead = rho and behind = 1 - rho.
    steps : Newton steps of the prox.
    """
    j, first, m = at
    ahead, behind = primal
    newton(held, target, new, work, fit, inverse, steps, at)
    moved = 0.0
    if behind == fit.zero:
        for i in range(fit.elements):
            moved += apart(x[i, j, first : first + m], new[i], inverse[i], m)
    for i in range(fit.elements):
        _advance(x[i, j, first : first + m], new[i], ahead, behind, m)
    return moved


@inlined
def _advance(x: Any, new: Any, ahead: Any, behind: Any, m: int) -> None:
    """x <- behind x + ahead new, over-relaxation."""
    for k in range(m):
        x[k] = behind * x[k] + ahead * new[k]


@inlined
def fill(array: Any, value: Any, elements: int) -> None:
    """Set the rows of the elements to one value."""
    for i in range(elements):
        row = array[i]
        for k in range(row.shape[0]):
            row[k] = value


@kernel
def _prox(v: Any, start: Any, out: Any, fit: Any, inverse: Any, steps: int, row: int, end: int) -> None:
    n, nx = v.shape[0], v.shape[2]
    x, target, new = scratch(v), scratch(v), scratch(v)
    inverses = scratch(v)
    fill(inverses, inverse, n)
    work = (couplings(v), scratch(v), scratch(v), scratch(v))
    for j in range(row, end):
        for first in range(0, nx, CHUNK):
            m = min(CHUNK, nx - first)
            for i in range(n):
                copy(start[i, j, first : first + m], x[i], m)
                copy(v[i, j, first : first + m], target[i], m)
            newton(x, target, new, work, fit, inverses, steps, (j, first, m))
            for i in range(n):
                copy(new[i], out[i, j, first : first + m], m)


def announce(spec: PixelwiseSpec, dtype: np.dtype[Any]) -> None:
    """Log that the kernels are about to be compiled for ``dtype``, unless they are in the cache."""
    announce_compilation(_prox[ours(spec)], dtype)


def prox(
    spec: PixelwiseSpec,
    v: Array,
    step: float,
    start: Array,
    newton_steps: int = 1,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """The joint prox at ``v``, defined by `fusionkit.pixelwise.PixelwiseProx`.

    Parameters
    ----------
    spec : the terms with the bounds.
    v : point, shape (n, ny, nx), float32 or float64.
    step : t > 0.
    start : start of Newton's method, within the bounds.
    newton_steps : number of Newton steps.
    out : receives the result, C-contiguous; may be ``start`` but not ``v``.
    threads : number of threads; None for `fusionkit.engines.cpu.threads.thread_count`.
    """
    out = np.empty(v.shape, v.dtype) if out is None else out
    fit, number = fit_of(spec, v.shape, v.dtype), v.dtype.type
    arguments = (read_only(v, v.dtype), read_only(start, v.dtype), out, fit, number(1.0 / step), newton_steps)
    run(_prox[ours(spec)], [(*arguments, *rows) for rows in shares(v.shape[1], thread_count(threads))])
    return out
