"""Maps that vanished, maps that hold other counts than were recorded, and how many counts there are."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log

import numpy as np

from fusionkit.diagnostics.expected import counts_per_unit, expected_maps
from fusionkit.diagnostics.sentences import note, percent, warning
from fusionkit.run_record import Diagnostic, RunRecord

# counts of the fused over those of the raw map: complete models keep 0.88 to 1.09, a missing element, a wrong exponent
# or thirty times the TV weight give less than 0.75 or more than 1.33
_BALANCE = 1.25
# mean of the fused over that of the raw map where these are no counts: DyScO3 0.55 to 0.85
_MORE, _LESS = 2.0, 3.0
_FEWEST_COUNTS = 100  # of a whole map: even its mean is then known to no better than 10 %
_LOST = 0.01  # of the raw mean: below it the map is as good as zero


def maps(record: RunRecord) -> Iterator[Diagnostic]:
    """Maps that are lost or empty, and counts that do not agree."""
    raw, expected, scale = record.dataset.arrays.get("maps"), expected_maps(record), counts_per_unit(record)
    if raw is None or expected is None or record.result.x.shape != raw.shape:
        return
    for name, given, mean, fused in zip(record.result.labels, raw, expected, record.result.x, strict=True):
        average = float(np.mean(given, dtype=np.float64))
        if average <= 0.0:
            yield warning(f"The raw map of {name} is empty: its fused map rests on the other data alone.")
        elif float(np.mean(fused, dtype=np.float64)) < _LOST * average:
            yield warning(f"The fused map of {name} is zero, though its raw map is not: are the weights too high?")
        elif scale is not None:
            yield from _balance(name, float(np.mean(mean)) / average, average * given.size * scale)
        else:
            yield from _level(name, float(np.mean(mean)) / average)


def _balance(name: str, ratio: float, counts: float) -> Iterator[Diagnostic]:
    margin = log(_BALANCE) + 3.0 / max(counts, 1.0) ** 0.5  # three standard errors of the recorded counts
    if abs(log(max(ratio, exp(-700.0)))) <= margin:
        return
    if ratio > 1.0:
        why = "the HAADF image asks for more: is an element missing, or are gamma, z, a weight or its unit off?"
    else:
        why = "counts are lost: is the penalty too strong, or are gamma, z, a weight or the unit of the image off?"
    yield warning(f"The fused map of {name} predicts {ratio:.2f} times the counts of its raw map; {why}")


def _level(name: str, ratio: float) -> Iterator[Diagnostic]:
    """Of maps that are no counts, whose noise is not known."""
    if not 1.0 / _LESS < ratio < _MORE:
        yield warning(
            f"The mean of the fused map of {name} is {ratio:.2f} times that of its raw map: the image outvotes it. "
            "Are weights, gamma or z off, or is an element missing?"
        )


def dose(record: RunRecord) -> Iterator[Diagnostic]:
    """Counts per pixel, and maps with too few."""
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
    """The error, where the ground truth is known."""
    true, raw, x = record.dataset.truth, record.dataset.arrays.get("maps"), record.result.x
    if true is None or true.shape != x.shape or not np.any(true):
        return
    size = float(np.linalg.norm(true))
    error = float(np.linalg.norm(x - true)) / size
    before = ""
    if raw is not None and raw.shape == true.shape:
        before = f", that of the raw maps {percent(float(np.linalg.norm(raw - true)) / size)}"
    yield note(f"Relative error against the ground truth: {percent(error)}{before}.")
