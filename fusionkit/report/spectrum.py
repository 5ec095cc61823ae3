"""Sums of spectra with their models, a part for each element, and the residual."""

from collections.abc import Iterator

import numpy as np

from fusionkit.data.spectra import Spectrum, spectra_in
from fusionkit.report.content import Chart, Curve, Section
from fusionkit.results.record import RunRecord

_LEAST = 1e-5  # of the strongest peak: fainter parts are not drawn


def spectra_of(record: RunRecord) -> Iterator[Spectrum]:
    """The spectrum of every stack that has a model, and of its regions."""
    for name, elements in record.dataset.stacks.items():
        rows = record.dataset.arrays.get(f"{name}_spectrum")
        if rows is not None:
            yield from spectra_in(name, rows, elements)


def spectrum_section(record: RunRecord) -> Section | None:
    """Two charts for each stack and region: the spectrum with its parts, and the residual; None without a model."""
    charts = [chart for one in spectra_of(record) for chart in (_parts(one), _residual(one))]
    return Section("Sum of all spectra", tuple(charts)) if charts else None


def _parts(one: Spectrum) -> Chart:
    levels = {"counts": one.counts, "model": one.model, **one.parts}
    least = _LEAST * float((one.model / one.widths).max(initial=1.0))
    curves = []
    for name, values in levels.items():
        shown = np.where(values / one.widths >= least, values / one.widths, 0.0)  # a logarithmic axis leaves gaps at 0
        style = "points" if name == "counts" else "line"
        curves.append(Curve(name, one.energies[one.shown].tolist(), shown[one.shown].tolist(), style))
    return Chart(f"Spectrum of {one.name}", "energy (keV)", "counts per keV", tuple(curves), log=True)


def _residual(one: Spectrum) -> Chart:
    note = "Where it is far beyond 3, lines are missing from the model or shaped otherwise."
    curves = (Curve("residual", one.energies[one.shown].tolist(), one.residual[one.shown].tolist()),)
    return Chart(f"Residual of {one.name}", "energy (keV)", "standard deviations", curves, note=note)
