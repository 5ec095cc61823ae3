"""The PNG files of a run, drawn without a display and without matplotlib's global state."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fusionkit.report.figures.convergence import convergence_figure
from fusionkit.report.figures.maps import maps_figure
from fusionkit.report.figures.uncertainty import uncertainty_figure
from fusionkit.report.figures.weights import weights_figure
from fusionkit.results.record import RunRecord

DPI = 150


def write_figures(run: RunRecord, folder: Path) -> None:
    """Write ``maps.png`` and ``convergence.png``, ``weights.png`` after a search and ``uncertainty.png`` if requested.

    Parameters
    ----------
    run : the run.
    folder : an existing folder.
    """
    save(maps_figure(run), folder / "maps.png")
    if any(chosen.curve is not None for chosen in run.weights):
        save(weights_figure(run.weights), folder / "weights.png")
    save(convergence_figure(run), folder / "convergence.png")
    if run.uncertainty is not None:
        save(uncertainty_figure(run), folder / "uncertainty.png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the same figure gives the same bytes.

    Parameters
    ----------
    figure : the figure.
    path : the new file.
    """
    FigureCanvasAgg(figure)
    fast = {"compress_level": 1}  # noise hardly compresses: level 6 takes twice as long and saves a tenth
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": "fusionkit"}, pil_kwargs=fast)
