"""Figures of maps: recordings are simulated again, with the weights from the cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.accuracy import reference
from benchmarks.accuracy.fusion import fuse
from benchmarks.accuracy.methods import ADAPTIVE, AUTO, GAUSSIAN, GUIDED, METHODS, PCA, RAW, REFERENCE
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.specimens import BROKEN, Recording, case
from benchmarks.accuracy.studies import MIDDLE, Extent
from benchmarks.accuracy.table import NAMES

_SHOWN = (RAW, PCA, GAUSSIAN, REFERENCE, AUTO, GUIDED, ADAPTIVE)
_ELEMENT = "Co"  # shown in `draw_broken`: the heaviest, so the image determines its map


def _recording(specimen: str, extent: Extent) -> Recording:
    return Recording(specimen, extent.size, MIDDLE if MIDDLE in extent.doses else extent.doses[0], 0)


def draw_maps(rows: Rows, extent: Extent) -> Any:
    """The nanoparticle by every method, and the truth."""
    import matplotlib.pyplot as plt

    recording = _recording("nanoparticle", extent)
    drawn = case(recording)
    truth = drawn.dataset.truth
    assert truth is not None
    maps = {"truth": truth}
    for method in _SHOWN:
        if method == REFERENCE:
            maps[method] = reference.at(drawn, rows.of(**vars(recording), method=method).rows[0]["facts"])
        else:
            maps[method] = METHODS[method](drawn)[0]
    figure, axes = plt.subplots(len(truth), len(maps), figsize=(13, 5.8), layout="constrained")
    for column, (name, x) in zip(axes.T, maps.items(), strict=True):
        for panel, one, known, element in zip(column, x, truth, drawn.dataset.elements, strict=True):
            scale = float(np.vdot(one, known) / np.vdot(one, one))
            panel.imshow(scale * one, vmin=0.0, vmax=1.1 * float(known.max()), cmap="viridis")
            panel.set(xticks=[], yticks=[])
            if name == "truth":
                panel.set_ylabel(element)
        column[0].set_title(NAMES.get(name, name), fontsize="medium")
    figure.suptitle(f"nanoparticle, {recording.dose:g} counts, {extent.size} × {extent.size}")
    return figure


def draw_broken(extent: Extent) -> Any:
    """The image of each broken model, the fused map of one element, and its error."""
    import matplotlib.pyplot as plt

    names = ("nanoparticle", *BROKEN)
    figure, axes = plt.subplots(3, len(names), figsize=(12, 7.2), layout="constrained")
    shown = None
    for column, name in zip(axes.T, names, strict=True):
        drawn = case(_recording(name, extent))
        assert drawn.dataset.truth is not None
        place = drawn.dataset.elements.index(_ELEMENT)
        fused, known = fuse(drawn).x[place], drawn.dataset.truth[place]
        top, reach = float(known.max()), 0.3 * float(known.max())
        column[0].imshow(drawn.dataset.arrays["haadf"], cmap="gray")
        column[1].imshow(fused, vmin=0.0, vmax=1.1 * top, cmap="viridis")
        shown = column[2].imshow(fused - known, vmin=-reach, vmax=reach, cmap="RdBu_r")
        column[0].set_title("the model holds" if name == "nanoparticle" else name, fontsize="medium")
        for panel in column:
            panel.set(xticks=[], yticks=[])
    for panel, label in zip(axes[:, 0], ("image", f"fused {_ELEMENT}", "error"), strict=True):
        panel.set_ylabel(label)
    figure.suptitle(f"{NAMES[AUTO]}, {_recording('nanoparticle', extent).dose:g} counts")
    if shown is not None:
        figure.colorbar(shown, ax=axes[2], label="counts", shrink=0.8)
    return figure
