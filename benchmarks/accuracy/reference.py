"""multimodal-fusion 0.6.0 as its users run it, at the weights of a grid with the lowest error.

The package scales image and maps to [0, 1] and starts from the maps; its defaults are 50 iterations with 15 inner ones.
Its maps are converted back to counts. By default it has no atomic numbers. With them, outside of the power as in the
package or inside as in the paper, its fixed step left larger errors on the phantoms (nanoparticle, 256 x 256, 5 counts:
0.069 without, 0.115 with (Z / mean Z)^gamma, 0.248 with the phantom's own factors).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from itertools import product
from math import log10
from typing import Any

import numpy as np

from benchmarks.accuracy.metrics import mean_nrmse
from benchmarks.accuracy.specimens import Case
from fusionkit.data.elements import atomic_number
from fusionkit.terms import Array

FIRST = (-6, -5, -4, -3, -2)  # half decades: both weights from 1e-3 to 1e-1
LIMITS = (-10, 1)  # 1e-5 to 3
_OPTIONS = {"nIter": 50, "ng": 15, "bkg": 0.1, "plot_images": False, "plot_convergence": False}


class Reference:
    """The package with a recording loaded; runs do not change it.

    Parameters
    ----------
    case : the recording.
    columns : ``none`` keeps the package's matrix, ``relative`` multiplies by (Z / mean Z)^gamma, ``exact`` by the
        phantom's own factors, including the scaling to [0, 1].
    """

    def __init__(self, case: Case, columns: str = "none") -> None:
        os.environ.setdefault("TQDM_DISABLE", "1")  # else a progress bar for each of 25 runs
        package = import_module("multimodal_fusion")  # not installed where the types are checked
        from scipy.sparse import diags

        maps = {e: one.astype(np.float32) for e, one in zip(*_maps(case), strict=True)}
        self.low = np.array([one.min() for one in maps.values()], dtype=np.float64)
        self.range = np.array([np.ptp(one) for one in maps.values()], dtype=np.float64)
        image = case.dataset.arrays["haadf"]
        self.shape = (len(maps), *image.shape)
        self.package: Any = package.DataFusion(list(maps), gamma=case.gamma)
        self.package.load_chemical_maps(maps)
        self.package.load_haadf(image.astype(np.float32))
        if columns != "none":
            numbers = np.array([atomic_number(element) for element in maps], dtype=np.float64)
            factors = (numbers / numbers.mean()) ** case.gamma
            if columns == "exact":
                factors *= self.range**case.gamma / float(np.ptp(image))
            scaled = self.package.A @ diags(np.repeat(factors, self.package.nPix))
            self.package.A = scaled.tocsr().astype(np.float32)

    def run(self, chem: float, tv: float) -> Array:
        """Maps in counts, shape (n, ny, nx)."""
        self.package.run(lambdaEDS=chem, lambdaTV=tv, **_OPTIONS)
        x = np.asarray(self.package.xx, np.float64).reshape(self.shape)
        return x * self.range[:, None, None] + self.low[:, None, None]


def best(case: Case, columns: str = "none", near: Mapping[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
    """The maps with the lowest mean NRMSE over the grid, and their weights.

    The grid is 5 x 5, half a decade apart, and grows while the best weights lie on its border, within `LIMITS`.

    Parameters
    ----------
    case : the recording.
    columns : as in `Reference`.
    near : the best weights of another recording of the specimen; the grid starts as 3 x 3 about them.
    """
    truth = case.dataset.truth
    assert truth is not None
    loaded = Reference(case, columns)
    tried: dict[tuple[int, ...], float] = {}
    ends = [[FIRST[0], FIRST[-1]]] * 2
    if near is not None:
        middles = [round(2 * log10(near[name])) for name in ("chem", "tv")]
        ends = [[middle - 1, middle + 1] for middle in middles]
    found: Array | None = None
    while True:
        for pair in product(*(range(low, high + 1) for low, high in ends)):
            if pair not in tried:
                x = loaded.run(*(_weight(place) for place in pair))
                tried[pair] = mean_nrmse(x, truth)
                if tried[pair] == min(tried.values()):
                    found = x
        chosen = min(tried, key=tried.__getitem__)
        grown = [
            [max(min(low, c - 1), LIMITS[0]), min(max(high, c + 1), LIMITS[1])]
            for (low, high), c in zip(ends, chosen, strict=True)
        ]
        if grown == ends:
            break
        ends = grown
    assert found is not None
    chem, tv = (_weight(place) for place in chosen)
    return found, {"columns": columns, "chem": chem, "tv": tv, "runs": len(tried)}


def _weight(place: int) -> float:
    return 10.0 ** (place / 2)


def at(case: Case, weights: Mapping[str, Any]) -> Array:
    """The maps at the weights that `best` found on another recording."""
    return Reference(case, weights["columns"]).run(weights["chem"], weights["tv"])


def _maps(case: Case) -> tuple[tuple[str, ...], Array]:
    return case.dataset.elements, case.dataset.arrays["maps"]
