"""Charts of a run whose unknown is no stack of images: its coefficients, and data against prediction."""

from __future__ import annotations

import numpy as np

from fusionkit.report.content import Chart, Curve, Section, Table
from fusionkit.results.record import RunRecord
from fusionkit.terms import Array

_MOST_BARS = 40  # more coefficients are drawn as a curve, without their labels
_MOST_POINTS = 5000  # of a scatter plot; more are drawn as an even selection


def vector_section(record: RunRecord) -> Section:
    """The unknown, flat, with its truth where known, and every predicted array against its data."""
    charts = [_coefficients(record)]
    for name, model in record.models.items():
        data = record.dataset.arrays.get(name)
        if data is not None and data.shape == model.shape and data.size:
            charts.append(_prediction(name, data.ravel(), model.ravel()))
    return Section("Solution", tuple(charts))


def coefficient_table(record: RunRecord) -> Table | None:
    """The coefficients as numbers, where they are few and named."""
    x, labels, truth = record.result.x.ravel(), record.result.labels, record.dataset.truth
    if len(labels) != x.size or x.size > _MOST_BARS:
        return None
    if truth is None or truth.size != x.size:
        return Table(
            "Coefficients", ("name", "estimate"), tuple((n, f"{v:.6g}") for n, v in zip(labels, x, strict=True))
        )
    rows = zip(labels, x, truth.ravel(), strict=True)
    return Table("Coefficients", ("name", "estimate", "truth"), tuple((n, f"{v:.6g}", f"{t:.6g}") for n, v, t in rows))


def _coefficients(record: RunRecord) -> Chart:
    x, labels, truth = record.result.x.ravel(), record.result.labels, record.dataset.truth
    few = x.size <= _MOST_BARS
    places = [float(index) for index in range(x.size)]
    curves = [Curve("estimate", places, x.tolist(), "bars" if few else "line")]
    if truth is not None and truth.size == x.size:
        curves.append(Curve("truth", places, truth.ravel().tolist(), "points"))
    ticks = labels if few and len(labels) == x.size else ()
    return Chart("Coefficients", "" if ticks else "coefficient", "value", tuple(curves), ticks=tuple(ticks))


def _prediction(name: str, data: Array, model: Array) -> Chart:
    stride = max(1, data.size // _MOST_POINTS)
    data, model = np.asarray(data[::stride], np.float64), np.asarray(model[::stride], np.float64)
    order = np.argsort(model)
    x = model[order].tolist()
    curves = (Curve("data", x, data[order].tolist(), "points"), Curve("data = prediction", x, x, "dashed"))
    return Chart("Data against prediction", f"{name} predicted", f"{name} given", curves)
