"""Ratios of measurements, with their targets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.harness import BYTES_PER_VOXEL
from benchmarks.records import Record, Records

ENGINE = "auto"  # the default of users


@dataclass(frozen=True)
class Ratio:
    """A number without units.

    Parameters
    ----------
    what : the ratio in words.
    value : as measured.
    target : the least or greatest acceptable value; None without a target at this size.
    least : whether the target is the least value.
    """

    what: str
    value: float
    target: float | None = None
    least: bool = True

    def row(self) -> list[str]:
        """Ratio, value, target, and whether it is met."""
        if self.target is None:
            return [self.what, f"{self.value:.3g}", "", ""]
        met = self.value >= self.target if self.least else self.value <= self.target
        limit = f"{'≥' if self.least else '≤'} {self.target:g}"
        return [self.what, f"{self.value:.3g}", limit, "yes" if met else "no"]


def ratios(run: Records) -> list[Ratio]:
    """All ratios of what was measured."""
    return [
        *_iteration(run),
        *_scalars(run),
        *_certified(run),
        *_denoising(run),
        *_checks(run),
        *_growth(run),
        *_memory(run),
        *_startup(run),
    ]


def triad_seconds(run: Records, voxels: float) -> float | None:
    """Time of the triad for the bytes of one iteration."""
    triad = run.one("triad")
    return BYTES_PER_VOXEL * voxels * triad.median / triad.info["bytes"] if triad else None


def _iteration(run: Records) -> Iterator[Ratio]:
    for ours in run.of("iteration", engine=ENGINE):
        size = ours.info["size"]
        shortest = triad_seconds(run, ours.info["voxels"])
        if shortest is not None:
            what = f"iteration / triad of {BYTES_PER_VOXEL} bytes per voxel, {size}²"
            yield Ratio(what, ours.per_iteration / shortest, 4 if size == 1024 else None, least=False)
        theirs = run.one("reference", name="nanoparticle_fractions", size=size, iterations=50)
        if theirs is not None:
            what = f"multimodal-fusion iteration / fusionkit iteration, {size}²"
            yield Ratio(what, theirs.per_iteration / ours.per_iteration, 100 if size == 1024 else None)


def _scalars(run: Records) -> Iterator[Ratio]:
    for found in run.of("scalars"):
        info = found.info
        what = f"iteration with an author's own loss / with the built-in, {info['size']}²"
        yield Ratio(what, info["own"] / info["built_in"], 1.5 if info["size"] == 1024 else None, least=False)


def _certified(run: Records) -> Iterator[Ratio]:
    targets = {256: 5.0, 1024: 30.0}
    for ours in run.of("certified", engine=ENGINE):
        name, size = ours.info["name"], ours.info["size"]
        theirs = run.one("reference", name=name, size=size, iterations=50)
        if theirs is not None:
            what = f"multimodal-fusion, 50 iterations / fusionkit, raw arrays to certified 1e-4, {name} {size}²"
            yield Ratio(what, theirs.median / ours.median, targets.get(size))


def _denoising(run: Records) -> Iterator[Ratio]:
    targets = {"scikit-image": 5.0, "pyproximal": 20.0}
    for theirs in run.of("denoising"):
        program, size = theirs.info["program"], theirs.info["size"]
        ours = run.one("denoising", program=f"fusionkit {ENGINE}", size=size)
        if ours is not None and not program.startswith("fusionkit"):
            what = f"TV denoising: {program} / fusionkit, {size}²"
            yield Ratio(what, theirs.median / ours.median, targets.get(program))


def _checks(run: Records) -> Iterator[Ratio]:
    for solved in run.of("checks", engine=ENGINE):
        info = solved.info
        solve = f"{info['name']} {info['size']}², {info['penalty']}, {info['iterations']} iterations"
        what = f"share of checks in a solve to certified 1e-4, {solve}"
        yield Ratio(what, info["share"], 0.05, least=False)


def _growth(run: Records) -> Iterator[Ratio]:
    points = [(r.info["voxels"], r.per_iteration) for r in run.of("iteration", engine=ENGINE)]
    if len(points) > 1:
        yield Ratio("exponent of time against voxels", exponent(points), 1.05, least=False)


def _memory(run: Records) -> Iterator[Ratio]:
    found: list[Record] = run.of("memory", engine=ENGINE)
    if found:
        largest = found[-1]
        what = f"peak memory in float32 images per element, {largest.info['size']}²"
        yield Ratio(what, largest.info["images"], 12, least=False)
    points = [(r.info["size"] ** 2, r.info["added"]) for r in found]
    if len(points) > 1:
        yield Ratio("exponent of memory against pixels", exponent(points), 1.05, least=False)


def _startup(run: Records) -> Iterator[Ratio]:
    found = {record.info["program"]: record.median for record in run.of("startup")}
    if len(found) == 2:
        imports, whole = found.values()
        what = "fusionkit run cos_nanoparticle, start to files / import of numpy, matplotlib, h5py"
        yield Ratio(what, whole / imports)
        yield Ratio("the same in seconds", whole, 3.0, least=False)


def exponent(points: list[tuple[float, float]]) -> float:
    """Slope of a line fitted to the points on logarithmic axes."""
    x, y = [math.log(a) for a, _ in points], [math.log(b) for _, b in points]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    across = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True))
    return across / sum((a - middle_x) ** 2 for a in x)
