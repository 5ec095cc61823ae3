"""Gap of the objective against seconds: every solver and multimodal-fusion on one problem."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from benchmarks.records import Record, Records

_FLOOR = 1e-6  # of the gap: F* is not known more precisely
_COLOURS = 10  # in Matplotlib's cycle


def draw(run: Records, path: Path) -> bool:
    """Write the figure, of DyScO3 if it was measured; False if no solver was measured."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    found = run.of("solvers", name="dysco3") or run.of("solvers", name="nanoparticle_fractions")
    if not found:
        return False
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    names = list(dict.fromkeys(one.info["solver"] for one in found))
    for one in found:
        engine, number = one.info["engine"], names.index(one.info["solver"])
        label = names[number] if engine == "auto" else f"{names[number]} ({engine})"
        style = ":" if engine != "auto" else "-" if number < _COLOURS else "--"
        seconds, gaps = np.array(one.info["seconds"]), np.maximum(one.info["gaps"], _FLOOR)
        # a logarithmic axis of time cannot show the first check, before any iteration
        axes.loglog(seconds[1:], gaps[1:], style, marker=".", color=f"C{number % _COLOURS}", label=label)
    _add_reference(axes, run, found[0])
    axes.axhline(1e-4, color="0.7", linewidth=0.8)
    name, size = found[0].info["name"], found[0].info["size"]
    axes.set(xlabel="seconds", ylabel="(F − F*) / (F0 − F*)", title=f"{name}, {size} × {size}, three elements")
    figure.legend(loc="outside right upper", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": ""})
    plt.close(figure)
    return True


def _add_reference(axes: Axes, run: Records, solver: Record) -> None:
    name, size = solver.info["name"], solver.info["size"]
    curve = sorted(run.of("reference", name=name, size=size), key=lambda r: r.info["iterations"])
    if curve:
        best, at_maps = solver.info["best"], solver.info["at_maps"]
        gaps = [(one.info["objective"] - best) / (at_maps - best) for one in curve]
        axes.loglog([one.median for one in curve], gaps, "k^-", label="multimodal-fusion 0.6.0")
