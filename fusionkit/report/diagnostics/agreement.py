r"""Whether the image agrees with the fused maps, however much it was believed.

With the model h of the image at the fused maps, refitted by an offset and a gain of each element where gain and offset
are fitted (z lacks the sensitivities of the spectrometer, here within a factor of 2), the residual r
should have the variance of the noise s of the image and of the errors e of the maps:

.. math:: R = \mathrm{var}(r) \Big/ \Bigl(s^2 + \Bigl\langle \sum_i (\partial h / \partial x_i)^2\, e_i^2
          \Bigr\rangle\Bigr)

The same is compared after a Gaussian, which leaves a known share of the noise and about a third of e: it brings out
structure. The larger ratio is the misfit. It is less than 1 where the image and the maps belong together, also where
held-out counts left the image out because the counts suffice. e is the error that held-out counts estimate, spread
over the pixels as the counts are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple, get_args

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from fusionkit.data.noise import busiest, clipped_noise
from fusionkit.operators.fidelity import PixelwiseFidelity
from fusionkit.operators.forward.haadf_models import ElasticModel
from fusionkit.report.diagnostics.image_and_counts import terms_with_parameters
from fusionkit.report.diagnostics.images import is_constant
from fusionkit.report.diagnostics.map_expectations import completed
from fusionkit.report.diagnostics.registration import image_shift
from fusionkit.results.record import RunRecord, terms_of
from fusionkit.terms import Array

_WIDTH = 2.0  # pixels, of the Gaussian
_KEPT = 1.0 / 3.0  # of the squared errors of maps that the Gaussian keeps
# of the offset, and of the sensitivity of the spectrometer to an element over that to all, which z lacks
_LIMITS = ((-np.inf, 0.5), (np.inf, 2.0))
_ROUNDING = 1e-6  # of the variance of the image
_FILTERED = 0.1  # of the variance of the raw maps remains in fused maps, if held-out counts do not tell
# of the misfit: a remedy leaves 0.001 to 0.03 where the cause is a shift, 0.1 to 1 elsewhere; of gamma 0.02 to 0.14
_CURED, _MENDED = 0.1, 4.0
_TRIED = 128  # pixels along an axis, on which an exchange is tried first
_HOPELESS = 4.0  # times the limit of the misfit there, an exchange is not tried on all pixels
_FEWEST = 16  # pixels along an axis of a shifted image
_SAME: Mapping[str, float] = MappingProxyType({})
_GAMMAS = (0.7, 0.85, 1.0, 1.2, 1.4, 2.0, 2.4, 2.8)  # tried in place of the given one


@dataclass(frozen=True)
class Agreement:
    """How an image agrees with the maps."""

    misfit: float  # the variance of the residual over the expected one, of pixels or of the smoothed residual
    explained: float  # share of the variance of the image that the model explains
    inverted: bool = False  # whether the image is dark where the maps are bright
    swapped: tuple[str, str] | None = None  # two elements whose exchange explains the image, or None
    remedy: str = ""  # what made the image fit when it was tried, a sentence; empty if nothing did


class _Fit(NamedTuple):
    term: PixelwiseFidelity  # of the image
    refit: bool  # whether gain and offset are fitted
    model: str  # the elastic model where several were tried, or empty


def agreement(record: RunRecord, limit: float) -> Agreement | None:
    """The agreement of the HAADF image; None without a pixelwise model of it.

    Parameters
    ----------
    record : the run.
    limit : of the misfit, above which remedies are tried: an exchange of two labels, a shift, another gamma.
    """
    image, x, labels = completed(record, "haadf"), record.result.x, record.result.labels
    if image is None or x.ndim != 3 or image.shape != x.shape[1:] or min(image.shape) < 3:
        return None
    rows, columns = busiest(image)
    x = np.asarray(x[:, rows, columns], np.float64)
    arrays = {name: completed(record, name) for name in ("haadf", "maps")}
    part = {name: one[..., rows, columns] for name, one in arrays.items() if one is not None}
    fits = list(_fits(record, part))
    if not fits or is_constant(fits[0][0].data):
        return None
    errors = _errors(record, x)
    best = min((_agreement(fit, x, errors) for fit in fits), key=lambda one: one.misfit)
    if best.misfit <= limit:
        return best
    inner = (..., *busiest(image[rows, columns], _TRIED))
    trials = list(_fits(record, {name: one[inner] for name, one in part.items()}))
    for i, j in combinations(range(len(labels)), 2):
        order = list(range(len(labels)))
        order[i], order[j] = j, i
        for which, pixels in ((trials, inner), (fits, ...)):  # most exchanges are no help in a small part already
            each = (_agreement(fit, x[order][pixels], errors[order][pixels]) for fit in which)
            other = min(each, key=lambda one: one.misfit)
            if other.misfit > (_HOPELESS if which is trials else 1.0) * limit or other.inverted:
                break
        else:
            return replace(best, swapped=(labels[i], labels[j]))
    tried = [(one.misfit, text) for one, text in _remedies(record, part, x, errors) if not one.inverted]
    least, text = min(tried, default=(np.inf, ""))
    helps = least <= max(limit, min(_CURED * best.misfit, _MENDED))
    by = f"it differs by {least**0.5:.2g} times what they allow"
    return replace(best, remedy=f"{text} {by}: use it." if helps else "")


def _remedies(record: RunRecord, part: Mapping[str, Array], x: Array, errors: Array) -> Iterator[tuple[Agreement, str]]:
    """The agreement of the image after a shift and with other exponents, each with the start of a sentence."""
    for gamma in _GAMMAS:
        for fit in _fits(record, part, {"gamma": gamma}):
            if gamma >= 1.0 or not fit.refit:  # gain and offset are fitted from 1 on
                model = f" and model: {fit.model}" if fit.model else ""
                yield _agreement(fit, x, errors), f"With gamma: {gamma:g}{model}"
    found = image_shift(record)
    for by in () if found is None else (found, np.rint(found)):
        edge = int(np.ceil(np.max(np.abs(by))))
        inner = (..., *[slice(edge, size - edge) for size in x.shape[1:]])
        if min(x[inner].shape[1:]) >= _FEWEST:
            moved = shift(np.asarray(part["haadf"], np.float64), by, mode="nearest")[inner]
            text = f"With the step register of data.prepare, which moves it by ({by[0]:.1f}, {by[1]:.1f}) pixels,"
            for fit in _fits(record, {"haadf": moved, "maps": part["maps"][inner]}):
                yield _agreement(fit, x[inner], errors[inner]), text


def _fits(record: RunRecord, arrays: Mapping[str, Array], options: Mapping[str, float] = _SAME) -> Iterator[_Fit]:
    """The term of the image with each elastic model that was tried."""
    dataset = replace(record.dataset, arrays=arrays, truth=None)
    tried = any("model" in one.options for one in record.weights)
    for spec in terms_of(record.resolved_config):
        if spec.get("type") != "haadf" or spec.get("data", "haadf") != "haadf":
            continue
        for model in get_args(ElasticModel) if tried else (spec.get("model", "power_sum"),):
            for term in terms_with_parameters(record, dataset, [{**spec, **options, "model": model, "weight": 1.0}]):
                if isinstance(term, PixelwiseFidelity):
                    yield _Fit(term, "auto" in (spec.get("gain"), spec.get("offset")), model if tried else "")


def _errors(record: RunRecord, x: Array) -> Array:
    """Squared error of each value of the maps, (n, ny, nx)."""
    known, maps = record.map_errors, record.dataset.arrays.get("maps")
    raw = [clipped_noise(one) ** 2 for one in maps] if maps is not None and len(maps) == len(x) else [0.0] * len(x)
    squares = [
        known[label] ** 2 if label in known else _FILTERED * r
        for label, r in zip(record.result.labels, raw, strict=True)
    ]
    means = np.maximum(x.mean(axis=(1, 2), keepdims=True), np.finfo(np.float64).tiny)
    return np.reshape(squares, (-1, 1, 1)) * x / means


def _agreement(fit: _Fit, x: Array, errors: Array) -> Agreement:
    term = fit.term
    image = np.asarray(term.data, np.float64)
    jet = term.forward.jet(x, second=False)  # type: ignore[attr-defined]  # pixelwise
    h, gain, offset = np.asarray(jet.prediction, np.float64), 1.0, 0.0
    slopes, residual = np.asarray(jet.slope, np.float64), image - h
    if fit.refit and np.ptp(h) > 0.0:
        gain, offset = (float(one) for one in np.polyfit(h.ravel(), image.ravel(), 1))
        residual = image - gain * h - offset
        if gain > 0.0:
            gains, residual = _brightnesses(term, x, image, gain)
            slopes = gains[:, None, None] * slopes
    sigma = clipped_noise(image)
    of_maps = float(np.mean(np.sum(slopes**2 * errors, axis=0)))
    mean_square = float(np.mean(residual**2))
    smooth = float(np.mean(gaussian_filter(residual, _WIDTH, mode="nearest") ** 2))
    noise = sigma**2 / (4.0 * np.pi * _WIDTH**2)  # that a Gaussian leaves
    variance = float(np.var(image))
    least = _ROUNDING * variance  # of an image without noise
    misfit = max(mean_square / (sigma**2 + of_maps + least), smooth / (noise + _KEPT * of_maps + least))
    return Agreement(misfit, 1.0 - mean_square / variance, gain <= 0.0)


def _brightnesses(term: PixelwiseFidelity, x: Array, image: Array, gain: float) -> tuple[Array, Array]:
    """The gain of each element, and the residual: the sensitivity of the spectrometer, which z lacks, is in them."""
    from scipy.optimize import lsq_linear

    alone = np.zeros_like(x)
    dark, parts = term.forward.apply(alone), np.ones((image.size, len(x) + 1))
    for at, one in enumerate(x):
        alone[at] = one
        parts[:, at + 1] = np.ravel(term.forward.apply(alone) - dark)
        alone[at] = 0.0
    q, r = np.linalg.qr(parts)
    ends = [np.array([end, *[gain * factor] * len(x)]) for end, factor in _LIMITS]
    fit = lsq_linear(r, q.T @ image.ravel(), ends).x
    return fit[1:], image - np.reshape(parts @ fit, image.shape)
