"""``convergence.png``: objective, terms, and optimality with its parts against the iteration."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fusionkit.report.trace import CERTIFICATE_PARTS, interpolate_trace, needs_log_axis, status_line
from fusionkit.results.record import RunRecord, tolerance_of
from fusionkit.terms import Array

_STYLES = ("-", "--", "-.", ":")
_SMALLEST = 1e-16  # relative precision of a double; lower values are not drawn on a log axis
_LARGEST = 1e100  # values of a diverged objective beyond it would overflow the margins of the axis

# inches; a layout engine, which measures every text, would take longer than the solve of a small problem
_WIDTH, _PANEL = 13.0, 2.8  # of the figure; height of a panel
_LEFT, _RIGHT = 0.95, 0.2  # beside a panel: tick labels and axis label; the last tick label
_TOP, _BOTTOM = 0.72, 0.55  # above and below a panel: status line and title; tick labels and axis label
_X_LABEL, _Y_LABEL = 0.3, 0.58  # from a panel to its axis labels
_ROW = 0.19  # height of a row of a legend
_LONG = 26  # letters that fit into half a legend


def convergence_figure(record: RunRecord) -> Figure:
    """Three panels: the weighted terms and their sum, the objective above its lowest value, the optimality.

    Parameters
    ----------
    record : a run; ``result.trace`` has one entry a check, ``result.looks`` estimates in between.
    """
    checked = record.result.trace
    trace = interpolate_trace(checked, record.result.looks)
    figure = Figure()
    terms, gap, optimality = figure.subplots(1, 3)
    iteration = np.asarray(trace.get("iteration", ()), np.float64)
    _draw_terms(terms, iteration, trace, record.term_weights)
    _draw_gap(gap, iteration, _column(trace, "objective", iteration), checked.get("iteration"))
    _draw_optimality(optimality, iteration, trace, tolerance_of(record.resolved_config))
    for axes in (terms, gap, optimality):
        axes.set_xlabel("iteration")
        if iteration.size > 1:
            axes.set_xlim(iteration.min(), iteration.max())
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(True, which="major", color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    _arrange(figure, (terms, gap, optimality), record)
    return figure


def _arrange(figure: Figure, panels: tuple[Axes, ...], record: RunRecord) -> None:
    """Place the panels side by side, with a legend below each."""
    labels = [axes.get_legend_handles_labels()[1] for axes in panels]
    columns = [1 if any(len(label) > _LONG for label in entries) else 2 for entries in labels]
    rows = max(ceil(len(entries) / count) for entries, count in zip(labels, columns, strict=True))
    height = _TOP + _PANEL + _BOTTOM + _ROW * rows + 0.1
    across, up = 1 / len(panels), 1 / height
    figure.set_size_inches(_WIDTH, height)
    for index, (axes, count) in enumerate(zip(panels, columns, strict=True)):
        left, width = index * across + _LEFT / _WIDTH, across - (_LEFT + _RIGHT) / _WIDTH
        axes.set_position((left, 1 - (_TOP + _PANEL) * up, width, _PANEL * up))
        axes.xaxis.set_label_coords(0.5, -_X_LABEL / _PANEL)
        axes.yaxis.set_label_coords(-_Y_LABEL / (width * _WIDTH), 0.5)
        if labels[index]:
            below = (0.5, -_BOTTOM / _PANEL)
            axes.legend(
                loc="upper center", bbox_to_anchor=below, ncols=count, frameon=False, fontsize=9, borderaxespad=0.0
            )
    figure.suptitle(status_line(record.result), x=0.012, y=1 - 0.12 * up, ha="left", va="top", fontsize=11)


def _column(trace: Mapping[str, Array], name: str, iteration: Array) -> Array:
    """A column of the trace, NaN for values that an axis cannot show."""
    values = np.asarray(trace.get(name, np.full(iteration.shape, np.nan)), np.float64)
    return np.where(np.abs(values) < _LARGEST, values, np.nan)


def _draw_terms(axes: Axes, iteration: Array, trace: Mapping[str, Array], weights: Mapping[str, float]) -> None:
    names = [name for name in trace if name.startswith("term.")]
    objective = _column(trace, "objective", iteration)
    _line(axes, iteration, objective, "objective", "-", color="black", linewidth=2.0)
    columns = [_column(trace, name, iteration) for name in names]
    for index, (name, values) in enumerate(zip(names, columns, strict=True)):
        term = name.removeprefix("term.")
        weight = weights.get(term)
        label = term if weight is None else f"{term}, weight {weight:g}"
        _line(axes, iteration, values, label, _STYLES[(index // 10) % 4], color=f"C{index % 10}")
    if needs_log_axis([objective, *columns]):
        axes.set_yscale("log")
    axes.set_ylabel("weighted value")
    axes.set_title("Objective and its terms", fontsize=11, y=1.0)


def _draw_gap(axes: Axes, iteration: Array, objective: Array, checked: Array | None) -> None:
    finite = objective[np.isfinite(objective)]
    lowest = finite.min() if finite.size else 0.0
    scale = abs(lowest) if abs(lowest) > _SMALLEST else 1.0
    gap = (objective - lowest) / scale
    is_checked = np.isin(iteration, [] if checked is None else checked)
    if is_checked.all():
        _log_line(axes, iteration, gap, None, "-", color="black", linewidth=1.6)
    else:
        _log_line(axes, iteration, gap, "estimates", "-", color="0.6", linewidth=1.3, marker="")
        _log_line(axes, iteration[is_checked], gap[is_checked], "checks", "none", color="black", marker="o")
    axes.set_ylabel(r"$(F - F_{\min})\;/\;|F_{\min}|$" if scale == abs(lowest) else r"$F - F_{\min}$")
    axes.set_title("Objective above its lowest value", fontsize=11, y=1.0)


def _draw_optimality(axes: Axes, iteration: Array, trace: Mapping[str, Array], tolerance: float | None) -> None:
    _log_line(axes, iteration, _column(trace, "optimality", iteration), "optimality", "-", color="black", linewidth=3.0)
    for index, name in enumerate(CERTIFICATE_PARTS):
        _log_line(axes, iteration, _column(trace, name, iteration), name, "-", color=f"C{index}", linewidth=1.3)
    if tolerance:
        axes.axhline(tolerance, color="0.4", linestyle="--", linewidth=1.2, label=f"tolerance {tolerance:g}")
    axes.set_ylabel("relative optimality")
    axes.set_title("Optimality and its parts", fontsize=11, y=1.0)


def _line(axes: Axes, x: Array, y: Array, label: str | None, style: str, **options: Any) -> None:
    marker = "o" if x.size <= 12 else ""  # a few checks are drawn as points too
    axes.plot(x, y, linestyle=style, label=label, **{"marker": marker, "markersize": 3.5, **options})


def _log_line(axes: Axes, x: Array, y: Array, label: str | None, style: str, **options: Any) -> None:
    """A line on a log axis without its zeros; an axis without positive values stays linear."""
    positive = np.where((y > _SMALLEST) & (y < _LARGEST), y, np.nan)
    if not np.isfinite(positive).any():
        is_zero = label is not None and bool(np.any(y == 0.0))
        axes.plot([], [], style, label=f"{label} (0)" if is_zero else None, **options)
        if label is None:
            axes.text(0.5, 0.5, "no change", transform=axes.transAxes, ha="center", color="0.4")
        return
    axes.set_yscale("log")
    _line(axes, x, positive, label, style, **options)
