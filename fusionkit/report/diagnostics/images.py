"""Images that show nothing, or that were left out; whether one fits the maps is part of the verdict."""

from collections.abc import Iterator, Mapping

import numpy as np

from fusionkit.data.counts.scale import is_counts
from fusionkit.data.noise import MASK_NORM, mixed_differences
from fusionkit.data.prepare.outliers import candidates
from fusionkit.report.diagnostics.map_expectations import completed, map_expectations
from fusionkit.report.run_images import title_of
from fusionkit.results.record import Diagnostic, RunRecord, note, percent, terms_of, warning
from fusionkit.terms import Array

_ROUNDING = 1e-6  # of the brightest
_STRUCTURE = 0.1  # of the variance: an image with less is noise, since its level is only known to a few per cent
_OVERFLOW = 1e37  # float32 holds no 16 times as much
GUIDE = " Its structure still guides the groups of patches."
_EMPTY = "it shows no detail, so the fused maps rest on their counts and on the prior."


def images(record: RunRecord) -> Iterator[Diagnostic]:
    """The explained variance of each image, and whether it is empty or was left out."""
    chosen = {one.term: one.weight for one in record.weights if one.method == "count_splitting"}
    for name, model in record.models.items():
        image = completed(record, name)
        if chosen.get(name) == 0.0:
            text = f"The {title_of(name)} image is left out as data: without it held-out counts are predicted best."
            yield note(f"{text}{GUIDE}" if guides(record) else text)
        elif image is None or image.ndim != 2 or image.shape != model.shape:
            continue
        elif is_constant(image):
            yield warning(f"The {title_of(name)} image is constant: {_EMPTY}")
        else:
            possible = explainable(image, record.dataset.haadf_sigma if name == "haadf" else None)
            if possible < _STRUCTURE:
                share = percent(1.0 - possible)
                yield warning(f"The {title_of(name)} image is nearly constant, {share} of its variance noise: {_EMPTY}")
                continue
            explained = explained_by(image, model)
            share = percent(explained) if explained > 0.0 else "nothing"
            yield note(f"The model explains {share} of the variance of the {title_of(name)} image.")


def single_pixels(record: RunRecord) -> Iterator[Diagnostic]:
    """Hot and dead pixels of the image and spikes of the maps, which become counts that are not there."""
    image = completed(record, "haadf")
    pixels = {} if image is None or image.ndim != 2 else {"the HAADF image": candidates(image)}
    for one in map_expectations(record):
        if one.scale is not None and is_counts(one.raw * one.scale):
            pixels[f"the map of {one.name}"] = candidates(one.measured, one.scale)
    for name, places in pixels.items():
        if places:
            count = f"{len(places)} pixels of {name} stand" if len(places) > 1 else f"A pixel of {name} stands"
            step = "outliers" if "image" in name else "outliers, of: maps"
            remedy = f"if faulty, replace them with data.prepare: [{{step: {step}}}]"
            yield warning(f"{count} out from all around, the first at {places[0]}: {remedy}.")


def guides(record: RunRecord) -> bool:
    """Whether an image shares in the groups of a penalty of patches."""
    shares = [one.get("guide_share", 0.0) for one in terms_of(record.resolved_config) if one.get("weight") != 0.0]
    return any(max(one.values(), default=0.0) > 0.0 if isinstance(one, Mapping) else one > 0.0 for one in shares)


def explained_by(image: Array, model: Array) -> float:
    """The share of the variance of an image that its model explains."""
    exact = np.asarray(image, np.float64)
    return 1.0 - float(np.var(exact - model)) / float(np.var(exact))


def is_constant(image: Array) -> bool:
    """Whether all values are equal up to rounding."""
    return float(np.ptp(image)) <= _ROUNDING * float(np.abs(image).max())


def explainable(image: Array, sigma: float | None) -> float:
    """The part of the variance of an image that is not white noise, 0 to 1.

    Parameters
    ----------
    image : (ny, nx).
    sigma : standard deviation of its noise; None to estimate it, which takes detail of single pixels for noise.
    """
    variance = float(np.var(image, dtype=np.float64))
    noise = greatest_noise(image) if sigma is None else sigma
    return max(0.0, 1.0 - noise**2 / variance) if variance > 0.0 else 0.0


def greatest_noise(image: Array) -> float:
    """An upper bound of the noise: its root mean square including edges and single pixels; 0 for a tiny image."""
    if min(image.shape) < 3:
        return 0.0
    fits = float(np.abs(image).max()) < _OVERFLOW  # a large image is not copied to float64
    mixed = mixed_differences(image, np.result_type(image, np.float32) if fits else np.float64)
    return float(np.sqrt(np.mean(np.square(mixed, dtype=np.float64)))) / MASK_NORM
