"""``spectrum.png``: the sum of all spectra with its model, the elements' lines, and the residual."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from fusionkit.data.spectra import NAMED, OTHERS, Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 11.0, 5.5  # inches, of each stack
_LEAST = 1e-5  # of the strongest peak: lower end of the axis
_ACROSS, _DECADE = 740.0, 44.0  # points, of the axis and of a factor of ten
_LETTER, _LINE = 6.5, 10.0  # points, of a name


def spectrum_figure(spectra: list[Spectrum]) -> Figure:
    """A pair of panels for each stack."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT * len(spectra)), layout="constrained")
    axes = figure.subplots(2 * len(spectra), 1, squeeze=False, height_ratios=[3, 1] * len(spectra))[:, 0]
    for index, one in enumerate(spectra):
        _draw(axes[2 * index], one)
        _draw_residual(axes[2 * index + 1], one)
        axes[2 * index].sharex(axes[2 * index + 1])
    return figure


def _draw(axes: Axes, one: Spectrum) -> None:
    top = float((one.model / one.widths).max(initial=1.0))
    axes.step(one.energies, one.counts / one.widths, where="mid", color="0.6", linewidth=0.8, label="counts")
    axes.plot(one.energies, one.model / one.widths, color="k", linewidth=0.9, label="model")
    labels: list[tuple[float, float, str, str]] = []
    for index, (name, part) in enumerate(one.parts.items()):
        values = part / one.widths
        colour, line = ("0.4", "--") if name == OTHERS else (f"C{index % 10}", "-")
        axes.plot(one.energies, values, linewidth=0.9, label=name, color=colour, linestyle=line)
        least = NAMED * top
        peaks = one.unnamed if name == OTHERS else dict.fromkeys(_peaks(values, least).tolist(), name)
        labels += [(values[at], one.energies[at], text, colour) for at, text in peaks.items() if values[at] > least]
    _label(axes, labels, float(np.ptp(one.energies[one.shown])) or 1.0)
    axes.set_yscale("log")
    axes.set_ylim(_LEAST * top, 10.0 * top)
    axes.set_ylabel("counts per keV")
    axes.set_title(f"Sum of spectra of {one.name}", loc="left")
    axes.legend(ncols=2, fontsize="small", frameon=False, loc="upper right")
    axes.tick_params(labelbottom=False)


def _label(axes: Axes, labels: list[tuple[float, float, str, str]], span: float) -> None:
    """Names above their peaks, the highest first; one above another name moves up, and beside its own is left out."""
    taken: list[tuple[float, float, str]] = []
    for value, energy, text, colour in sorted(labels, reverse=True):
        x, y = _ACROSS * energy / span, _DECADE * float(np.log10(value))
        near = [(up, name) for across, up, name in taken if abs(across - x) < _LETTER * (len(text) + len(name)) / 2]
        if text not in [name for _, name in near]:
            at = next(up for up in count(y, _LINE) if all(abs(up - other) >= _LINE for other, _ in near))
            taken.append((x, at, text))
            name = axes.annotate(text, (energy, value), (0, 3 + at - y), textcoords="offset points", ha="center")
            name.set(color=colour, fontsize="small")


def _peaks(values: np.ndarray, least: float) -> np.ndarray:
    """Indices of local maxima above ``least``."""
    inner = (values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:]) & (values[1:-1] > least)
    return np.flatnonzero(inner) + 1


def _draw_residual(axes: Axes, one: Spectrum) -> None:
    axes.axhspan(-3.0, 3.0, color="0.92")
    axes.step(one.energies, one.residual, where="mid", color="k", linewidth=0.7)
    axes.set_xlim(one.energies[0], one.energies[one.shown][-1])
    axes.set_xlabel("energy (keV)")
    axes.set_ylabel("residual (σ)")
