r"""A joint non-local penalty: it draws maps to what groups of similar patches of all elements and the image agree on.

.. math:: T(x) = \frac{w}{2} \sum_i \sum_r \frac{(x_i(r) - a_i(r))^2}{v_i(r)}

v is the variance of the noise of the data and a the mean, over all patches that hold a pixel, of the patches z that
minimise, for each group g of K patches P_j b of the data (all elements side by side),

.. math:: \sum_{j \in g} \tfrac12 \| z_j - P_j b \|^2_{V_g^{-1}}
          + \tfrac12 \bigl\| (z_j - m_g,\; P_j h - h_g) \bigr\|^2_{C_g^{-1}},

V_g the variance of their noise, m_g and h_g the group's means and C_g its covariance in a pilot of the maps and in the
image h. For fixed groups all of this is quadratic, so that T is convex, pixelwise and has an exact prox: it composes
with any fidelity and any solver, and the certificate covers it. The groups, and the covariances, are renewed a few
times, each time with the maps of the last as the pilot. They are functions of the data alone, found before the solve.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from scipy.ndimage import gaussian_filter

from fusionkit.arrays import Array
from fusionkit.build import Context
from fusionkit.data.counts.scale import step_of
from fusionkit.data.noise import noise_level
from fusionkit.engines.cpu.patches import Grouping, low_rank, wiener
from fusionkit.engines.kernel_terms import Kernel, LossOfMaps
from fusionkit.engines.losses import Pearson
from fusionkit.errors import UserError
from fusionkit.operators.fidelity.loss import weighted_sum
from fusionkit.operators.forward.power_sum import element_values
from fusionkit.operators.linear.guide import guide_image
from fusionkit.options import Options, Weight
from fusionkit.terms import Expansion, Pixelwise, Proximable, Smooth

_PILOT = Grouping(patch=5, similar=60, search=20, stride=3)  # of raw counts: few patches, whose mean is well known
_BLURRED = 1.5  # pixels: what patches of raw counts are compared by
_GUIDE_BLURRED = 0.5  # pixels
_GUIDE_SHARE = 0.5  # of the guide's signal to noise: all of it would let the image alone choose the groups
_LEAST_COUNTS = 0.05  # variance of an empty group, in counts
NATURAL_WEIGHT = 50.0  # the filtered maps have about a thirtieth of the variance of the counts


Share = Annotated[float, Field(ge=0.0, le=1.0)]


class JointNonlocalOptions(Options):
    """Options of ``joint_nonlocal``."""

    data: str = "maps"
    background: str | None = None
    guide: str | None = "haadf"
    guide_share: Share | dict[str, Share] | Literal["auto"] = 1.0
    patch: int = Field(5, ge=3, le=15)
    similar: int = Field(120, ge=8, le=1000)
    search: int = Field(28, ge=3, le=500)
    stride: int = Field(3, ge=1, le=15)
    renewals: int = Field(2, ge=1, le=10)
    weight: Weight = NATURAL_WEIGHT
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """What the groups are made from.

    Parameters
    ----------
    data : unbiased estimates of the maps, counts less their background, (n, ny, nx).
    noise : variance of each value, as it is observed: for counts the counts themselves.
    background : what the counts hold beside the maps, (n, ny, nx) or 0.
    unit : what one count of each element adds to its map, (n, 1, 1); 0 where the noise is not that of counts.
    guide : the image over its noise, (ny, nx); None for none.
    """

    data: Array
    noise: Array
    background: Array | float
    unit: Array
    guide: Array | None = None

    @cached_property
    def digest(self) -> bytes:
        """A checksum of all arrays: sources of the same values are equal."""
        parts = (self.data, self.noise, np.asarray(self.background), self.unit, self.guide)
        found = blake2b()
        for part in parts:
            array = np.zeros(0) if part is None else np.ascontiguousarray(part)
            found.update(repr((array.shape, array.dtype.str)).encode() + array.tobytes())
        return found.digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self.digest == other.digest

    def noise_of(self, maps: Array) -> Array:
        """The variance of the noise where ``maps`` are what is counted on average."""
        expected = np.maximum(maps + self.background, 0.0) * self.unit
        return np.where(self.unit > 0.0, expected, self.noise)

    @property
    def floors(self) -> Array:
        """The least variance of each element, (n,)."""
        least = np.where(self.unit > 0.0, _LEAST_COUNTS * self.unit**2, self.noise.max(axis=(1, 2), keepdims=True))
        return least[:, 0, 0]


@dataclass(frozen=True, eq=False)
class JointNonlocal(Pixelwise, Smooth, Proximable):
    """The penalty; see the module.

    Parameters
    ----------
    name : of the term.
    weight : w >= 0.
    source : of the groups.
    how : sizes of patches and groups.
    renewals : how often the groups are renewed.
    share : of the groups that the image shares in, for each element, (n, 1, 1); the rest is of groups without it.
    dtype : of the unknown.
    """

    name: str
    weight: float
    source: Source = field(repr=False)
    how: Grouping
    renewals: int
    share: Array
    dtype: np.dtype[np.floating[Any]]

    natural_weight = NATURAL_WEIGHT

    def __post_init__(self) -> None:
        object.__setattr__(self, "silent", self.weight == 0.0)

    @cached_property
    def _target(self) -> tuple[Array, Array]:
        """a and w / v, in the dtype of the unknown; found when they are first asked for, which takes seconds."""
        maps = self._consensus()
        floors = self.source.floors[:, None, None]
        precision = self.weight / np.maximum(self.source.noise_of(maps), floors)
        return maps.astype(self.dtype), precision.astype(self.dtype)

    def _consensus(self) -> Array:
        """The maps on which the groups agree, with and without the image by their shares."""
        share = self.share if self.source.guide is not None else np.ones_like(self.share)
        guided = consensus(self.source, self.how, self.renewals) if share.any() else 0.0
        if np.all(share == 1.0):
            return np.asarray(guided)
        alone = consensus(replace(self.source, guide=None), self.how, self.renewals)
        return share * guided + (1.0 - share) * alone

    @property
    def kernel(self) -> Kernel | None:
        """A Pearson loss of the counts that the anchor stands for; None where a map is not of counts."""
        unit = self.source.unit
        if not np.all(unit > 0.0):
            return None
        background = np.broadcast_to(self.source.background / unit, self.anchor.shape)
        factors = tuple((1.0 / unit[:, 0, 0]).tolist())
        return LossOfMaps(
            Pearson(_LEAST_COUNTS), self.weight, self.anchor / unit + background, None, factors, background
        )

    @property
    def anchor(self) -> Array:
        """a, the maps on which the groups agree, (n, ny, nx), >= 0."""
        return self._target[0]

    @property
    def precision(self) -> Array:
        """w / v, (n, ny, nx)."""
        return self._target[1]

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
    """Maps drawn to what groups of similar patches, of all elements and of the image, agree on.

    Parameters
    ----------
    data : name of the maps, (n, ny, nx), one of each element on the pixels of the unknown. Counts, or counts times a
        factor, have the noise of counts; any others a white noise that is estimated for each.
    background : name of what the counts hold beside the maps; None takes ``<data>_background`` where there is one.
    guide : name of the image that shares in the groups, (ny, nx); None leaves it out.
    guide_share : how far the image shares in them, from 0 to 1, for all elements or for each (1 for elements that are
        not named): a is this share of the maps with the image and the rest of those without. ``auto``, with
        ``weight: auto``, takes what predicts held-out counts best, and is 1 where the weight is a number.
    patch, similar, search, stride : side of a patch, patches in a group, how far from the reference they are looked
        for, and pixels between references.
    renewals : how often groups and covariances are renewed.
    weight : w >= 0. It is that of the counts themselves at 1; the filtered maps have a thirtieth or less of their
        variance.

    Raises
    ------
    UserError : the data are no maps of the unknown's elements and pixels, the guide is no image of its pixels, the
        image is smaller than a patch, or ``guide_share`` names no element.
    """
    maps = np.asarray(context.array(options.data), np.float64)
    if len(context.shape) != 3 or maps.shape != context.shape:
        said = f"'{options.data}' has the shape {maps.shape}, and the unknown {context.shape}"
        raise UserError(context.at("data").where, said, "name maps of all elements on the pixels of the unknown")
    if min(maps.shape[1:]) < options.patch:
        said = f"is {options.patch}, and the maps have {maps.shape[1]} x {maps.shape[2]} pixels"
        raise UserError(context.at("patch").where, said, "give a smaller one")
    name = options.background
    if name is None and f"{options.data}_background" in context.dataset.arrays:
        name = f"{options.data}_background"
    background = 0.0 if name is None else np.asarray(context.array(name, "background"), np.float64)
    noise, unit = _noise(maps)
    guide = None if options.guide is None else _guide(options.guide, context)
    source = Source(maps - background, noise, background, unit, guide)
    how = Grouping(options.patch, options.similar, options.search, options.stride)
    kept = options.name or "joint_nonlocal"
    share = _share(options.guide_share, context.at("guide_share"))
    return JointNonlocal(kept, options.weight, source, how, options.renewals, share, context.dtype)


def _share(share: float | dict[str, float] | str, context: Context) -> Array:
    """The share of each element, (n, 1, 1)."""
    if isinstance(share, str):
        share = 1.0  # searched together with the weight alone
    named = share if isinstance(share, dict) else dict.fromkeys(context.labels, share)
    return element_values(named, context, 1.0).reshape(-1, 1, 1)


@lru_cache(
    maxsize=4
)  # a search builds the term anew for every trial: all counts and half of them, with image and without
def consensus(source: Source, how: Grouping, renewals: int) -> Array:
    """The maps on which the groups agree, (n, ny, nx), >= 0, read-only.

    Parameters
    ----------
    source : of the groups.
    how : sizes of patches and groups.
    renewals : how often the groups are renewed.
    """
    first = _PILOT._replace(patch=min(_PILOT.patch, how.patch))
    blurred = gaussian_filter(source.data, (0.0, _BLURRED, _BLURRED))
    maps = low_rank(source.data, source.noise, source.floors, _features(blurred, source), first)
    for _ in range(renewals):
        maps = np.maximum(maps, 0.0)
        features, noise = _features(maps, source), source.noise_of(maps)
        maps = wiener(source.data, noise, source.floors, maps, source.guide, features, how)
    maps = np.maximum(maps, 0.0)
    maps.flags.writeable = False
    return maps


def _features(maps: Array, source: Source) -> Array:
    """What patches are compared by: maps with noise of one variance (Anscombe's root for counts), and the guide."""
    counted = source.unit > 0.0
    counts = np.maximum((maps + source.background) / np.where(counted, source.unit, 1.0), 0.0)
    white = np.where(counted, 2.0 * np.sqrt(counts + 0.375), maps / np.sqrt(np.where(counted, 1.0, source.noise)))
    if source.guide is None:
        return white
    return np.concatenate([white, _GUIDE_SHARE * gaussian_filter(source.guide, _GUIDE_BLURRED)[None]])


def _noise(maps: Array) -> tuple[Array, Array]:
    """The variance of the noise of each value, and what one count adds, (n, 1, 1); 0 for maps that are no counts."""
    noise, unit = np.empty_like(maps), np.zeros((len(maps), 1, 1))
    for index, one in enumerate(maps):
        step = (step_of(one) if one.any() else 1.0) if one.min() >= 0.0 else None
        unit[index] = step or 0.0
        level = max(noise_level(one), 1e-6 * float(np.ptp(one)), np.finfo(np.float64).tiny) if step is None else 0.0
        noise[index] = level**2 if step is None else one * step
    return noise, unit


def _guide(name: str, context: Context) -> Array:
    """The image over its noise."""
    image = guide_image(name, context)
    level = max(noise_level(image), 1e-3 * float(np.ptp(image)))
    return image / level if level > 0.0 else np.zeros_like(image)
