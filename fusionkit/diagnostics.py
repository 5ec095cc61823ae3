r"""What a run says about itself in plain words: which results to distrust, and what to look at.

A `Diagnostic` is a warning where something is probably wrong, else a note. The thresholds were set between what
complete models reach on the packaged configs, phantoms and DyScO3, and what the same data give with an element left
out, a wrong exponent or a wrong weight; the numbers stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from math import exp, log

import numpy as np

from fusionkit.image_limits import quantity
from fusionkit.result import Status
from fusionkit.run_record import Diagnostic, RunRecord
from fusionkit.terms import Array

# of the variance that is not noise: complete models explain 94 % (DyScO3) to 100 %; without Dy 77 %, with a tenth of
# the weight or less 59 %
_EXPLAINED = 0.9
# mean correlation of neighbouring residuals where the noise is known to be white: complete models reach 0.04, a missing
# element or a wrong exponent 0.28 and more
_CORRELATION = 0.2
# counts of the fused over those of the raw map: complete models keep 0.88 to 1.09, a missing element, a wrong exponent
# or thirty times the TV weight give less than 0.75 or more than 1.33
_BALANCE = 1.25
_FEWEST_COUNTS = 100  # of a whole map: even its mean is then known to no better than 10 %
_LOST = 0.01  # of the raw mean: below it the map is as good as zero


def diagnose(record: RunRecord) -> tuple[Diagnostic, ...]:
    """Everything that the run gives reason to say, warnings first.

    Parameters
    ----------
    record : the run; its own ``diagnostics`` are not looked at.
    """
    found = list(_ending(record))
    if np.isfinite(record.result.x).all():
        checks = (_images, _maps, _dose, _truth)
        found += chain.from_iterable(check(record) for check in checks)
    else:
        found.append(_warning("The solution holds values that are not finite; grey pixels show where."))
    return tuple(sorted(found, key=lambda each: each.level != "warning"))


def counts_per_unit(record: RunRecord) -> float | None:
    """What a value of the raw maps is multiplied by to give counts; None where they are no counts."""
    maps = record.dataset.arrays.get("maps")
    if maps is None or record.dataset.counts_per_unit is not None:
        return record.dataset.counts_per_unit
    return 1.0 if quantity(maps) == "counts" else None


def expected_maps(record: RunRecord) -> Array | None:
    """What the raw maps should be on average, background included, in their units; None where no model says."""
    maps, x = record.dataset.arrays.get("maps"), record.result.x
    model = record.models.get("maps", x)
    if maps is None or model.shape != maps.shape:
        return None
    return np.asarray(model, np.float64) + _background(record.resolved_config)


def explainable(image: Array, sigma: float | None) -> float:
    """The part of the variance of an image that is not white noise, 0 to 1.

    Parameters
    ----------
    image : (ny, nx).
    sigma : standard deviation of its noise; None to estimate it, which counts detail of single pixels as noise.
    """
    variance = float(np.var(image))
    noise = noise_level(image) if sigma is None else sigma
    return max(0.0, 1.0 - noise**2 / variance) if variance > 0.0 else 0.0


def noise_level(image: Array) -> float:
    """Standard deviation of white noise by the mask of Immerkaer, Comput. Vis. Image Underst. 64, 300 (1996)."""
    if min(image.shape) < 3:
        return 0.0
    rows = image[:-2] - 2.0 * image[1:-1] + image[2:]
    second = rows[:, :-2] - 2.0 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.sqrt(np.mean(second * second, dtype=np.float64) / 36.0))


def neighbour_correlation(residual: Array) -> float:
    """Mean correlation of a pixel with its right and its lower neighbour; 0 for white noise."""
    centred = np.asarray(residual, np.float64) - float(np.mean(residual))
    variance = float(np.mean(centred * centred))
    if variance == 0.0 or min(residual.shape) < 2:
        return 0.0
    across = float(np.mean(centred[:, 1:] * centred[:, :-1]))
    down = float(np.mean(centred[1:] * centred[:-1]))
    return (across + down) / (2.0 * variance)


def _ending(record: RunRecord) -> Iterator[Diagnostic]:
    result = record.result
    reached = f"optimality {result.optimality:.1e}" + _above(record.resolved_config)
    texts = {
        Status.MAX_ITERATIONS: f"Not converged: {reached} after {result.iterations} iterations, the limit; "
        "raise solver.max_iterations.",
        Status.STALLED: f"Stalled at {reached}: no step improves it any more; try precision: double or another solver.",
        Status.DIVERGED: "Diverged: the objective grew beyond all proportion; the maps mean nothing.",
        Status.INTERRUPTED: f"Interrupted at {reached}: these are the best maps until then, not the solution.",
    }
    if result.status in texts:
        yield _warning(texts[result.status])


def _above(config: Mapping[str, object]) -> str:
    solver = config.get("solver")
    tolerance = solver.get("tolerance") if isinstance(solver, Mapping) else None
    return f", above the tolerance {tolerance:g}," if isinstance(tolerance, int | float) else ""


def _images(record: RunRecord) -> Iterator[Diagnostic]:
    """How well each image is explained, and whether what is left looks like noise."""
    for name, model in record.models.items():
        image = record.dataset.arrays.get(name)
        if image is None or image.ndim != 2 or image.shape != model.shape or not np.var(image) > 0.0:
            continue
        shown = "HAADF" if name == "haadf" else name
        sigma = record.dataset.haadf_sigma if name == "haadf" else None
        residual = np.asarray(image, np.float64) - model
        yield from _explained(shown, image, residual, sigma)
        correlation = neighbour_correlation(residual)
        if correlation > _CORRELATION + 3.0 / residual.size**0.5:  # three standard errors of white noise
            # where the noise is not known, it may itself be correlated: then no more than a note
            said = f"Neighbouring residuals of the {shown} image correlate ({correlation:.2f})"
            yield Diagnostic("note" if sigma is None else "warning", f"{said}: the model misses structure.")


def _explained(name: str, image: Array, residual: Array, sigma: float | None) -> Iterator[Diagnostic]:
    explained = 1.0 - float(np.var(residual)) / float(np.var(image))
    possible = explainable(image, sigma)
    said = f"The model explains {_percent(explained)} of the variance of the {name} image"
    if possible < 0.1:
        yield Diagnostic("note", f"{said}, which is mostly noise.")
    elif explained < _EXPLAINED * possible:
        yield _warning(
            f"{said}, and noise accounts for {_percent(1.0 - possible)} at most: is an element missing, "
            "or is the weight of that term too low?"
        )
    else:
        yield Diagnostic("note", said + ".")


def _maps(record: RunRecord) -> Iterator[Diagnostic]:
    """Maps that vanished, and maps that hold other counts than were recorded."""
    raw, expected, scale = record.dataset.arrays.get("maps"), expected_maps(record), counts_per_unit(record)
    if raw is None or expected is None or record.result.x.shape != raw.shape:
        return
    for name, given, mean, fused in zip(record.result.labels, raw, expected, record.result.x, strict=True):
        average = float(np.mean(given, dtype=np.float64))
        if average <= 0.0:
            yield _warning(f"The raw map of {name} is empty: its fused map rests on the other data alone.")
        elif float(np.mean(fused, dtype=np.float64)) < _LOST * average:
            yield _warning(f"The fused map of {name} is zero, though its raw map is not: are the weights too high?")
        elif scale is not None:
            yield from _balance(name, float(np.mean(mean)) / average, average * given.size * scale)


def _balance(name: str, ratio: float, counts: float) -> Iterator[Diagnostic]:
    margin = log(_BALANCE) + 3.0 / max(counts, 1.0) ** 0.5  # three standard errors of the recorded counts
    if abs(log(max(ratio, exp(-700.0)))) <= margin:
        return
    if ratio > 1.0:
        why = "the HAADF image asks for more: is an element missing, or gamma, z or a weight off?"
    else:
        why = "counts are lost: is the penalty too strong, or gamma, z or a weight off?"
    yield _warning(f"The fused map of {name} holds {ratio:.2f} times the counts of its raw map; {why}")


def _dose(record: RunRecord) -> Iterator[Diagnostic]:
    raw, scale = record.dataset.arrays.get("maps"), counts_per_unit(record)
    if raw is None or scale is None or raw.ndim != 3 or len(record.dataset.elements) != raw.shape[0]:
        return
    counts = {
        name: scale * float(one.sum(dtype=np.float64)) for name, one in zip(record.dataset.elements, raw, strict=True)
    }
    pixels = raw[0].size
    means = ", ".join(f"{name} {total / pixels:.3g}" for name, total in counts.items())
    yield Diagnostic("note", f"Mean counts per pixel: {means}.")
    for name, total in counts.items():
        if 0.0 < total < _FEWEST_COUNTS:
            error = 100.0 / total**0.5
            yield _warning(f"The map of {name} holds {total:.0f} counts: its mean alone is uncertain by {error:.0f} %.")


def _truth(record: RunRecord) -> Iterator[Diagnostic]:
    truth, raw, x = record.dataset.truth, record.dataset.arrays.get("maps"), record.result.x
    if truth is None or truth.shape != x.shape or not np.any(truth):
        return
    size = float(np.linalg.norm(truth))
    error = float(np.linalg.norm(x - truth)) / size
    before = ""
    if raw is not None and raw.shape == truth.shape:
        before = f", that of the raw maps {_percent(float(np.linalg.norm(raw - truth)) / size)}"
    yield Diagnostic("note", f"Relative error against the ground truth: {_percent(error)}{before}.")


def _background(config: Mapping[str, object]) -> float:
    """Epsilon of the Poisson term of the maps; 0 without one."""
    terms = config.get("terms")
    for term in terms if isinstance(terms, list | tuple) else ():
        if isinstance(term, Mapping) and term.get("type") == "poisson" and term.get("data", "maps") == "maps":
            epsilon = term.get("epsilon", 0.0)
            return float(epsilon) if isinstance(epsilon, int | float) else 0.0
    return 0.0


def _warning(text: str) -> Diagnostic:
    return Diagnostic("warning", text)


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"
