"""The figures of a run, drawn without a display and without matplotlib's global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fusionkit.plot_convergence import draw_convergence
from fusionkit.plot_maps import draw_maps
from fusionkit.plot_vector import draw_vector
from fusionkit.run_record import RunRecord
from fusionkit.uncertainty.figure import draw_uncertainty
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.figure import draw_searches

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
