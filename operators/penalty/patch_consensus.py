"""The consensus of groups of similar patches, to which `fusionkit.operators.penalty.joint_nonlocal` pulls the maps."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.arrays import Array
from fusionkit.data.counts.scale import step_of
from fusionkit.data.missing import filled, is_sparse, known
from fusionkit.data.noise import noise_level
from fusionkit.engines.cpu.patch_groups import Grouping
from fusionkit.engines.cpu.patch_levels import mean_levels
from fusionkit.engines.cpu.patches import low_rank, wiener
from fusionkit.operators.penalty.guide_alignment import aligned

_PILOT = Grouping(patch=5, similar=60, search=20, stride=4, turns=1)  # for raw counts: smaller groups
_OF_RESIDUALS = Grouping(patch=3, similar=300, search=28, stride=3, turns=1)
_CORRECTIONS = 2  # by the means of residuals; a third changes nothing
_BLURRED = 1.5  # pixels, Gaussian before patches of raw counts are compared
_GUIDE_BLURRED = 0.5  # pixels, likewise for the guide
_GUIDE_SHARE = 0.5  # factor of the guide among the features: with 1 the image alone would determine the groups
LEAST_COUNTS = 0.05  # least variance, in counts


@dataclass(frozen=True, eq=False)
class Source:
    """The data from which the groups are built.

    Parameters
    ----------
    data : unbiased estimates of the maps, counts minus background, (n, ny, nx); NaN where nothing was measured.
    noise : estimated variance of each value; for counts the counts themselves.
    background : of the counts, (n, ny, nx) or 0.
    unit : value of one count of each element, (n, 1, 1); 0 where the noise is not that of counts.
    guide : the image divided by its noise, (ny, nx), or None.
    mixing : share of the counts of each element in each map of counts, (k, n); None if each map is of one element.
    """

    data: Array
    noise: Array
    background: Array | float
    unit: Array
    guide: Array | None = None
    mixing: Array | None = None

    @cached_property
    def digest(self) -> bytes:
        """A checksum of all arrays; sources with the same values are equal."""
        parts = (self.data, self.noise, np.asarray(self.background), self.unit, self.guide, self.mixing)
        checksum = blake2b()
        for part in parts:
            array = np.zeros(0) if part is None else np.ascontiguousarray(part)
            checksum.update(repr((array.shape, array.dtype.str)).encode() + array.tobytes())
        return checksum.digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self.digest == other.digest

    def noise_of(self, maps: Array) -> Array:
        """The variance of the noise if ``maps`` are the expected counts."""
        if self.mixing is not None:
            return unmixed_noise(self.expected(maps) * self.unit, self.mixing)
        expected = np.maximum(maps + self.background, 0.0) * self.unit
        return np.where(self.unit > 0.0, expected, self.noise)

    def expected(self, maps: Array) -> Array:
        """The expected counts of every map of counts, background included."""
        mixed = maps if self.mixing is None else np.tensordot(self.mixing, maps, axes=1)
        return np.maximum(mixed + self.background, 0.0)

    @property
    def floors(self) -> Array:
        """The least variance of each element, (n,)."""
        least = np.where(self.unit > 0.0, LEAST_COUNTS * self.unit**2, self.noise.max(axis=(1, 2), keepdims=True))
        return least[:, 0, 0]


# a search rebuilds the term for every trial: with and without the image, for both sizes
@lru_cache(maxsize=4)
def consensus(source: Source, how: Grouping, renewals: int) -> Array:
    """The consensus maps, (n, ny, nx), >= 0, read-only.

    Parameters
    ----------
    source : of the groups.
    how : sizes of patches and groups.
    renewals : how often the groups are recomputed.
    """
    patch, sparse = min(_PILOT.patch, how.patch), how.stride >= how.patch
    source = _with_guide_in_place(source, patch, sparse)
    maps = _pilot(source, patch, sparse)
    if is_sparse(source.data):  # the pilot is smooth where nothing was measured
        renewals *= 2
    for renewal in range(renewals):
        maps, last = np.maximum(maps, 0.0), renewal == renewals - 1
        features, noise = _features(maps, source), source.noise_of(maps)
        # among noisy maps the best of 8 turns fits noise; patches that overlap improve only the last maps
        own = how._replace(turns=how.turns if renewal else 1, stride=how.stride if last else max(how.stride, how.patch))
        maps = wiener(source.data, noise, source.floors, maps, source.guide, features, own)
    maps = _without_bias(np.maximum(maps, 0.0), source)
    maps.flags.writeable = False
    return maps


def _without_bias(maps: Array, source: Source) -> Array:
    """The maps plus the mean residuals of groups of similar patches, >= 0.

    Shrinkage takes counts from all patches of a kind: 3 % of the Mo of a grain boundary. The mean of 300 residuals
    shows them almost without noise.
    """
    features, noise, groups = _features(maps, source), source.noise_of(maps), dict[int, Any]()
    for _ in range(_CORRECTIONS):
        residuals = mean_levels(source.data - maps, noise, source.floors, features, _OF_RESIDUALS, groups)
        maps = np.maximum(maps + residuals, 0.0)
    return maps


@lru_cache(maxsize=2)  # the same for both sizes of patches
def _with_guide_in_place(source: Source, patch: int, sparse: bool) -> Source:
    """The source with its guide moved onto the pilot without it, which no misplaced guide has drawn along."""
    if source.guide is None or is_sparse(source.data):
        return source
    alone = _pilot(replace(source, guide=None), patch, sparse)
    return replace(source, guide=aligned(source.guide, np.maximum(alone, 0.0)))


@lru_cache(maxsize=2)  # likewise
def _pilot(source: Source, patch: int, sparse: bool) -> Array:
    """The data with each group's singular values shrunk, read-only."""
    first = _PILOT._replace(patch=patch, stride=max(_PILOT.stride, patch * sparse))
    data = filled(source.data)
    blurred = gaussian_filter(data, (0.0, _BLURRED, _BLURRED))
    maps = low_rank(data, source.noise, source.floors, _features(blurred, source), first)
    maps.flags.writeable = False
    return maps


def release_memory() -> None:
    """Forget the consensus maps, guides and pilots of a search that is over."""
    for kept in (consensus, _with_guide_in_place, _pilot):
        kept.cache_clear()


def _features(maps: Array, source: Source) -> Array:
    """Features for comparing patches: maps with unit noise variance (Anscombe transform of counts), and the guide."""
    counted = source.unit > 0.0
    counts = source.expected(maps) / np.where(counted, source.unit, 1.0)
    white = np.where(counted, 2.0 * np.sqrt(counts + 0.375), maps / np.sqrt(np.where(counted, 1.0, source.noise)))
    if source.guide is None:
        return white
    return np.concatenate([white, _GUIDE_SHARE * gaussian_filter(source.guide, _GUIDE_BLURRED)[None]])


def unmixed_noise(counts: Array, mixing: Array) -> Array:
    """The variance of `fusionkit.data.spectra.unmixed` of counts with these means, (n, ny, nx)."""
    return np.tensordot(np.linalg.pinv(mixing) ** 2, counts, axes=1)


def noise_and_unit(maps: Array) -> tuple[Array, Array]:
    """The variance of the noise of each value, and the value of one count, (n, 1, 1), 0 if maps are not counts."""
    noise, unit = np.empty_like(maps), np.zeros((len(maps), 1, 1))
    for index, one in enumerate(maps):
        values = known(one)
        step = (step_of(one) if values.any() else 1.0) if values.min() >= 0.0 else None
        unit[index] = step or 0.0
        span = float(np.ptp(values)) or float(np.max(np.abs(values))) or 1.0
        noise[index] = max(noise_level(one), 1e-6 * span) ** 2 if step is None else one * step
    return noise, unit
