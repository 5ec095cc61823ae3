"""The figure of a search: what was found at each weight, with the choice and what the data do not tell from it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from fusionkit.weights.chosen import ChosenWeight


def draw_search(chosen: ChosenWeight) -> Figure:
    """One panel; an error is relative to the lowest, its bars one standard error of the difference.

    Parameters
    ----------
    chosen : a weight with a curve.
    """
    curve = chosen.curve
    if curve is None:
        raise ValueError(f"the weight of {chosen.term} was not searched")
    order = np.argsort(curve.weights)
    weights, values = np.asarray(curve.weights)[order], np.asarray(curve.values)[order]
    spreads, label = np.asarray(curve.spreads)[order], curve.quantity
    if curve.best == "lowest" and values.min() > 0.0:
        values, spreads = 100 * (values / values.min() - 1), 100 * spreads / values.min()
        label = "above the lowest (%)"
    figure = Figure(figsize=(6.5, 4.0))
    axes = figure.add_axes((0.13, 0.15, 0.84, 0.72))
    if chosen.uncertainty is not None:
        axes.axvspan(*chosen.uncertainty, color="C1", alpha=0.2, label="not told apart by the data")
    axes.errorbar(weights, values, spreads, fmt="o-", capsize=3)
    if curve.best == "level":
        axes.axhline(1.0, color="0.4", linestyle="--", label="as much as the noise")
    if chosen.weight > 0.0:
        axes.axvline(chosen.weight, color="C1", label=f"chosen: {chosen.weight:.3g}")
    axes.set_xscale("log")
    axes.set_xticks(weights, [f"{weight:.2g}" for weight in weights])
    axes.minorticks_off()
    axes.set_xlabel(f"weight of {chosen.term}")
    axes.set_ylabel(label)
    axes.grid(True, which="major", color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)
    method = chosen.method.replace("_", " ")
    figure.suptitle(f"{chosen.term}: {curve.quantity}, {method}", x=0.02, ha="left", fontsize=11)
    return figure
