"""Net counts, lost and empty maps, the dose, and the error if the truth is known."""

from collections.abc import Iterator

import numpy as np

from fusionkit.data.missing import known
from fusionkit.data.noise import clipped_noise
from fusionkit.report.diagnostics.map_expectations import MapExpectation, counts_per_unit, map_expectations
from fusionkit.results.record import Diagnostic, NetCounts, RunRecord, note, percent, warning

_FEWEST_COUNTS = 100  # of a whole map: fewer leave an error above 10 % even in its mean
_LOST = 0.01  # of the raw mean: below it the map is regarded as zero


def maps(record: RunRecord) -> Iterator[Diagnostic]:
    """Lost and empty maps."""
    for one in map_expectations(record):
        counts = record.counts.get(one.name)
        if not np.any(one.raw):
            yield warning(f"The raw map of {one.name} is empty: its fused map rests on the other data alone.")
        elif counts is not None and counts.detected and one.fused < _LOST * one.level:
            yield warning(f"The fused map of {one.name} is zero, though its raw map is not: are the weights too high?")


def dose(record: RunRecord) -> Iterator[Diagnostic]:
    """Counts per pixel, and a warning for maps with too few."""
    raw, scale = record.dataset.arrays.get("maps"), counts_per_unit(record)
    if raw is None or scale is None or raw.ndim != 3 or len(record.dataset.elements) != raw.shape[0]:
        return
    counts = {
        name: scale * float(known(one).sum(dtype=np.float64))
        for name, one in zip(record.dataset.elements, raw, strict=True)
    }
    pixels = known(raw[0]).size
    means = ", ".join(f"{name} {total / pixels:.3g}" for name, total in counts.items())
    where = " that was measured" if "maps" in record.dataset.masked else ""
    yield note(f"Mean counts per pixel{where}: {means}.")
    for name, total in counts.items():
        if 0.0 < total < _FEWEST_COUNTS:
            error = 100.0 / total**0.5
            yield warning(f"The map of {name} holds {total:.0f} counts: its mean alone is uncertain by {error:.0f} %.")


def truth(record: RunRecord) -> Iterator[Diagnostic]:
    """The error, if the ground truth is known."""
    true, raw, x = record.dataset.truth, record.dataset.arrays.get("maps"), record.result.x
    if true is None or true.shape != x.shape or not np.any(true):
        return
    # map by map: large maps are not copied to float64 all at once
    lengths = [np.linalg.norm(np.subtract(one, t, dtype=np.float64)) for one, t in zip(x, true, strict=True)]
    error = float(np.linalg.norm(lengths)) / float(np.linalg.norm(true))
    before = ""
    if raw is not None and raw.shape == true.shape:
        measured = ~np.isnan(raw)
        of_raw = float(np.linalg.norm((raw - true)[measured]) / np.linalg.norm(true[measured]))
        before = f", that of the raw maps {percent(of_raw)}"
    yield note(f"Relative error against the ground truth: {percent(error)}{before}.")


def net_counts(record: RunRecord) -> dict[str, NetCounts]:
    r"""The net counts of each recorded map, their error and limit of detection, and those of its fused map, by name.

    With the gross counts G and the background B, the net counts are G - B with the error :math:`\sqrt{G + B}`, since
    the background is estimated from about as many counts. Net counts below :math:`2.71 + 4.65 \sqrt B` are not
    detected. A map that holds a share of an element's counts (``spectral``) gives these numbers divided by the share.
    Maps that are not counts have the error of their noise, and 3.29 times it as limit. Source: L. A. Currie, Anal.
    Chem. 40, 586 (1968).
    """
    return {one.name: _net(one) for one in map_expectations(record)}


def _net(one: MapExpectation) -> NetCounts:
    scale, size, share = one.scale or 1.0, one.raw.size, one.share
    gross = scale * float(np.sum(one.raw, dtype=np.float64))
    background = scale * size * float(np.mean(one.background, dtype=np.float64))
    if one.scale is None:
        error = clipped_noise(one.measured) * known(one.measured).size ** 0.5
        limit = 3.29 * error
    else:
        error = max(gross + background, 0.0) ** 0.5
        limit = 2.71 + 4.65 * max(background, 0.0) ** 0.5
    unit = "" if one.scale is None else "counts"
    fused, epsilon = scale * size * one.fused / share, scale * size * one.epsilon / share
    return NetCounts((gross - background) / share, error / share, fused, limit / share, epsilon, unit)
