"""``weights.png``: the criterion at each weight of a search, the chosen weight and its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from fusionkit.weights.auto import PER_ELEMENT
from fusionkit.weights.chosen import ChosenWeight, SearchCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT, _MARGIN = 5.5, 4.0, 0.8  # inches


def weights_figure(chosen: Sequence[ChosenWeight]) -> Figure:
    """A panel for each weight that was searched for; errors are relative to the lowest in the panel."""
    searched = [(one, one.curve) for one in chosen if one.curve is not None]
    width = len(searched) * _WIDTH + 0.2
    figure = Figure(figsize=(width, _HEIGHT))
    for index, (weight, curve) in enumerate(searched):
        left = (index * _WIDTH + _MARGIN) / width
        _draw(figure.add_axes((left, 0.15, (_WIDTH - _MARGIN) / width, 0.7)), weight, curve)
    return figure


def _draw(axes: Axes, chosen: ChosenWeight, curve: SearchCurve) -> None:
    order = np.argsort(curve.weights)
    weights, values = np.asarray(curve.weights)[order], np.asarray(curve.values)[order]
    spreads, label = np.asarray(curve.spreads)[order], curve.quantity
    if curve.best == "lowest" and values.min() > 0.0:
        values, spreads = 100 * (values / values.min() - 1), 100 * spreads / values.min()
        label = "above the lowest (%)"
    if chosen.uncertainty is not None:
        axes.axvspan(*chosen.uncertainty, color="C1", alpha=0.2, label="equally good for the data")
    axes.errorbar(weights, values, spreads, fmt="o-", capsize=3)
    if curve.best == "level":
        axes.axhline(1.0, color="0.4", linestyle="--", label="equal to the noise")
    own = {element: chosen.weight * factor for element, factor in chosen.options.get(PER_ELEMENT, {}).items()}
    if chosen.weight > 0.0 and len(set(own.values())) < 2:
        axes.axvline(chosen.weight, color="C1", label=f"chosen: {chosen.weight:.3g}")
    for number, (element, weight) in enumerate(own.items() if len(set(own.values())) > 1 else ()):
        axes.axvline(weight, color=f"C{number + 1}", label=f"chosen for {element}: {weight:.3g}")
    axes.set_xscale("log")
    axes.set_xticks(weights, [f"{weight:.2g}" for weight in weights])
    axes.minorticks_off()
    factor = chosen.facts.get("correction", 1.0)
    scope = f": {factor:.3g} times that in the log, of a part of the counts" if factor != 1.0 else ""
    scope += "" if chosen.weight > 0.0 else "\n(left out: another penalty is better)"
    axes.set_xlabel(f"weight of {chosen.term}{scope}", fontsize=9)
    axes.set_ylabel(label)
    axes.grid(True, which="major", color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)
    axes.set_title(f"{chosen.term}: {curve.quantity}, {chosen.method.replace('_', ' ')}", loc="left", fontsize=10)
