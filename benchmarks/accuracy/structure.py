"""Errors that a mean hides: fractions by region, blurred edges, and structure invented from the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.accuracy.independent.scene import Mask
from benchmarks.accuracy.metrics import fractions, rescaled
from benchmarks.accuracy.specimens import Case
from fusionkit.arrays import Array

_FEWEST = 9  # pixels of a region
_TRACE = 0.05  # fractions below it are not judged
_EDGES = 0.95  # quantile of the gradient above which a pixel is an edge


@dataclass(frozen=True)
class Structure:
    """Scores of maps.

    Parameters
    ----------
    fraction : the largest relative error of an atomic fraction of a region.
    in_sigmas : the largest error of such a fraction, in standard deviations of counting.
    total : the largest relative error of the counts of an element in a region.
    sharpness : gradient of the map over that of the truth, at the steepest edges; mean over the elements.
    invented : correlation of the error with the part of the image that no combination of the true maps explains; root
        mean square over the elements.
    """

    fraction: float
    in_sigmas: float
    total: float
    sharpness: float
    invented: float

    def row(self) -> dict[str, Any]:
        """Numbers by name, for a file."""
        return dict(vars(self))


def structure(x: Array, case: Case) -> Structure | None:
    """Scores of maps (n, ny, nx) in counts; None for a case without regions or clean image."""
    truth = case.dataset.truth
    assert truth is not None
    if not case.regions or case.clean is None:
        return None
    near = rescaled(x, truth)
    sharp = float(np.mean([_sharpness(one, known) for one, known in zip(near, truth, strict=True)]))
    return Structure(*_by_region(x, truth, case.regions), sharp, _invented(x - truth, truth, case.clean))


def _by_region(x: Array, truth: Array, regions: Mapping[str, Mask]) -> tuple[float, float, float]:
    relative, sigmas, totals = 0.0, 0.0, 0.0
    for region in regions.values():
        if region.sum() < _FEWEST:
            continue
        counts, true_counts = x[:, region].sum(axis=1), truth[:, region].sum(axis=1)
        share = fractions(true_counts)
        error, judged = np.abs(fractions(counts) - share), share > _TRACE
        deviation = np.sqrt(share * (1 - share) / true_counts.sum())
        relative = max(relative, float(np.max((error / share)[judged])))
        deviations = np.divide(error, deviation, out=np.zeros(error.shape), where=deviation > 0)
        sigmas = max(sigmas, float(np.max(deviations[judged])))
        totals = max(totals, float(np.max(np.abs(counts / true_counts - 1)[judged])))
    return relative, sigmas, totals


def _sharpness(one: Array, truth: Array) -> float:
    gradient, true_gradient = np.array(np.gradient(one)), np.array(np.gradient(truth))
    steepness = np.hypot(*true_gradient)
    edges = steepness > np.quantile(steepness, _EDGES)
    return float((gradient * true_gradient)[:, edges].sum() / (true_gradient**2)[:, edges].sum())


def _invented(error: Array, truth: Array, clean: Array) -> float:
    columns = np.column_stack([np.ones(clean.size), truth.reshape(len(truth), -1).T])
    image = clean.ravel()
    unexplained = image - columns @ np.linalg.lstsq(columns, image, rcond=None)[0]
    alone = gaussian_filter(unexplained.reshape(clean.shape), 1).ravel()
    return float(np.sqrt(np.mean([np.corrcoef(alone, one.ravel())[0, 1] ** 2 for one in error])))
