"""What the raw maps are in counts, and what they should be on average."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fusionkit.image_limits import quantity
from fusionkit.run_record import RunRecord
from fusionkit.terms import Array


def counts_per_unit(record: RunRecord) -> float | None:
    """What a value of the raw maps is multiplied by to give counts; None where they are no counts."""
    maps = record.dataset.arrays.get("maps")
    if maps is None or record.dataset.counts_per_unit is not None:
        return record.dataset.counts_per_unit
    return 1.0 if quantity(maps) == "counts" else None


def expected_maps(record: RunRecord) -> Array | None:
    """What the raw maps should be on average, background included, in their units; None where no model says."""
    maps, x = record.dataset.arrays.get("maps"), record.result.x
    model = record.models.get("maps", x)
    if maps is None or model.shape != maps.shape:
        return None
    return np.asarray(model, np.float64) + epsilon_of(record.resolved_config)


def epsilon_of(config: Mapping[str, object]) -> float:
    """Epsilon of the Poisson term of the maps; 0 without one."""
    terms = config.get("terms")
    for term in terms if isinstance(terms, list | tuple) else ():
        if isinstance(term, Mapping) and term.get("type") == "poisson" and term.get("data", "maps") == "maps":
            epsilon = term.get("epsilon", 0.0)
            return float(epsilon) if isinstance(epsilon, int | float) else 0.0
    return 0.0
