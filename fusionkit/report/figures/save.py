"""The figures of a run, drawn without a display and without matplotlib's global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fusionkit.report.figures.convergence import draw_convergence
from fusionkit.report.figures.maps import draw_maps
from fusionkit.report.figures.uncertainty import draw_uncertainty
from fusionkit.report.figures.vector import draw_vector
from fusionkit.report.figures.weights import draw_searches
from fusionkit.results.record import RunRecord
from fusionkit.weights.chosen import ChosenWeight

DPI = 150


def maps_figure(run: RunRecord) -> Figure:
    """What was reconstructed, beside what went in.

    Parameters
    ----------
    run : maps (n, ny, nx) are drawn as images: raw, fused, and the truth where it is known (else raw - fused), beside
        the HAADF image, its model and the residual; any other unknown as coefficients and data against prediction.
    """
    return draw_maps(run) if run.result.x.ndim == 3 else draw_vector(run)


def convergence_figure(run: RunRecord) -> Figure:
    """Objective, every weighted term, and optimality with its parts against the iteration, with the tolerance.

    Parameters
    ----------
    run : its ``result.trace`` has one entry a check; the tolerance is ``solver.tolerance`` of its configuration.
    """
    return draw_convergence(run)


def weights_figure(chosen: Sequence[ChosenWeight]) -> Figure:
    """Held-out error against weight, with the choice, for each weight that was searched.

    Parameters
    ----------
    chosen : at least one of them with a curve.
    """
    return draw_searches(chosen)


def uncertainty_figure(run: RunRecord) -> Figure:
    """Standard deviation of each map beside the map.

    Parameters
    ----------
    run : a run with error bars.
    """
    return draw_uncertainty(run)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the same figure gives the same bytes.

    Parameters
    ----------
    figure : what to write.
    path : the new file.
    """
    FigureCanvasAgg(figure)
    fast = {"compress_level": 1}  # noise hardly compresses: level 6 takes twice as long for a tenth less
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": "fusionkit"}, pil_kwargs=fast)
