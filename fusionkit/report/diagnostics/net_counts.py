r"""Net counts of each map with their error and the limit of detection.

A map that holds a share of an element's counts (``spectral``) gives these numbers divided by the share.

With the gross counts G and the background B, the net counts are G - B with the error :math:`\sqrt{G + B}`, since the
background is estimated from about as many counts. Net counts below :math:`2.71 + 4.65 \sqrt B` are not detected.
Source: L. A. Currie, Anal. Chem. 40, 586 (1968). Maps that are not counts have the error of their noise, and 3.29 times
it as limit.
"""

import numpy as np

from fusionkit.data.missing import known
from fusionkit.data.noise import clipped_noise
from fusionkit.report.diagnostics.map_expectations import MapExpectation, map_expectations
from fusionkit.results.record import NetCounts, RunRecord


def net_counts(record: RunRecord) -> dict[str, NetCounts]:
    """The net counts of each recorded map, and those of its fused map, by the name of the map."""
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
