"""How much of each image the model explains, and whether the residual looks like noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fusionkit.data.noise import MASK_NORM, mixed_differences
from fusionkit.report.diagnostics.sentences import note, percent, warning
from fusionkit.report.run_images import title_of
from fusionkit.results.record import Diagnostic, RunRecord
from fusionkit.terms import Array

# of the variance that is not noise: complete models explain 94 % (DyScO3) to 100 %; without Dy 77 %, with a tenth of
# the weight or less 59 %
_EXPLAINED = 0.9
# mean correlation of neighbouring residuals if the noise is known to be white: complete models reach 0.04, a missing
# element or a wrong exponent 0.28 and more
_CORRELATION = 0.2
_ROUNDING = 1e-6  # of the brightest
_STRUCTURE = 0.1  # of the variance: an image with less is noise, since its level is only known to a few per cent


def images(record: RunRecord) -> Iterator[Diagnostic]:
    """The explained variance of each image, and structure in its residual."""
    chosen = {one.term: one.weight for one in record.weights if one.method == "count_splitting"}
    for name, model in record.models.items():
        image = record.dataset.arrays.get(name)
        if chosen.get(name) == 0.0:
            yield note(f"The {title_of(name)} image is left out: without it held-out counts are predicted best.")
            continue
        if image is None or image.ndim != 2 or image.shape != model.shape:
            continue
        if float(np.ptp(image)) <= _ROUNDING * float(np.abs(image).max()):
            yield warning(f"The {title_of(name)} image is constant: {_EMPTY}")
            continue
        sigma = record.dataset.haadf_sigma if name == "haadf" else None
        residual = np.asarray(image, np.float64) - model
        yield from _explained(title_of(name), image, residual, sigma, name in chosen)
        correlation = neighbour_correlation(residual)
        if correlation > _CORRELATION + 3.0 / residual.size**0.5:  # three standard errors of white noise
            # unknown noise may be correlated itself: only a note
            sentence = f"Neighbouring residuals of the {title_of(name)} image correlate ({correlation:.2f})"
            yield (note if sigma is None else warning)(f"{sentence}: the model misses structure.")


_EMPTY = "it shows no detail, so the fused maps rest on their counts and on the prior."


def _explained(name: str, image: Array, residual: Array, sigma: float | None, chosen: bool) -> Iterator[Diagnostic]:
    explained = 1.0 - float(np.var(residual)) / float(np.var(image))
    possible = explainable(image, sigma)
    share = percent(explained) if explained > 0.0 else "nothing"
    sentence = f"The model explains {share} of the variance of the {name} image"
    if possible < _STRUCTURE:
        yield warning(f"The {name} image is nearly constant, {percent(1.0 - possible)} of its variance noise: {_EMPTY}")
    elif explained < _EXPLAINED * possible:
        cause = (
            "does it show matter without a map, or diffraction? Held-out counts chose its weight" if chosen else None
        )
        yield warning(
            f"{sentence}, and noise accounts for {percent(1.0 - possible)} at most: "
            + (cause + "." if cause else "is an element missing, or is the weight of that term too low?")
        )
    else:
        yield note(sentence + ".")


def explainable(image: Array, sigma: float | None) -> float:
    """The part of the variance of an image that is not white noise, 0 to 1.

    Parameters
    ----------
    image : (ny, nx).
    sigma : standard deviation of its noise; None to estimate it, which takes detail of single pixels for noise.
    """
    variance = float(np.var(image))
    noise = greatest_noise(image) if sigma is None else sigma
    return max(0.0, 1.0 - noise**2 / variance) if variance > 0.0 else 0.0


def greatest_noise(image: Array) -> float:
    """An upper bound of the noise: its root mean square including edges and single pixels; 0 for a tiny image."""
    if min(image.shape) < 3:
        return 0.0
    mixed = mixed_differences(image, np.result_type(image, np.float32))  # a large image is not copied to float64
    return float(np.sqrt(np.mean(mixed * mixed, dtype=np.float64))) / MASK_NORM


def neighbour_correlation(residual: Array) -> float:
    """Mean correlation of a pixel with its right and its lower neighbour; 0 for white noise."""
    centred = np.asarray(residual, np.float64) - float(np.mean(residual))
    variance = float(np.mean(centred * centred))
    if variance == 0.0 or min(residual.shape) < 2:
        return 0.0
    across = float(np.mean(centred[:, 1:] * centred[:, :-1]))
    down = float(np.mean(centred[1:] * centred[:-1]))
    return (across + down) / (2.0 * variance)
