"""The verdict on a run: ``good``, ``caution`` or ``unusable``, by measured rules.

`benchmarks/verdicts.py` sets the limits: 200 recordings, half of them broken in known ways. A comment beside a limit
gives the values of sound and of broken recordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from fusionkit.data.counts.scale import is_smoothed
from fusionkit.data.noise import clipped_noise
from fusionkit.report.diagnostics.agreement import Agreement, agreement
from fusionkit.report.diagnostics.images import GUIDE, explained_by, guides, is_constant
from fusionkit.report.diagnostics.map_expectations import MapExpectation, completed, map_expectations
from fusionkit.result import Status
from fusionkit.results.record import LEVELS, Level, RunRecord, Verdict, percent

MISFIT = 1.2  # of the image: sound 0.02 to 1.0; broken at a cost 1.5 to 1000
_SATURATED = 0.01  # of the pixels at the largest value
_TOTAL = (0.02, 0.25)  # difference of fused and net counts beyond three errors: caution, unusable; sound 0
_ERRORS = 3.0
_STRUCTURE = (0.05, 0.2)  # of the residual of a map, over the map: sound 0 to 0.02
_SMOOTH = 4.0  # pixels, of the Gaussian that brings out structure
_INFLATED = 2.5  # variance of the smoothed residual over that of noise: sound up to 2
_HELD_OUT = (0.5, 1.0)  # relative error that held-out counts estimate for half of the counts
_ROUNDING = 1e-14  # of the mean square of a map
_SEARCHES = ("count_splitting", "masked_pixels", "sure")


@dataclass(frozen=True)
class Reason:
    """One reason, of an element or of the run."""

    level: Level
    text: str
    element: str = ""


def judge(record: RunRecord) -> Verdict:
    """The verdict on a run with its net counts."""
    x, labels = record.result.x, record.result.labels
    if not np.isfinite(x).all():
        return Verdict("unusable", ("The maps hold values that are not finite.",), dict.fromkeys(labels, "unusable"))
    image = agreement(record, MISFIT)
    expected = list(map_expectations(record))
    residuals = {one.name: _residual(one) for one in expected}
    reasons = [*_solve(record), *_image(record, image), *_search(record), *_maps(record, residuals)]
    reasons += _smoothed(expected)
    reasons.sort(key=lambda one: -LEVELS.index(one.level))
    elements: dict[str, Level] = {}
    for label in labels if x.ndim == 3 else ():
        elements[label] = _worst(one for one in reasons if one.element.partition(" ")[0] == label)
    level = _worst(one for one in reasons if not one.text.endswith(_ABSENT))
    texts = tuple(dict.fromkeys(one.text for one in reasons))
    return Verdict(level, texts, elements, _measures(record, image, residuals))


_ABSENT = "is not detected."  # no fault of the recording


def _worst(reasons: Iterable[Reason]) -> Level:
    return LEVELS[max((LEVELS.index(one.level) for one in reasons), default=0)]


def _measures(record: RunRecord, image: Agreement | None, residuals: Mapping[str, Residual]) -> dict[str, float]:
    """The figures of merit: totals, held-out deviance, residuals in units of the noise."""
    measures = {f"total_{name}": one.fused / one.net for name, one in record.counts.items() if one.net > 0.0}
    measures |= {f"residual_{name}": one.size for name, one in residuals.items()}
    measures |= {f"held-out_{name}": value for name, value in _held_out(record).items()}
    if image is not None:
        data, model = completed(record, "haadf"), record.models.get("haadf")
        measures |= {"misfit_haadf": image.misfit, "explained_haadf": image.explained}
        if data is not None and model is not None and record.term_weights.get("haadf", 1.0) > 0.0:
            measures["explained_haadf"] = explained_by(data, model)
    return {name: float(f"{value:.4g}") for name, value in measures.items()}


def _smoothed(maps: Iterable[MapExpectation]) -> Iterator[Reason]:
    for one in maps:
        if one.scale is not None and is_smoothed(one.measured * one.scale):
            text = f"The map of {one.name} was smoothed or interpolated, since it varies less than counts do: it holds"
            yield Reason("caution", f"{text} fewer counts than stated. Give the map as it was recorded.", one.name)


def _solve(record: RunRecord) -> Iterator[Reason]:
    result = record.result
    levels: dict[Status, Level] = {Status.CONVERGED: "good", Status.DIVERGED: "unusable"}
    level = levels.get(result.status, "caution")
    if level != "good":
        yield Reason(level, f"The solve did not converge ({result.status}, optimality {result.optimality:.1e}).")
    for term, named in result.parameters.items():
        failed = [name for name, one in named.items() if not one.error < np.inf]
        failed += [name for name, one in named.items() if name == "gain" and abs(one.value) < one.error < np.inf]
        if failed:
            yield Reason("caution", f"The data do not determine {' and '.join(failed)} of {term}.")


def _image(record: RunRecord, image: Agreement | None) -> Iterator[Reason]:
    data = completed(record, "haadf")
    if data is not None and is_constant(data):
        yield Reason("caution", "The HAADF image is constant.")
    if image is None or data is None:
        return
    saturated = float(np.mean(data == data.max()))
    if saturated > _SATURATED and float(np.ptp(data)) > 0.0:
        yield Reason("caution", f"The HAADF detector is saturated: {percent(saturated)} of the pixels are at its top.")
    chosen = [one.weight for one in record.weights if one.term == "haadf" and one.method == "count_splitting"]
    used = "" if not chosen else " Held-out counts limit its weight." if chosen[0] else " It was left out as data."
    used += GUIDE if 0.0 in chosen and guides(record) else ""
    if image.swapped is not None:
        pair = " and ".join(image.swapped)
        for element in image.swapped:
            yield Reason("unusable", f"The labels of {pair} seem to be exchanged: the image fits the maps so.", element)
    elif image.inverted:
        yield Reason("caution", f"The HAADF image is dark where the maps are bright.{used}")
    elif image.misfit > MISFIT:
        times = f"{image.misfit**0.5:.3g} times what noise and errors of the maps allow"
        cause = "Is an element without a map, or are image and maps shifted, distorted or of different places?"
        cause = image.remedy or f"No other gamma mends that, nor a shift that the maps show. {cause}"
        yield Reason("caution", f"The HAADF image does not fit the maps, by {times}. {cause}{used}")


def _search(record: RunRecord) -> Iterator[Reason]:
    for one in record.weights:
        if one.method in _SEARCHES and one.term != "haadf" and one.curve is not None and one.weight > 0.0:
            values = one.curve.values
            if one.uncertainty is None and not one.ranges and len(values) > 1:
                yield Reason("caution", f"The search of the weight of {one.term} ended at its limit.")


def _held_out(record: RunRecord) -> dict[str, float]:
    """Relative error of each map that held-out counts estimate for half of the counts."""
    known = record.map_errors
    if not known or record.result.x.ndim != 3:
        return {}
    sizes = np.sqrt(np.mean(np.square(record.result.x, dtype=np.float64), axis=(1, 2)))
    pairs = zip(record.result.labels, sizes, strict=True)
    return {label: known[label] / float(size) for label, size in pairs if label in known and size > 0.0}


def _maps(record: RunRecord, residuals: Mapping[str, Residual]) -> Iterator[Reason]:
    held_out = _held_out(record)
    if record.counts and not any(one.detected for one in record.counts.values()):
        yield Reason("unusable", "The maps hold none of the elements.")
    for name, one in record.counts.items():
        if not one.detected:
            yield Reason("caution", f"{name} {_ABSENT}", name)
            continue
        structure, error = residuals[name].structure, held_out.get(name, 0.0)
        lost = max(abs(one.fused - one.net) - _ERRORS * one.error, 0.0) / one.net
        text = f"The fused map of {name} holds {percent(one.fused / one.net)} of the net counts"
        if one.epsilon > 0.5 * (one.net - one.fused) > 0.0:
            text, lost = f"{text}: write epsilon: auto if epsilon is no background", min(lost, _TOTAL[1])
        yield from _graded(lost, _TOTAL, name, f"{text}.")
        text = f"The residual of the map of {name} has structure, {percent(structure)} of the map."
        yield from _graded(structure, _STRUCTURE, name, text)
        text = f"Half of the counts give the map of {name} with an error of about {percent(error)}."
        yield from _graded(error, _HELD_OUT, name, text)


def _graded(value: float, limits: tuple[float, float], element: str, text: str) -> Iterator[Reason]:
    if value > limits[0]:
        yield Reason("unusable" if value > limits[1] else "caution", text, element)


@dataclass(frozen=True)
class Residual:
    """The residual of a map."""

    size: float  # its root mean square over that of noise
    structure: float  # its smooth part beyond noise, over the map; 0 where noise explains it


def _residual(one: MapExpectation) -> Residual:
    raw, mean = np.asarray(one.raw, np.float64), np.asarray(one.mean, np.float64)
    point = np.zeros(raw.shape)
    point[raw.shape[0] // 2, raw.shape[1] // 2] = 1.0
    share = float(np.sum(gaussian_filter(point, _SMOOTH) ** 2))
    variance = (
        clipped_noise(one.measured) ** 2 if one.scale is None else float(np.mean(np.maximum(mean, 0.0))) / one.scale
    )
    variance = max(variance, _ROUNDING * float(np.mean(raw**2)), np.finfo(np.float64).tiny)
    beyond = float(np.mean(gaussian_filter(raw - mean, _SMOOTH) ** 2)) - share * variance
    level = float(np.mean((mean - one.background) ** 2)) ** 0.5
    structure = beyond**0.5 / level if beyond > (_INFLATED - 1.0) * share * variance and level > 0.0 else 0.0
    return Residual(float(np.mean((raw - mean) ** 2) / variance) ** 0.5, structure)
