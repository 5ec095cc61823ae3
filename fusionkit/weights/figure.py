"""The figure of a search: held-out error against weight, with the choice and what the data do not tell from it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from fusionkit.weights.chosen import ChosenWeight


def draw_search(chosen: ChosenWeight) -> Figure:
    """One panel; the error is relative to the lowest, its bars one standard error of the difference.

    Parameters
    ----------
    chosen : a weight with a curve.
    """
    if chosen.curve is None:
        raise ValueError(f"the weight of {chosen.term} was not searched")
    order = np.argsort(chosen.curve.weights)
    weights = np.asarray(chosen.curve.weights)[order]
    errors, spreads = np.asarray(chosen.curve.errors)[order], np.asarray(chosen.curve.spreads)[order]
    lowest = errors.min()
    figure = Figure(figsize=(6.5, 4.0))
    axes = figure.add_axes((0.13, 0.15, 0.84, 0.72))
    if chosen.uncertainty is not None:
        axes.axvspan(*chosen.uncertainty, color="C1", alpha=0.2, label="not told apart by the data")
    axes.errorbar(
        weights, 100 * (errors / lowest - 1), 100 * spreads / lowest, fmt="o-", capsize=3, label="held-out error"
    )
    axes.axvline(chosen.weight, color="C1", label=f"chosen: {chosen.weight:.3g}")
    axes.set_xscale("log")
    axes.set_xticks(weights, [f"{weight:.2g}" for weight in weights])
    axes.minorticks_off()
    axes.set_xlabel(f"weight of {chosen.term}")
    axes.set_ylabel("squared held-out error above the lowest (%)")
    axes.grid(True, which="major", color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.suptitle(f"{chosen.term}: maps of half of the counts predict the other half", x=0.02, ha="left", fontsize=11)
    return figure
