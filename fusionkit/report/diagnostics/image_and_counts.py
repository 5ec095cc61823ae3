"""Shared by several diagnostics: the image and the counts of a fusion, the unit of the maps, and short helpers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.compose_problem import compose
from fusionkit.data.dataset import Dataset
from fusionkit.data.noise import busiest
from fusionkit.errors import UserError
from fusionkit.operators.fidelity import Fidelity, PixelwiseFidelity
from fusionkit.operators.fidelity.poisson import PoissonLoss
from fusionkit.operators.forward.identity import Identity
from fusionkit.report.image_limits import quantity
from fusionkit.results.record import Diagnostic, RunRecord
from fusionkit.terms import Array, Term


@dataclass(frozen=True)
class Fusion:
    """An image and counts on the same pixels.

    Parameters
    ----------
    image : its term, with a pixelwise model and normal noise.
    counts : the Poisson term of the maps themselves.
    x : the fused maps, (n, ny, nx), float64.
    raw : the maps as recorded, of the same shape.
    labels : of the maps.
    in_counts : whether the maps are known to be counts times a known factor, whose inverse is the weight.
    """

    image: PixelwiseFidelity
    counts: Fidelity
    x: Array
    raw: Array
    labels: tuple[str, ...]
    in_counts: bool = True

    @property
    def epsilon(self) -> float:
        """The background of the Poisson term."""
        return self.counts.loss.epsilon if isinstance(self.counts.loss, PoissonLoss) else 0.0


def fusion_of(record: RunRecord) -> Fusion | None:
    """The fusion of a run, or a part of a large one; None for another problem."""
    maps, image, x = (*(record.dataset.arrays.get(name) for name in ("maps", "haadf")), record.result.x)
    if maps is None or image is None or x.ndim != 3 or not maps.shape == x.shape == (len(x), *image.shape):
        return None
    rows, columns = busiest(image)
    part = {"haadf": image[rows, columns], "maps": maps[:, rows, columns]}
    terms = _terms(record, replace(record.dataset, arrays=part, truth=None))
    images = [t for t in terms if isinstance(t, PixelwiseFidelity) and t.target == "haadf" and t.noise == "normal"]
    counts = [t for t in terms if isinstance(t, Fidelity) and t.noise == "poisson" and isinstance(t.forward, Identity)]
    if len(images) != 1 or len(counts) != 1 or counts[0].target != "maps":
        return None
    values = np.asarray(x[:, rows, columns], np.float64), np.asarray(part["maps"], np.float64)
    return Fusion(images[0], counts[0], *values, record.result.labels, counts_per_unit(record) is not None)


def _terms(record: RunRecord, dataset: Dataset) -> tuple[Term, ...]:
    """The fits to the data with fitted parameters as numbers; empty for terms that no config describes."""
    specs = record.resolved_config.get("terms", ())
    fits = [_fitted(spec, record) for spec in specs if isinstance(spec, Mapping) and spec.get("type") in _FITS]
    try:
        return compose(dataset, fits).terms if fits else ()
    except UserError:  # they need further data, or are objects of which the record has only the names
        return ()


def _fitted(spec: Mapping[str, Any], record: RunRecord) -> dict[str, Any]:
    """The term with numbers for its fitted parameters."""
    named = record.result.parameters.get(str(spec.get("name") or spec["type"]), {})
    values = {name: one.value for name, one in named.items()}
    if "forward" in spec and values:
        return {**spec, "forward": {**spec["forward"], **values}}
    return {**spec, **values}


_FITS = ("haadf", "poisson", "least_squares")


def warning(text: str) -> Diagnostic:
    """Something is probably wrong."""
    return Diagnostic("warning", text)


def note(text: str) -> Diagnostic:
    """Something to know."""
    return Diagnostic("note", text)


def percent(share: float) -> str:
    """``12.3 %``."""
    return f"{100.0 * share:.3g} %"


def shown(name: str) -> str:
    """The name of an image for readers."""
    return "HAADF" if name == "haadf" else name


def counts_per_unit(record: RunRecord) -> float | None:
    """Factor from values of the raw maps to counts; None where they are no counts."""
    maps = record.dataset.arrays.get("maps")
    if maps is None or record.dataset.counts_per_unit is not None:
        return record.dataset.counts_per_unit
    return 1.0 if quantity(maps) == "counts" else None
