"""What the report says about composition."""

from __future__ import annotations

from fusionkit.report.content import Table
from fusionkit.results.record import RunRecord

_WAYS = {
    "bootstrap": "The bias that the bootstrap sees is taken off, and the interval is that of its solutions.",
    "counts": "The fractions are those of the fused maps, and the interval holds what the counts say otherwise.",
}


def composition_table(record: RunRecord) -> Table | None:
    """Atomic fractions of each region with their intervals; None where nobody asked."""
    if not record.compositions:
        return None
    first = record.compositions[0]
    rows = []
    for one in record.compositions:
        (top, bottom), (left, right) = one.region.rows, one.region.columns
        parts = zip(one.fractions, one.low, one.high, strict=True)
        cells = [f"{_percent(value)} % ({_percent(low)} – {_percent(high)})" for value, low, high in parts]
        rows.append((one.region.name, f"{top} – {bottom}, {left} – {right}", *cells))
    note = f"Atomic fractions with intervals of {100 * first.interval:g} %. {_WAYS[first.method]}"
    return Table("Composition", ("region", "rows, columns", *first.elements), tuple(rows), note)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
