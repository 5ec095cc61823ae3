"""What the raw maps are in counts."""

from __future__ import annotations

from fusionkit.report.image_limits import quantity
from fusionkit.results.record import RunRecord


def counts_per_unit(record: RunRecord) -> float | None:
    """What a value of the raw maps is multiplied by to give counts; None where they are no counts."""
    maps = record.dataset.arrays.get("maps")
    if maps is None or record.dataset.counts_per_unit is not None:
        return record.dataset.counts_per_unit
    return 1.0 if quantity(maps) == "counts" else None
