r"""Whether gamma is wrong: the fused maps follow the image, the raw counts follow the specimen.

With a wrong exponent g in place of gamma, maps that reproduce the image are those of the specimen to the power
gamma / g. In bins of the fused brightness :math:`t = \sum_i Z_i x_i`, the counts
:math:`\sum_i Z_i (b_i - \varepsilon)` are then proportional to :math:`t^p`, and the exponent that fits is g / p. If
the image is more precise than the counts, t hardly depends on them, so their noise does not bias the fit of p.
"""

from collections.abc import Iterator
from math import log

import numpy as np

from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.report.diagnostics.background import image_background, map_backgrounds
from fusionkit.report.diagnostics.image_and_counts import ImageAndCounts, image_and_counts
from fusionkit.results.record import Diagnostic, RunRecord, warning

# |log p|: complete models 0.02 at 20 counts and more, 0.08 +- 0.04 at 2 to 5; gamma off by 0.2 gives 0.11 to 0.4
_OFF = 0.06
_ERRORS = 3.0  # standard errors
_BINS = 12
_RANGE = 2.0  # least ratio of the brightest to the darkest bin
_BRIGHT = 0.1  # of the brightest: darker pixels are not used
_MODEL = 0.005  # relative error of a bin due to the penalty, besides that of its counts
_PLAUSIBLE = (1.2, 2.3)  # outside this range something else is wrong


def exponent(record: RunRecord) -> Iterator[Diagnostic]:
    """A warning with the exponent that fits the counts."""
    fusion = image_and_counts(record)
    if fusion is None or not fusion.in_counts or "gamma" in record.result.parameters.get(fusion.image.name, {}):
        return
    model = getattr(fusion.image.forward, "model", fusion.image.forward)  # the inner model if the image is calibrated
    if not isinstance(model, PowerSum) or model.gamma == 1.0:
        return
    if image_background(fusion) is not None or map_backgrounds(fusion):  # either biases the fit
        return
    fit = fit_power(fusion, model)
    if fit is None:
        return
    power, error = fit
    better = model.gamma / power
    if abs(log(power)) > _OFF + _ERRORS * error and _PLAUSIBLE[0] < better < _PLAUSIBLE[1]:
        yield warning(
            f"gamma = {model.gamma:g} does not fit: the counts follow the fused maps to the power {power:.2f}, as if "
            f"gamma were about {better:.2f}; or an element is missing."
        )


def fit_power(fusion: ImageAndCounts, model: PowerSum) -> tuple[float, float] | None:
    """The power p and its relative standard error; None if the data do not determine it."""
    z = np.asarray(model.z, np.float64).reshape(-1, 1, 1)
    t = (z * fusion.x).sum(axis=0).ravel()
    counts = (z * (fusion.raw - fusion.epsilon)).sum(axis=0).ravel()
    variance = (z**2 * (fusion.x + fusion.epsilon)).sum(axis=0).ravel() / max(fusion.counts.weight, 1e-300)
    use = t > _BRIGHT * np.percentile(t, 99.0)
    if use.sum() < 4 * _BINS:
        return None
    t, counts, variance = t[use], counts[use], variance[use]
    parts = np.array_split(np.argsort(t, kind="stable"), _BINS)
    means = np.array([t[p].mean() for p in parts])
    levels = np.array([counts[p].mean() for p in parts])
    if not (np.all(levels > 0.0) and means[-1] > _RANGE * means[0] > 0.0):
        return None
    errors = np.hypot([(variance[p].mean() / p.size) ** 0.5 for p in parts] / levels, _MODEL)
    rows = np.stack([np.log(means), np.ones(_BINS)], axis=1) / errors[:, None]
    covariance = np.linalg.inv(rows.T @ rows)
    line = covariance @ (rows.T @ (np.log(levels) / errors))
    chi2 = float(((rows @ line - np.log(levels) / errors) ** 2).sum()) / (_BINS - 2)
    power = float(line[0])
    return (power, float(covariance[0, 0] * max(1.0, chi2)) ** 0.5 / power) if power > 0.0 else None
