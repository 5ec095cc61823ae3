"""The figures and tables of docs/guided.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.accuracy.metrics import errors
from benchmarks.guided.compare import DOSES, PHANTOMS, Row, recording
from benchmarks.guided.misled import CASES, ELEMENTS, SIZE, Misled, disc
from benchmarks.guided.misled import recording as misled_recording
from benchmarks.guided.solving import PENALTIES, automatic, gaussian

mpl.use("agg")
import matplotlib.pyplot as plt

_SHOWN = ("tv", "vectorial_tv", "tgv, joint", "directional_tv", "structure_tensor_tv")
_ELEMENT, _DOSE, _SIZE = 1, 20, 256  # S of the nanoparticle


def maps(path: Path) -> None:
    """S of the nanoparticle by every method, with errors."""
    dataset = recording("cos_nanoparticle", _SIZE, _DOSE)
    truth = dataset.truth
    assert truth is not None
    shown = {"counts": dataset.arrays["maps"], "Gaussian*": gaussian(dataset)}
    shown |= {name: automatic(dataset, PENALTIES[name]).x for name in _SHOWN}
    true = truth[_ELEMENT]
    figure, axes = plt.subplots(2, len(shown), figsize=(2.2 * len(shown), 4.8), layout="constrained")
    for column, (name, x) in zip(axes.T, shown.items(), strict=True):
        one = np.asarray(x[_ELEMENT], np.float64)
        column[0].imshow(one, vmin=0, vmax=1.2 * true.max(), cmap="viridis")
        column[0].set_title(f"{name}\nNRMSE {errors(one[None], true[None])[0]:.3f}", fontsize=9)
        limit = 0.15 * true.max()
        column[1].imshow(one - true, vmin=-limit, vmax=limit, cmap="RdBu_r")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("S")
    axes[1, 0].set_ylabel("S − truth")
    figure.colorbar(axes[1, 0].images[0], ax=axes[1], label="counts", shrink=0.9)
    _save(figure, path)


def errors_of(rows: Sequence[Row], size: int, path: Path) -> None:
    """Mean NRMSE against dose, a panel for each phantom."""
    figure, axes = plt.subplots(1, len(PHANTOMS), figsize=(11, 3.6), layout="constrained")
    for axis, phantom in zip(axes, PHANTOMS, strict=True):
        for number, method in enumerate(("gaussian", *PENALTIES)):
            found = {row["dose"]: row for row in rows if _is(row, phantom, size, method)}
            key, style = ("best", "k--") if method == "gaussian" else ("auto", "-")
            doses = [dose for dose in DOSES if dose in found]
            means = [np.mean(found[dose][key]) for dose in doses]
            colour = {} if method == "gaussian" else {"color": f"C{number - 1}"}
            axis.loglog(doses, means, style, marker=".", label=method if phantom == PHANTOMS[0] else None, **colour)
        axis.set(title=f"{phantom}, {size}²", xlabel="counts per pixel")
        axis.set_xticks(DOSES, [str(dose) for dose in DOSES])
    axes[0].set_ylabel("mean NRMSE, automatic weight")
    figure.legend(loc="outside right center", fontsize="small")
    _save(figure, path)


def misled(found: Sequence[Misled], path: Path) -> None:
    """Maps with an edge in one modality only."""
    names = list(dict.fromkeys(one.method for one in found))
    size = (2 * (2 + len(names)), 2.15 * len(CASES))
    figure, axes = plt.subplots(len(CASES), 2 + len(names), figsize=size, layout="constrained")
    for row, (case, image, weight) in zip(axes, CASES, strict=True):
        dataset = misled_recording(case)
        truth = dataset.truth
        assert truth is not None
        row[0].imshow(dataset.arrays["haadf"], cmap="gray")
        shown = 0 if case == "unmapped" else 1
        low, high = 0.8 * truth[shown].min(), 1.25 * truth[shown].max()
        row[1].imshow(truth[shown], vmin=low, vmax=high)
        row[0].set_ylabel(f"{case}, {ELEMENTS[shown]}\n{_how(image, weight)}")
        for axis, name in zip(row[2:], names, strict=True):
            (one,) = (
                one for one in found if (one.case, one.image, one.weight, one.method) == (case, image, weight, name)
            )
            axis.imshow(one.x[shown], vmin=low, vmax=high)
            axis.contour(disc(), levels=[0.5], colors="white", linewidths=0.5)
            axis.set_xlabel(f"contrast {one.contrast[shown]:+.2f}, NRMSE {one.nrmse[shown]:.3f}", fontsize=8)
    for axis, name in zip(axes[0], ["image", "truth", *names], strict=True):
        axis.set_title(name, fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], xlim=(0, SIZE - 1), ylim=(SIZE - 1, 0))
    _save(figure, path, dpi=75)


def table(rows: Sequence[Row], size: int) -> str:
    """Mean NRMSE with the automatic weight and, in brackets, the best; a table in Markdown."""
    lines = ["| | " + " | ".join(f"{phantom}, {dose}" for phantom in PHANTOMS for dose in DOSES) + " |"]
    lines.append("|---" * (1 + len(PHANTOMS) * len(DOSES)) + "|")
    for method in ("gaussian", *PENALTIES):
        cells = []
        for phantom in PHANTOMS:
            for dose in DOSES:
                row = next((row for row in rows if _is(row, phantom, size, method) and row["dose"] == dose), None)
                cells.append("–" if row is None else _cell(row))
        lines.append(f"| {'Gaussian*' if method == 'gaussian' else method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def misled_table(found: Sequence[Misled]) -> str:
    """Measured and true contrast of both elements, and NRMSE; a table in Markdown."""
    lines = ["| case | image | method | contrast of Co (true) | of O (true) | NRMSE Co, O |", "|---" * 6 + "|"]
    for one in found:
        contrasts = [f"{a:+.3f} ({b:+.3f})" for a, b in zip(one.contrast, one.true_contrast, strict=True)]
        nrmse = ", ".join(f"{value:.4f}" for value in one.nrmse)
        lines.append(
            f"| {one.case} | {_how(one.image, one.weight)} | {one.method} | {' | '.join(contrasts)} | {nrmse} |"
        )
    return "\n".join(lines)


def _how(image: bool, weight: float | None) -> str:
    """Whether the image is fitted, and the weight of the penalty."""
    return ("image fitted" if image else "guide alone") + (", auto" if weight is None else f", λ = {weight:g}")


def _cell(row: Row) -> str:
    best = float(np.mean(row["best"]))
    return f"{np.mean(row['auto']):.4f} ({best:.4f})" if "auto" in row else f"{best:.4f}"


def _is(row: Row, phantom: str, size: int, method: str) -> bool:
    return (row["phantom"], row["size"], row["method"]) == (phantom, size, method)


def _save(figure: Figure, path: Path, dpi: int = 110) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, metadata={"Software": ""})
    plt.close(figure)
