"""Total generalised variation of second order: ramps cost nothing, edges stay sharp."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np
import pylops

from fusionkit.build import Context
from fusionkit.linear import PylopsMap
from fusionkit.operators.gradient import GradientMap, gradient_map
from fusionkit.operators.norms import L21
from fusionkit.operators.penalty import ComposedPenalty
from fusionkit.operators.stacked import StackedNorms
from fusionkit.operators.symmetric_gradient import symmetric_gradient_map
from fusionkit.options import Options, Positive, Weight


class TGVOptions(Options):
    """Options of ``tgv``."""

    weight: Weight = 1.0
    ratio: Positive = 2.0
    name: str | None = None


def tgv(options: TGVOptions, context: Context) -> ComposedPenalty:
    r"""Total generalised variation of second order, each map on its own.

    .. math:: T(x) = \min_w \ \alpha_1 \|\nabla x - M w\|_{2,1} + \alpha_0 \|E w\|_{2,1}

    with the forward differences of `tv`, the symmetrised backward differences E (`symmetric_gradient_map`) and the
    auxiliary field w, which has the shape of the gradient: (2, n, ny, nx) for x (n, ny, nx). M leaves out the
    components of w across the last row and column, where there is no difference of x for them to follow; affine maps
    thus cost nothing right up to the border. As a composed term it is g(K x + A w) with K x = (grad x, 0) and
    A w = (-M w, E w), both flat; ``value`` takes w = 0, which is the isotropic TV, an upper bound.
    Source: Bredies, Kunisch, Pock, SIAM J. Imaging Sci. 3, 492 (2010).

    Parameters
    ----------
    weight : alpha_1 >= 0.
    ratio : alpha_0 / alpha_1 > 0, in pixels: the larger, the longer the ramps must be to pass as ramps.
    """
    grad = gradient_map(context.shape, context.dtype)
    second = symmetric_gradient_map(context.shape, context.dtype)
    sizes = (prod(grad.range), prod(second.range))
    lift = pylops.VStack([grad.operator, pylops.Zero(sizes[1], prod(grad.domain), dtype=context.dtype)])
    inside = pylops.Diagonal(-_has_difference(grad, context.dtype).ravel(), dtype=context.dtype)
    field = pylops.VStack([inside, second.operator])
    norms = (L21(grad.range[0], options.weight), L21(second.range[0], options.weight * options.ratio))
    return ComposedPenalty(
        StackedNorms(norms, sizes),
        PylopsMap(lift, grad.domain, (sum(sizes),), grad.norm),
        options.name or "tgv",
        # |A w|^2 = |M w|^2 + |E w|^2 <= (1 + |E|^2) |w|^2
        PylopsMap(field, second.domain, (sum(sizes),), sqrt(1 + second.norm**2)),
    )


def _has_difference(grad: GradientMap, dtype: np.dtype[np.floating]) -> np.ndarray:
    """1 where the gradient takes a difference, 0 at the last row or column."""
    mask = np.ones(grad.range, dtype)
    for axis, part in zip(grad.axes, mask, strict=True):
        np.moveaxis(part, axis, 0)[-1] = 0
    return mask
