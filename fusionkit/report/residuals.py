r"""Residuals in units of the noise, as histograms beside the standard normal distribution.

The residual of an image is divided by the standard deviation of its noise. For counts b with the expectation m,
randomised quantile residuals are used,

.. math:: z = \Phi^{-1}\bigl(P(b - 1; m) + u\,[P(b; m) - P(b - 1; m)]\bigr), \qquad u \sim U(0, 1),

with P the distribution function of Poisson(m). They are exactly standard normal if the model is right, at one count as
at a thousand, unlike Pearson's (b - m) / sqrt(m). Source: Dunn & Smyth, J. Comput. Graph. Stat. 5, 236 (1996).
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

from fusionkit.report.content import Chart, Curve, Section
from fusionkit.report.diagnostics.map_expectations import counts_per_unit, epsilons, map_expectations
from fusionkit.report.maps import MOST
from fusionkit.report.run_images import difference, title_of
from fusionkit.results.record import RunRecord, terms_of
from fusionkit.terms import Array

_END = 5.0  # of the axis, in units of the noise
_SAMPLE = 2**14  # pixels in a histogram of counts; its bins are then accurate to a few per cent


def residual_section(record: RunRecord) -> Section | None:
    """A histogram for each fitted array; None if there is none."""
    charts = [*_image_charts(record), *_map_charts(record)]
    note = "Bars: the data. Line: pure noise. Narrower bars mean that the model fits some of the noise."
    return Section("Residuals against the noise", tuple(charts), note) if charts else None


def quantile_residuals(counts: Array, mean: Array) -> Array:
    """Randomised quantile residuals of counts b >= 0 with the mean m >= 0, from random numbers of a fixed seed."""
    from scipy.special import ndtri, pdtr

    below = np.where(counts > 0, pdtr(np.maximum(counts - 1.0, 0.0), mean), 0.0)
    share = below + np.random.default_rng(0).random(counts.shape) * (pdtr(counts, mean) - below)
    return ndtri(np.clip(share, 1e-16, 1.0 - 1e-16))


def histogram(title: str, residual: Array, note: str) -> Chart:
    """Density of a residual in units of the noise; values beyond ±5 are counted at ±5."""
    finite = residual[np.isfinite(residual)]
    bins = int(np.clip(2.0 * np.sqrt(finite.size), 12, 60))  # few values need few bins
    counts, ends = np.histogram(np.clip(finite, -_END, _END), bins, (-_END, _END))
    centres = (ends[:-1] + ends[1:]) / 2.0
    density = counts / (max(finite.size, 1) * (ends[1] - ends[0]))
    normal = np.exp(-(centres**2) / 2.0) / np.sqrt(2.0 * np.pi)
    curves = (
        Curve("residual", centres.tolist(), density.tolist(), "bars"),
        Curve("pure noise", centres.tolist(), normal.tolist(), "bold"),
    )
    spread = f"Standard deviation {np.std(finite):.3g}, mean {np.mean(finite):.2f}. " if finite.size else ""
    return Chart(title, "residual / noise", "density", curves, note=spread.replace("-", "−") + note)


def _image_charts(record: RunRecord) -> list[Chart]:
    charts, stacks = [], epsilons(record.resolved_config)
    for name, model in record.models.items():
        data = record.dataset.arrays.get(name)
        if name in stacks or data is None or data.shape != model.shape or data.size < 2:
            continue
        residual = difference(data, model)
        sigma, source = _noise(record, name, residual)
        if sigma > 0.0:
            charts.append(histogram(title_of(name), residual / sigma, f"Noise {sigma:.4g}: {source}."))
    return charts


def _noise(record: RunRecord, name: str, residual: Array) -> tuple[float, str]:
    """Standard deviation of the noise in an array, and its source."""
    if name == "haadf" and record.dataset.haadf_sigma is not None:
        return record.dataset.haadf_sigma, "known from the simulation"
    implied = _implied_sigma(record.resolved_config) if counts_per_unit(record) == 1.0 and name == "haadf" else None
    if implied is not None:
        differs = any(one.term == name and one.facts.get("of_the_noise", 1.0) < 1.0 for one in record.weights)
        of_model = "with the error of the model, " if differs else ""
        return implied, f"{of_model}as the weights of the terms assume"
    finite = residual[np.isfinite(residual)]
    return float(np.std(finite, dtype=np.float64)) if finite.size else 0.0, "unknown; that of the residual is used"


def _implied_sigma(config: Mapping[str, Any]) -> float | None:
    """With counts, weights w of least squares and v of the Poisson term imply a noise of sqrt(v / w)."""
    weights: dict[str, float] = {}
    for term in terms_of(config):
        kind = "haadf" if term.get("type") == "least_squares" and term.get("data") == "haadf" else term.get("type")
        if kind in ("haadf", "poisson") and isinstance(term.get("weight"), int | float):
            weights.setdefault(kind, float(term["weight"]))
    if weights.get("haadf", 0.0) <= 0.0 or weights.get("poisson", 0.0) <= 0.0:
        return None
    return (weights["poisson"] / weights["haadf"]) ** 0.5


def _map_charts(record: RunRecord) -> list[Chart]:
    charts = []
    for one in islice(map_expectations(record), MOST):
        measured = ... if one.missing is None else ~one.missing
        charts.append(_map_chart(one.name, one.raw[measured], one.mean[measured], one.scale))
    return charts


def _map_chart(name: str, raw: Array, mean: Array, scale: float | None) -> Chart:
    if scale is None:
        residual = difference(raw, mean)
        sigma = float(np.std(residual[np.isfinite(residual)], dtype=np.float64))
        note = f"Noise {sigma:.4g}: unknown, since these are not counts; that of the residual is used."
        return histogram(name, residual / (sigma or 1.0), note)
    stride = max(1, raw.size // _SAMPLE)
    counts = np.rint(np.asarray(raw, np.float64).ravel()[::stride] * scale)
    expected = np.maximum(np.asarray(mean, np.float64).ravel()[::stride] * scale, 0.0)
    return histogram(name, quantile_residuals(counts, expected), "Poisson noise; randomised quantile residuals.")
