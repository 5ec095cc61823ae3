"""How many counts a recording holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusionkit.data.dataset import Dataset


def counts_of(dataset: Dataset) -> dict[str, Any]:
    """What the maps are, counts of each element, and dose (counts per pixel of all elements), for ``summary.json``.

    Parameters
    ----------
    dataset : as the solver saw it; the numbers are left out where it is not known how many counts a value is.
    """
    maps, counting = dataset.arrays.get("maps"), dataset.counting
    found: dict[str, Any] = {} if counting is None else counting.plain()
    scale = dataset.counts_per_unit
    if scale is None and counting is not None and counting.kind == "counts":
        scale = 1.0
    names = dataset.stacks.get("maps", dataset.elements)
    if maps is None or scale is None or maps.ndim != 3 or len(names) != len(maps):
        return found
    totals = [scale * float(np.sum(one, dtype=np.float64)) for one in maps]
    pixels = maps[0].size
    return found | {
        "counts_per_unit": scale,
        "total": dict(zip(names, totals, strict=True)),
        "per_pixel": {name: total / pixels for name, total in zip(names, totals, strict=True)},
        "dose": sum(totals) / pixels,
    }
