"""Lost and empty maps, counts that differ from the recorded ones, and the dose."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log

import numpy as np

from fusionkit.report.diagnostics.map_expectations import MapExpectation, counts_per_unit, map_expectations
from fusionkit.report.diagnostics.sentences import note, percent, warning
from fusionkit.results.record import Diagnostic, RunRecord
from fusionkit.terms import Array

# counts of the fused over those of the raw map: 0.88 to 1.09 for complete models, below 0.75 or above 1.33 with a
# missing element, a wrong exponent or thirty times the TV weight
_BALANCE = 1.25
_MORE_COUNTS = "the HAADF image asks for more: is an element missing, or are gamma, z, a weight or its unit off?"
_FEWER_COUNTS = "counts are lost: is the penalty too strong, or are gamma, z, a weight or the unit of the image off?"
# parts along an edge; ratio of expected to recorded counts in a part, and the excess in standard errors: complete
# phantoms of 1 to 100 counts reach 1.04 and 3.4, the nanoparticle without S 1.08 to 1.10 and 9 at 5 counts, 32 at 100
_PARTS, _EXCESS, _ERRORS = 4, 1.05, 6.0
_BACKGROUND = 0.01  # relative standard error of an estimated background
_LEAST_SHARE = 0.2  # of the mean of all parts: parts with less are not checked
# mean of the fused over that of the raw map if these are not counts: DyScO3 0.55 to 0.85
_MORE, _LESS = 2.0, 3.0
_FEWEST_COUNTS = 100  # of a whole map: fewer leave an error above 10 % even in its mean
_LOST = 0.01  # of the raw mean: below it the map is regarded as zero


def maps(record: RunRecord) -> Iterator[Diagnostic]:
    """Lost and empty maps, and counts that differ in a whole map or in a part."""
    for one in map_expectations(record):
        error = _error(one)
        if not np.any(one.raw):
            yield warning(f"The raw map of {one.name} is empty: its fused map rests on the other data alone.")
        elif one.level <= 3.0 * error:  # nothing but background
            continue
        elif one.fused < _LOST * one.level:
            yield warning(f"The fused map of {one.name} is zero, though its raw map is not: are the weights too high?")
        elif one.scale is not None:
            yield from _balance(one, error / one.level)
        else:
            yield from _level(one.name, (one.fused + one.epsilon) / one.level)


def _error(one: MapExpectation) -> float:
    """Standard error of the mean of the recorded map; 0 if its values are not counts."""
    if one.scale is None:
        return 0.0
    return float(np.mean(one.raw, dtype=np.float64) / (one.raw.size * one.scale)) ** 0.5


def _balance(one: MapExpectation, error: float) -> Iterator[Diagnostic]:
    """Counts of the whole map, else of a part."""
    ratio = (one.fused + one.epsilon) / one.level
    # epsilon may be a background or merely keep the logarithm finite: take what is closer to 1
    closest = float(np.clip(1.0, one.fused / one.level, ratio))
    if abs(log(max(closest, exp(-700.0)))) > log(_BALANCE) + 3.0 * error:  # three standard errors of the counts
        why = _MORE_COUNTS if ratio > 1.0 else _FEWER_COUNTS
        yield warning(f"The fused map of {one.name} predicts {ratio:.2f} times the counts of its raw map; {why}")
        return
    worst = excess(one)
    if worst is not None:
        where, ratio = worst
        yield warning(f"The fused map of {one.name} predicts {ratio:.2f} times the counts in {where}; {_MORE_COUNTS}")


def excess(one: MapExpectation) -> tuple[str, float] | None:
    """The part of a map in which the model predicts too many counts, in words, and the ratio; None if there is none.

    Epsilon is excluded, since it may merely keep the logarithm finite. A penalty lowers counts in places; an element
    that the image shows and the model lacks raises them.
    """
    scale = one.scale
    if scale is None or min(one.raw.shape) < _PARTS:
        return None
    ends = [np.linspace(0, length, _PARTS + 1).astype(int) for length in one.raw.shape]
    starts, area = [each[:-1] for each in ends], np.outer(*map(np.diff, ends))

    def counts(values: Array | float) -> Array:
        if isinstance(values, float):
            return scale * values * area
        lines = np.add.reduceat(values, starts[0], axis=0, dtype=np.float64)  # without copying the map
        return scale * np.add.reduceat(lines, starts[1], axis=1)

    raw, mean, background = counts(one.raw), counts(one.mean) - counts(one.epsilon), counts(one.background)
    above, more = raw - background, mean - raw
    # the background is an estimate; the ratio of a nearly empty part means nothing
    errors = more / np.sqrt(np.maximum(mean, 1.0) + (_BACKGROUND * background) ** 2)
    is_filled = above > np.maximum(_LEAST_SHARE * above.mean(), 1.0)
    stands_out = np.where(is_filled & (more > (_EXCESS - 1.0) * above) & (errors > _ERRORS), errors, 0.0)
    i, j = np.unravel_index(int(np.argmax(stands_out)), stands_out.shape)
    if stands_out[i, j] == 0.0:
        return None
    rows, columns = (f"{ends[axis][k]} to {ends[axis][k + 1]}" for axis, k in ((0, i), (1, j)))
    return f"rows {rows}, columns {columns}", float(1.0 + more[i, j] / above[i, j])


def _level(name: str, ratio: float) -> Iterator[Diagnostic]:
    """Level of maps that are not counts, so their noise is unknown."""
    if not 1.0 / _LESS < ratio < _MORE:
        yield warning(
            f"The mean of the fused map of {name} is {ratio:.2f} times that of its raw map: the image outvotes it. "
            "Are weights, gamma or z off, or is an element missing?"
        )


def dose(record: RunRecord) -> Iterator[Diagnostic]:
    """Counts per pixel, and a warning for maps with too few."""
    raw, scale = record.dataset.arrays.get("maps"), counts_per_unit(record)
    if raw is None or scale is None or raw.ndim != 3 or len(record.dataset.elements) != raw.shape[0]:
        return
    counts = {
        name: scale * float(one.sum(dtype=np.float64)) for name, one in zip(record.dataset.elements, raw, strict=True)
    }
    pixels = raw[0].size
    means = ", ".join(f"{name} {total / pixels:.3g}" for name, total in counts.items())
    yield note(f"Mean counts per pixel: {means}.")
    for name, total in counts.items():
        if 0.0 < total < _FEWEST_COUNTS:
            error = 100.0 / total**0.5
            yield warning(f"The map of {name} holds {total:.0f} counts: its mean alone is uncertain by {error:.0f} %.")


def truth(record: RunRecord) -> Iterator[Diagnostic]:
    """The error, if the ground truth is known."""
    true, raw, x = record.dataset.truth, record.dataset.arrays.get("maps"), record.result.x
    if true is None or true.shape != x.shape or not np.any(true):
        return
    size = float(np.linalg.norm(true))
    error = float(np.linalg.norm(x - true)) / size
    before = ""
    if raw is not None and raw.shape == true.shape:
        before = f", that of the raw maps {percent(float(np.linalg.norm(raw - true)) / size)}"
    yield note(f"Relative error against the ground truth: {percent(error)}{before}.")
