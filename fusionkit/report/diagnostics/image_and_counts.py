"""The image term and the counts term of a fusion, for the diagnostics that compare both."""

from collections.abc import Mapping, Sequence
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
from fusionkit.report.diagnostics.map_expectations import completed, counts_per_unit
from fusionkit.results.record import RunRecord, terms_of
from fusionkit.terms import Array, Term


@dataclass(frozen=True)
class ImageAndCounts:
    """The terms of an image and of counts on the same pixels."""

    image: PixelwiseFidelity  # the term of the image, with a pixelwise model and normal noise
    counts: Fidelity  # the Poisson term of the maps themselves
    x: Array  # the fused maps, (n, ny, nx), float64
    raw: Array  # the recorded maps, of the same shape
    labels: tuple[str, ...]  # of the maps
    in_counts: bool = True  # whether the maps are counts times a known factor, 1 / weight

    @property
    def epsilon(self) -> float:
        """The background of the Poisson term."""
        return self.counts.loss.epsilon if isinstance(self.counts.loss, PoissonLoss) else 0.0


def image_and_counts(record: RunRecord) -> ImageAndCounts | None:
    """Both terms of a run, on a part of large maps; None for any other problem."""
    maps, image, x = (*(completed(record, name) for name in ("maps", "haadf")), record.result.x)
    if maps is None or image is None or x.ndim != 3 or not maps.shape == x.shape == (len(x), *image.shape):
        return None
    rows, columns = busiest(image)
    part = {"haadf": image[rows, columns], "maps": maps[:, rows, columns]}
    terms = terms_with_parameters(record, replace(record.dataset, arrays=part, truth=None))
    images = [t for t in terms if isinstance(t, PixelwiseFidelity) and t.target == "haadf" and t.noise == "normal"]
    counts = [t for t in terms if isinstance(t, Fidelity) and t.noise == "poisson" and isinstance(t.forward, Identity)]
    if len(images) != 1 or len(counts) != 1 or counts[0].target != "maps":
        return None
    values = np.asarray(x[:, rows, columns], np.float64), np.asarray(part["maps"], np.float64)
    return ImageAndCounts(images[0], counts[0], *values, record.result.labels, counts_per_unit(record) is not None)


def terms_with_parameters(
    record: RunRecord, dataset: Dataset, specs: Sequence[Mapping[str, Any]] | None = None
) -> tuple[Term, ...]:
    """The terms of ``specs``, else of the run, with fitted parameters as numbers; empty if the config lacks them."""
    specs = terms_of(record.resolved_config) if specs is None else specs
    fits = [_with_parameters(spec, record) for spec in specs if spec.get("type") in _FITS]
    try:
        return compose(dataset, fits).terms if fits else ()
    except UserError:  # they need further data, or are objects, which the record knows by name only
        return ()


def _with_parameters(spec: Mapping[str, Any], record: RunRecord) -> dict[str, Any]:
    """A term with numbers in place of its fitted parameters."""
    parameters = record.result.parameters.get(str(spec.get("name") or spec["type"]), {})
    values = {name: parameter.value for name, parameter in parameters.items()}
    if "forward" in spec and values:
        return {**spec, "forward": {**spec["forward"], **values}}
    return {**spec, **values}


_FITS = ("haadf", "poisson", "least_squares", "gaussian")
