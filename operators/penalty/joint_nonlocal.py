r"""A joint non-local penalty: it pulls the maps towards a consensus of groups of similar patches.

.. math:: T(x) = \frac{w}{2} \sum_i \sum_r \frac{(x_i(r) - a_i(r))^2}{v_i(r)}

v is the variance of the noise of the data. a is the mean, over all patches that contain a pixel, of the patches z that
minimise, for each group g of K patches P_j b of the data (all elements stacked),

.. math:: \sum_{j \in g} \tfrac12 \| z_j - P_j b \|^2_{V_g^{-1}}
          + \tfrac12 \bigl\| (z_j - m_g,\; P_j h - h_g) \bigr\|^2_{C_g^{-1}},

where V_g is the variance of their noise, m_g and h_g are the means of the group, and C_g is its covariance in a pilot
estimate of the maps and in the image h. Patches are turned as the first of their group, and the image is moved onto the
maps (`guide_alignment`). What the residuals of many similar patches have in common is added to a. T is quadratic for
given groups: convex, pixelwise, with an exact prox, so it combines with any fidelity and any solver, and the
certificate covers it. Groups and covariances are recomputed a few times with the last estimate as the pilot; they
depend on the data alone and are fixed before the solve.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from fusionkit.arrays import Array
from fusionkit.build import Context
from fusionkit.data.missing import filled
from fusionkit.data.noise import noise_level
from fusionkit.data.spectra import unmixed
from fusionkit.engines.cpu.patch_groups import Grouping
from fusionkit.engines.kernel_terms import Kernel, LossOfMaps
from fusionkit.engines.losses import LeastSquares, Pearson
from fusionkit.errors import UserError
from fusionkit.operators.fidelity.loss import weighted_sum
from fusionkit.operators.forward.power_sum import element_values
from fusionkit.operators.linear.guide import guide_image
from fusionkit.operators.penalty.patch_consensus import (
    LEAST_COUNTS,
    Source,
    consensus,
    noise_and_unit,
    release_memory,
    unmixed_noise,
)
from fusionkit.options import Options, Weight
from fusionkit.terms import Expansion, Pixelwise, Proximable, Smooth

# strides of 4 and 8 here, and of 5 and 9 in a draft, raise the errors by 0.1 and 1 % over those of 3 and 5
_LARGE = Grouping(patch=9, similar=200, search=28, stride=8)
NATURAL_WEIGHT = 50.0  # the filtered maps have about a thirtieth of the variance of the counts

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class JointNonlocalOptions(Options):
    """Options of ``joint_nonlocal``."""

    data: str = "maps"
    background: str | None = None
    guide: str | None = "haadf"
    guide_share: Share | dict[str, Share] | Literal["auto"] = 1.0
    large_share: Share | dict[str, Share] | Literal["auto"] = 0.0
    patch: int = Field(5, ge=3, le=15)
    similar: int = Field(120, ge=8, le=1000)
    search: int = Field(28, ge=3, le=500)
    stride: int = Field(4, ge=1, le=15)
    renewals: int = Field(2, ge=1, le=10)
    weight: Weight = NATURAL_WEIGHT
    name: str | None = None


@dataclass(frozen=True, eq=False)
class JointNonlocal(Pixelwise, Smooth, Proximable):
    """The penalty; see the module."""

    name: str  # of the term
    weight: float  # w >= 0
    source: Source = field(repr=False)  # of the groups
    how: Grouping  # sizes of patches and groups
    renewals: int  # how often the groups are recomputed
    guided: Array  # share of the consensus with the image, for each element, (n, 1, 1); the rest is without it
    large: Array  # share of the consensus of large patches, for each element, (n, 1, 1)
    dtype: np.dtype[np.floating[Any]]  # of the unknown
    sparse: bool = False  # whether reference patches do not overlap, which takes two fifths of the time

    natural_weight = NATURAL_WEIGHT

    def __post_init__(self) -> None:
        object.__setattr__(self, "silent", self.weight == 0.0)

    def draft(self) -> JointNonlocal:
        """The penalty for the trials of a search, with sparse reference patches."""
        return replace(self, sparse=True)

    @cached_property
    def _target(self) -> tuple[Array, Array]:
        """a and v, in the dtype of the unknown; computed at the first access, which takes seconds."""
        maps = self._consensus()
        noise = np.maximum(self.source.noise_of(maps), self.source.floors[:, None, None])
        if not self.sparse:  # the search is over
            release_memory()
        return maps.astype(self.dtype), noise.astype(self.dtype)

    def _consensus(self) -> Array:
        """The consensus maps, mixed by the shares."""
        share = self.guided if self.source.guide is not None else np.ones_like(self.guided)
        guided = self._of_both_sizes(self.source) if share.any() else 0.0
        if np.all(share == 1.0):
            return np.asarray(guided)
        return share * guided + (1.0 - share) * self._of_both_sizes(replace(self.source, guide=None))

    def _of_both_sizes(self, source: Source) -> Array:
        """The consensus of patches of the given size, mixed with that of large ones."""
        small = self._of(source, self.how) if np.any(self.large < 1.0) else 0.0
        if not self.large.any():
            return np.asarray(small)
        how = _LARGE._replace(patch=min(_LARGE.patch, *source.data.shape[1:]), search=self.how.search)
        return (1.0 - self.large) * small + self.large * self._of(source, how)

    def _of(self, source: Source, how: Grouping) -> Array:
        sparse = how._replace(stride=max(how.stride, how.patch)) if self.sparse else how
        return consensus(source, sparse, self.renewals)

    @property
    def kernel(self) -> Kernel | None:
        """A Pearson loss of the counts that the anchor represents, or least squares; None if only some are counts."""
        unit = self.source.unit
        if self.source.mixing is not None:  # counts with the variance of the anchor's noise
            noise = self._target[1]
            return LossOfMaps(Pearson(LEAST_COUNTS), self.weight, noise, None, None, noise - self.anchor)
        if not np.any(unit > 0.0):
            inverse = 1.0 / np.sqrt(self.source.noise[:, :1, :1])
            factors = tuple(inverse.ravel().tolist())
            return LossOfMaps(LeastSquares(), self.weight, self.anchor * inverse, None, factors)
        if not np.all(unit > 0.0):
            return None
        background = np.broadcast_to(self.source.background / unit, self.anchor.shape)
        factors = tuple((1.0 / unit[:, 0, 0]).tolist())
        return LossOfMaps(
            Pearson(LEAST_COUNTS), self.weight, self.anchor / unit + background, None, factors, background
        )

    @property
    def anchor(self) -> Array:
        """a, the consensus maps, (n, ny, nx), >= 0."""
        return self._target[0]

    @cached_property
    def precision(self) -> Array:
        """w / v, (n, ny, nx)."""
        return (self.weight / self._target[1].astype(np.float64)).astype(self.dtype)

    def value(self, x: Array) -> float:
        """T(x), accumulated in float64."""
        return weighted_sum(0.5, self.precision * (x - self.anchor) ** 2) if self.weight else 0.0

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w (x - a) / v."""
        return np.multiply(self.precision, x - self.anchor, out=out)

    def expand(self, x: Array, rows: slice) -> Expansion:
        """g = w (x - a) / v, c = w / v, no coupling."""
        curvature = self.precision[:, rows].copy()
        return Expansion(curvature * (x - self.anchor[:, rows]), curvature)

    def pixel_values(self, x: Array, rows: slice) -> Array:
        """The value at each pixel, (rows, nx)."""
        return 0.5 * np.sum(self.precision[:, rows] * (x - self.anchor[:, rows]) ** 2, axis=0)

    def prox(self, v: Array, step: float, out: Array | None = None) -> Array:
        """(v + step w a / v) / (1 + step w / v); exact."""
        scaled = step * self.precision
        return np.divide(v + scaled * self.anchor, 1.0 + scaled, out=out)


def joint_nonlocal(options: JointNonlocalOptions, context: Context) -> JointNonlocal:
    """Maps are pulled towards a consensus of groups of similar patches, of all elements and of the image.

    `UserError` if the data do not have the elements and pixels of the unknown, the guide is not an image of these
    pixels, the image is smaller than a patch, or a share names an unknown element.

    Parameters
    ----------
    data : name of the maps, (n, ny, nx), one of each element on the pixels of the unknown. Counts, or counts times a
        factor, have the noise of counts; other maps have white noise, estimated for each.
    background : name of the background of the counts; None takes ``<data>_background`` if it exists.
    guide : name of the image that takes part in the groups, (ny, nx); None leaves it out.
    guide_share : from 0 to 1, for all elements or for each (1 for elements that are not named): a is this share of
        the consensus with the image plus the rest of that without. ``auto``, with ``weight: auto``, takes the share
        that best predicts held-out counts; with a number as weight it is 1.
    large_share : likewise the share of the consensus of patches of 9 x 9 pixels, 200 in a group: better for lattices
        and smooth maps, worse for small isolated features. 0 for elements that are not named, and for ``auto`` with a
        number as weight.
    patch, similar, search, stride : side of a patch, patches in a group, search radius around the reference patch, and
        pixels between references.
    renewals : how often groups and covariances are recomputed.
    weight : w >= 0, times the share of the values that were measured. At 1 the consensus weighs as much as the counts;
        its variance is a thirtieth of theirs or less.
    """
    maps = np.asarray(context.array(options.data), np.float64)
    if len(context.shape) != 3 or maps.shape != context.shape:
        problem = f"'{options.data}' has the shape {maps.shape}, and the unknown {context.shape}"
        raise UserError(context.at("data").where, problem, "name maps of all elements on the pixels of the unknown")
    if min(maps.shape[1:]) < options.patch:
        problem = f"is {options.patch}, and the maps have {maps.shape[1]} x {maps.shape[2]} pixels"
        raise UserError(context.at("patch").where, problem, "give a smaller one")
    key = options.background
    if key is None and f"{options.data}_background" in context.dataset.arrays:
        key = f"{options.data}_background"
    background = 0.0 if key is None else np.asarray(context.array(key, "background"), np.float64)
    mixing = context.dataset.arrays.get(f"{options.data}_mixing")
    guide = None if options.guide is None else _guide(options.guide, context)
    noise, unit = noise_and_unit(maps)
    measured, noise = 1.0 - float(np.isnan(maps).mean()), filled(noise)
    source = Source(maps - background, noise, background, unit, guide)
    if mixing is not None:
        mixing, unit = np.asarray(mixing, np.float64), np.where(unit > 0.0, unit, 1.0)
        data, noise = unmixed(maps, background, mixing), unmixed_noise(filled(maps) * unit, mixing)
        source = Source(data, noise, background, unit, guide, mixing)
    how = Grouping(options.patch, options.similar, options.search, options.stride)
    guided = _share(options.guide_share, context.at("guide_share"), 1.0)
    large = _share(options.large_share, context.at("large_share"), 0.0)
    name = options.name or "joint_nonlocal"
    weight = options.weight * measured  # the fewer values there are in a group, the noisier is its consensus
    return JointNonlocal(name, weight, source, how, options.renewals, guided, large, context.dtype)


def _share(share: float | dict[str, float] | str, context: Context, missing: float) -> Array:
    """The share of each element, (n, 1, 1); ``missing`` for one that is not named, or for ``auto`` without a search."""
    if isinstance(share, str):
        share = {}
    named = share if isinstance(share, dict) else dict.fromkeys(context.labels, share)
    return element_values(named, context, missing).reshape(-1, 1, 1)


def _guide(name: str, context: Context) -> Array:
    """The image divided by its noise."""
    image = guide_image(name, context)
    level = max(noise_level(image), 1e-3 * float(np.ptp(image)))
    return image / level if level > 0.0 else np.zeros_like(image)
