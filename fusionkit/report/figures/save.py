"""The PNG files of a run, drawn without a display and without matplotlib's global state."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fusionkit.report.figures.convergence import convergence_figure
from fusionkit.report.figures.maps import maps_figure, uncertainty_figure
from fusionkit.report.figures.spectrum import spectrum_figure
from fusionkit.report.figures.weights import weights_figure
from fusionkit.report.spectrum import spectra_of
from fusionkit.results.record import RunRecord

DPI = 150


def figures_of(run: RunRecord) -> dict[str, Callable[[], Figure]]:
    """The figures of a run by file name: ``weights.png`` after a search, the others where there is such a thing."""
    figures: dict[str, Callable[[], Figure]] = {"maps.png": lambda: maps_figure(run)}
    if any(chosen.curve is not None for chosen in run.weights):
        figures["weights.png"] = lambda: weights_figure(run.weights)
    spectra = list(spectra_of(run))
    if spectra:
        figures["spectrum.png"] = lambda: spectrum_figure(spectra)
    figures["convergence.png"] = lambda: convergence_figure(run)
    if run.uncertainty is not None:
        figures["uncertainty.png"] = lambda: uncertainty_figure(run)
    return figures


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    fast = {"compress_level": 1}  # noise hardly compresses: level 6 takes twice as long and saves a tenth
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": "fusionkit"}, pil_kwargs=fast)
