"""``maps.png`` of an unknown that is not maps: its coefficients, and data against prediction."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from fusionkit.report.content import MOST_BARS
from fusionkit.report.trace import status_line
from fusionkit.results.record import RunRecord
from fusionkit.terms import Array


def vector_figure(record: RunRecord) -> Figure:
    """Coefficients with their labels and, if known, their true values; each predicted array against its data."""
    arrays = record.dataset.arrays
    pairs = {
        name: (arrays[name], model)
        for name, model in record.models.items()
        if name in arrays and arrays[name].shape == model.shape and model.size
    }
    count = record.result.x.size
    width = min(max(4.5, 1.5 + 0.45 * count), 12.0) if count <= MOST_BARS else 8.0
    figure = Figure(figsize=(width + 4.3 * len(pairs), 4.4), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    panels = figure.subplots(1, 1 + len(pairs), squeeze=False, width_ratios=[width, *([4.3] * len(pairs))])[0]
    _draw_coefficients(panels[0], record)
    for axes, (name, (data, model)) in zip(panels[1:], pairs.items(), strict=True):
        _draw_prediction(axes, name, data.ravel(), model.ravel())
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(status_line(record.result), x=0.01, ha="left", fontsize=11)
    return figure


def _draw_coefficients(axes: Axes, record: RunRecord) -> None:
    x, truth = record.result.x.ravel(), record.dataset.truth
    places = np.arange(x.size)
    values = _finite(x)
    axes.axhline(0.0, color="0.3", linewidth=0.8)
    if x.size <= MOST_BARS:
        axes.bar(places, values, width=0.62, color="C0", label="estimate")
    else:
        axes.plot(places, values, color="C0", linewidth=1.2, label="estimate")
    if truth is not None and truth.size == x.size:
        style = {"marker": "D", "markersize": 6} if x.size <= MOST_BARS else {"marker": "o", "markersize": 2.5}
        axes.plot(places, _finite(truth.ravel()), linestyle="none", color="C1", label="truth", **style)
    labels = record.result.labels
    if len(labels) == x.size <= MOST_BARS:
        is_crowded = max(map(len, labels)) * x.size > 60
        axes.set_xticks(places, labels, rotation=45 if is_crowded else 0, ha="right" if is_crowded else "center")
    else:
        axes.set_xlabel("coefficient")
        axes.margins(x=0.02)
    if x.size < 3:  # one bar should not fill the panel
        axes.set_xlim(-1.2, x.size + 0.2)
    axes.set_ylabel("value")
    axes.set_title("Coefficients", fontsize=11)


def _draw_prediction(axes: Axes, name: str, data: Array, model: Array) -> None:
    observed, predicted = _finite(data), _finite(model)
    both = np.concatenate([observed, predicted])
    both = both[np.isfinite(both)]
    if both.size:
        low, high = float(both.min()), float(both.max())
        margin = 0.05 * (high - low) or 1.0
        ends = (low - margin, high + margin)
        axes.plot(ends, ends, color="0.5", linestyle="--", linewidth=1.0, label="prediction = data", zorder=1)
        axes.set(xlim=ends, ylim=ends)
    opacity = float(np.clip(30.0 / data.size**0.7, 0.1, 0.8))
    axes.plot(predicted, observed, linestyle="none", marker="o", markersize=4, alpha=opacity, color="C0")
    axes.set_aspect("equal", adjustable="box")
    axes.set(xlabel=f"{name} predicted", ylabel=f"{name} given")
    axes.set_title("Data against prediction", fontsize=11)


def _finite(values: Array) -> Array:
    """The values with NaN, which is not drawn, for any that is not finite."""
    values = np.asarray(values, np.float64)
    return np.where(np.isfinite(values), values, np.nan)
