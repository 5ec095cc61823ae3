r"""Local steps of primal-dual iterations, where pixelwise terms are concave.

At a pixel with the second derivative -c and free dual variables on its four edges, the linearised iteration spirals
outward unless :math:`(2 - \rho) 4 \sigma > c`, and sigma must be longer where edges are saturated. One sigma for all
pixels would have to suit the few worst of them. So the edges of a concave pixel get the dual step sigma (1 + b / 4),
b = 0, 1, ..., and the primal step follows from the edges e of a pixel: :math:`1 / \tau_i = 2 \sum_e \sigma_e`, with
which :math:`\|\Sigma^{1/2} K T^{1/2}\| \le 1` for the forward differences K. b = 0 gives sigma and 1 / (8 sigma).

A pixel that leaves a saddle needs none of this, but a step as long as elsewhere: its dual variables are saturated. So
the longer a value moves in one direction, the less its edges are lengthened.

In a sum of penalties, every total variation has these edges and its share of 1 / tau; TGV beside it keeps its sigma.

With total generalised variation each difference also has a value of w: :math:`1 / \tau_i = 3 \sum_e \sigma_e`. The
second differences take 2 sigma, and w at a pixel :math:`1 / \tau = 3 \sigma_e + 16 \sigma`, by the same rule.

Source of diagonal steps: T. Pock, A. Chambolle, IEEE Int. Conf. Comput. Vis. (2011), 1762. Sigma by concavity is new.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fusionkit.engines.choose import penalties_of
from fusionkit.engines.kernel_terms import FUSED, Kernel, TotalGeneralisedVariation, TotalVariation, kernel_of, leading
from fusionkit.problem import Split
from fusionkit.terms import Array

SECOND = 2.0  # sigma of the second differences of TGV over that of the first: 1 and 4 take up to a third more


class LocalRule(NamedTuple):
    """How steps follow the curvature and the certificate; see docs/decisions.md."""

    # margin, later: sigma over the concavity c is margin (1 / sqrt(shrink) - later), with the
    # `fusionkit.solvers.steps.StallRule`: with ``later`` = 1 none before a first stall. TV: from 0.9 to 2.5 DyScO3 and
    # phantoms take about as many iterations.
    margin: float
    later: float
    high: float  # stationarity over alignment that an improving solve keeps at most, and 1 at least; see `Balance`


RULES: dict[type[Kernel | None], LocalRule] = {
    TotalVariation: LocalRule(1.5, 0.0, 50.0),
    TotalGeneralisedVariation: LocalRule(0.35, 1.0, 20.0),
}
MOST = 10  # looks with one direction that count
STAYS = 13 / 16  # the least of the former b that stays; a half at a pixel that drifts


@dataclass(frozen=True)
class PixelSteps:
    """The local steps of a look, and the moves of the values since the look before; arrays of the shape of x."""

    boost: npt.NDArray[Any]  # b, uint8
    seen: Array  # x
    runs: npt.NDArray[Any]  # looks at which a value has moved upward, or minus those downward, int8
    drift: float = 0.0  # 1 where every value goes on as before, -1 where all turn back, by squares of moves over tau


def rule_of(split: Split) -> LocalRule | None:
    """The rule for TV or TGV alone, or for TV beside TV and TGV; None on a GPU, and with other penalties."""
    penalties = penalties_of(split)
    # the prox of the conjugate of Huber's function depends on sigma; a Laplacian lags where tau is short
    others = any(one.smoothing if isinstance(one, TotalVariation) else not isinstance(one, FUSED) for one in penalties)
    penalty = penalties[leading(penalties)] if penalties and not others else None
    if split.problem.engine == "cupy" or (len(penalties) > 1 and not isinstance(penalty, TotalVariation)):
        return None
    rule = RULES.get(type(penalty))
    # often just one edge of a pixel is free, which alone has to meet the condition of four
    anisotropic = isinstance(penalty, TotalVariation) and penalty.anisotropic
    return rule._replace(margin=2.0 * rule.margin) if rule and anisotropic else rule


def local_boost(split: Split, x: Array, scale: float, former: PixelSteps | None) -> PixelSteps | None:
    """The local steps at ``x``; None without a rule or without concavity.

    Parameters
    ----------
    split : the problem.
    x : the iterate.
    scale : 1 + b / 4 at a pixel with the concavity c is at least ``scale`` c, unless the pixel or a neighbour drifts.
    former : of the last look; b keeps a part of it: an orbit is more concave on one side.
    """
    concave = [term for term in split.pixelwise if not term.convex]
    parts = [part for term in concave if (part := term.concavity(x)) is not None]
    if rule_of(split) is None or not parts:
        return None
    runs, drift = np.zeros(x.shape, np.int8), 0.0
    if former is not None:
        move = x - former.seen
        up, before = np.sign(move).astype(np.int8), np.sign(former.runs)
        runs = np.where(up == before, np.clip(former.runs + up, -MOST, MOST), up)
        squares = (move * (1.0 + former.boost / 4.0)).astype(np.float64) ** 2
        drift = float((squares * up * before).sum() / (squares.sum() or 1.0))
    beyond = np.maximum(_greatest(np.abs(runs)) - 2, 0).astype(x.dtype)  # moves in one direction after two
    need = _greatest(np.asarray(4.0 * scale * sum(parts))) * (2 / (2 + beyond * beyond)) - 4
    kept = 0 if former is None else former.boost * np.where(beyond > 0, 0.5, STAYS)
    new: Any = np.clip(np.maximum(need, kept), 0, 255).astype(np.uint8)
    if any(isinstance(one, FUSED) and one.joint for one in penalties_of(split)):
        new[:] = new.max(axis=0)
    return PixelSteps(new, x.copy(), runs, drift)


def _greatest(values: Array) -> Array:
    """The greatest of each pixel and its neighbours below and to the right."""
    most = values.copy()
    np.maximum(most[:, :-1], values[:, 1:], out=most[:, :-1])
    np.maximum(most[:, :, :-1], values[:, :, 1:], out=most[:, :, :-1])
    return most


class Steps(NamedTuple):
    """Steps of one iteration."""

    x: Any  # tau, a number or an array of the shape of x
    # of each composed term, parts of its dual variable with the sigma of each
    duals: tuple[tuple[tuple[slice, Any], ...], ...]
    auxiliary: tuple[Any, ...]  # tau of each auxiliary unknown


def diagonal_steps(split: Split, tau: float, sigmas: Sequence[float], boost: Array | None, dtype: np.dtype) -> Steps:
    """The steps that ``boost`` makes local and TGV scales; tau and sigma else."""
    number, step, factor = dtype.type, dtype.type(tau), dtype.type(1.0)
    if boost is not None:
        step, factor = local_steps(boost, tau, dtype)
    duals, auxiliary = [], []
    for term, sigma in zip(split.coupling.terms, sigmas, strict=True):
        is_tgv = isinstance(kernel_of(term), TotalGeneralisedVariation)
        its = factor if len(sigmas) == 1 or not is_tgv else number(1.0)
        parts = [(slice(0, 2 if is_tgv else None), number(sigma) * its)]
        if is_tgv:
            parts.append((slice(2, None), number(SECOND * sigma)))
        duals.append(tuple(parts))
        auxiliary.append(number(1.0 / sigma) / (3 * its + number(8.0 * SECOND)) if is_tgv else number(tau))
    return Steps(step, tuple(duals), tuple(auxiliary))


def local_steps(boost: npt.NDArray[Any], tau: float, dtype: np.dtype) -> tuple[Array, Array]:
    """tau at each value, and the factor of sigma, both of the shape of x."""
    factor = (1.0 + boost / 4.0).astype(dtype)
    edges = 2.0 * factor
    edges[:, 1:] += factor[:, :-1]
    edges[:, :1] += factor[:, :1]
    edges[:, :, 1:] += factor[:, :, :-1]
    edges[:, :, :1] += factor[:, :, :1]
    return dtype.type(4.0 * tau) / edges, factor
