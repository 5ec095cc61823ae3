"""The figures: error against dose, maps, broken models, ablation and exponent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.accuracy.methods import ABLATION, AUTO, GAMMAS, MAIN
from benchmarks.accuracy.records import Rows
from benchmarks.accuracy.specimens import BROKEN, GAMMA
from benchmarks.accuracy.studies import Extent
from benchmarks.accuracy.table import NAMES

_STYLE = {
    "raw": "0.6",
    "gaussian": "C0",
    "pca": "C2",
    "reference": "C1",
    "auto": "C3",
    "best_tv": "C3",
    "structure_tensor_tv": "C4",
    "cos_adaptive": "k",
}


def draw_all(studies: Mapping[str, Rows], extent: Extent, folder: Path) -> list[Path]:
    """Write the figures of the measured parts; return their paths."""
    mpl.use("agg")
    from benchmarks.accuracy.pictures import draw_broken, draw_maps

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    if "main" in studies:
        paths.append(_save(_doses(studies["main"]), folder / "accuracy_dose.png"))
        paths.append(_save(draw_maps(studies["main"], extent), folder / "accuracy_maps.png"))
        paths.append(_save(draw_broken(extent), folder / "accuracy_broken.png"))
    if "ablation" in studies and "gamma" in studies:
        figure = _ablation(studies["ablation"], studies["gamma"])
        paths.append(_save(figure, folder / "accuracy_ablation.png"))
    return paths


def _save(figure: Any, path: Path) -> Path:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=120, metadata={"Software": ""})
    plt.close(figure)
    return path


def _doses(rows: Rows) -> Any:
    """NRMSE against dose, a panel for each specimen."""
    import matplotlib.pyplot as plt

    names = rows.values("specimen")
    figure, axes = plt.subplots(2, -(-len(names) // 2), figsize=(12, 6), sharex=True, sharey=True, layout="constrained")
    for panel, specimen in zip(axes.flat, names, strict=False):
        for method in MAIN:
            doses = rows.values("dose")
            errors = [rows.of(specimen=specimen, dose=dose, method=method).mean("nrmse") for dose in doses]
            line = ":" if method == "best_tv" else "-"
            panel.loglog(doses, errors, line, marker=".", color=_STYLE[method], label=NAMES[method])
        panel.set_title(f"{specimen} (breaks the model)" if specimen in BROKEN else specimen, fontsize="medium")
        panel.grid(alpha=0.3)
    for panel in axes[-1]:
        panel.set_xlabel("counts per pixel and element")
    for panel in axes[:, 0]:
        panel.set_ylabel("NRMSE, mean over elements")
    figure.legend(
        *axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(MAIN), fontsize="small"
    )
    return figure


def _ablation(dropped: Rows, swept: Rows) -> Any:
    """NRMSE with one term dropped, and against the assumed exponent."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    names = (AUTO, *ABLATION)
    elements = dropped.rows[0]["elements"]
    places = np.arange(len(names))
    for index, element in enumerate(elements):
        errors = [dropped.of(method=name).by_element("nrmse")[index] for name in names]
        left.semilogx(errors, places, "os^Dv"[index % 5], label=element)
    left.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1.0], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
    left.set_xticks([], minor=True)
    left.grid(alpha=0.3)
    left.set_yticks(places, ["all terms", *(NAMES[name] for name in ABLATION)])
    left.set(xlabel="NRMSE", ylim=(len(names) - 0.5, -0.5), title="one term dropped")
    left.legend(fontsize="small")
    for suffix, label in (("", "image scaled to the maps"), ("_units", "image in the units of gamma = 1.7")):
        errors = [swept.of(method=f"gamma_{gamma:.1f}{suffix}").mean("nrmse") for gamma in GAMMAS]
        right.semilogy(GAMMAS, errors, marker="o", label=label)
    right.axvline(GAMMA, color="0.7", linewidth=0.8)
    right.set(
        xlabel="gamma of the model", ylabel="NRMSE", title=f"exponent of the model; that of the specimen is {GAMMA}"
    )
    right.legend(fontsize="small")
    return figure
