"""Charts of the searched weights: what was found along the path, and the choice."""

from __future__ import annotations

import numpy as np

from fusionkit.report.content import Chart, Section
from fusionkit.report.content import Curve as Line
from fusionkit.results.record import RunRecord
from fusionkit.weights.chosen import ChosenWeight, Curve


def weights_section(record: RunRecord) -> Section | None:
    """A chart for each weight that was searched; None where none was."""
    searched = [(one, one.curve) for one in record.weights if one.curve is not None]
    if not searched:
        return None
    return Section("Weights from the data", tuple(_chart(one, curve) for one, curve in searched))


def _chart(chosen: ChosenWeight, curve: Curve) -> Chart:
    """Over the logarithm of the weight, since the page's axes are linear."""
    order = np.argsort(curve.weights)
    u, values = np.log10(np.asarray(curve.weights))[order].tolist(), np.asarray(curve.values)[order].tolist()
    ends = (min(values), max(values))
    lines = [Line(curve.quantity, u, values, "bold")]
    if chosen.weight > 0.0:
        at = float(np.log10(chosen.weight))
        lines.append(Line(f"chosen: {chosen.weight:.4g}", [at, at + 1e-9], list(ends), "line"))
    if chosen.uncertainty is not None:
        for limit, said in zip(chosen.uncertainty, ("from", "to"), strict=True):
            place = float(np.log10(limit))
            lines.append(Line(f"{said} {limit:.3g}", [place, place + 1e-9], list(ends), "dashed"))
    label = f"logarithm (base 10) of the weight of {chosen.term}"
    return Chart(f"Weight of {chosen.term}: {chosen.method}", label, curve.quantity, tuple(lines), note=chosen.note)
