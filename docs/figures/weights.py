"""The figure of docs/weights.md: every way of choosing on one phantom, with the error that only the truth tells."""

from __future__ import annotations

import sys
from typing import get_args

import numpy as np
from matplotlib.figure import Figure

import fusionkit as fk
from fusionkit.weights.auto import Method

PHANTOM = ("data.phantom.size=64", "data.phantom.dose=20")


def error(weight: float) -> float:
    job = fk.prepare("cos_auto", (*PHANTOM, f"terms.tv.weight={weight!r}"))
    truth = job.dataset.truth
    assert truth is not None
    return float(np.mean(np.linalg.norm(job.solve().x - truth, axis=(1, 2)) / np.linalg.norm(truth, axis=(1, 2))))


def draw(path: str) -> None:
    grid = [float(weight) for weight in np.geomspace(0.002, 1.5, 31)]
    errors = [100 * error(weight) for weight in grid]
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True).ravel()
    for axes, method in zip(panels, get_args(Method), strict=False):
        chosen = fk.prepare("cos_auto", (*PHANTOM, f"terms.tv.weight={{auto: {method}}}")).weights[-1]
        assert chosen.curve is not None
        order = np.argsort(chosen.curve.weights)
        weights, values = np.array(chosen.curve.weights)[order], np.array(chosen.curve.values)[order]
        axes.errorbar(weights, values, np.array(chosen.curve.spreads)[order], fmt="o-", capsize=3)
        if chosen.curve.best == "level":
            axes.axhline(1.0, color="0.4", linestyle="--")
        axes.set_title(f"{method}: {chosen.weight:.3g}", fontsize=11)
        axes.set_ylabel(chosen.curve.quantity)
        axes.axvline(chosen.weight, color="C1")
    panels[-1].plot(grid, errors, color="C2")
    panels[-1].axvline(grid[int(np.argmin(errors))], color="C2", linestyle=":")
    panels[-1].set_title(f"the truth: {grid[int(np.argmin(errors))]:.3g}", fontsize=11)
    panels[-1].set_ylabel("mean NRMSE of the elements (%)")
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlim(0.002, 1.5)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[3:]:
        axes.set_xlabel("weight of tv")
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    draw(sys.argv[1])
