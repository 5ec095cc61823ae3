"""Each recorded map with its expectation from the model, for every stack of the data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusionkit.data.missing import filled
from fusionkit.report.image_limits import quantity
from fusionkit.report.raw_maps import element_factors
from fusionkit.results.record import RunRecord, terms_of
from fusionkit.terms import Array


@dataclass(frozen=True)
class MapExpectation:
    """A recorded map and its expectation."""

    name: str  # of the element, followed by that of the stack unless it is ``maps``
    raw: Array  # the recorded map, (ny, nx)
    mean: Array  # the expectation including background and epsilon, of the same shape
    background: Array | float  # part of both that belongs to no element or to others, of the same shape or one number
    epsilon: float  # of its Poisson term
    scale: float | None  # factor from values to counts; None if they are not counts
    share: float = 1.0  # of the element's counts that the map holds
    # where nothing was measured, and raw, mean and background are 0; None for nowhere
    missing: npt.NDArray[np.bool_] | None = None

    @property
    def measured(self) -> Array:
        """The recorded map, NaN where nothing was measured."""
        return self.raw if self.missing is None else np.where(self.missing, np.nan, self.raw)

    @property
    def level(self) -> float:
        """Mean of the recorded map above its background."""
        return float(np.mean(self.raw, dtype=np.float64)) - float(np.mean(self.background))

    @property
    def fused(self) -> float:
        """Mean contribution of the fused map to the expectation."""
        return float(np.mean(self.mean, dtype=np.float64)) - float(np.mean(self.background)) - self.epsilon


def map_expectations(record: RunRecord) -> Iterator[MapExpectation]:
    """Every map that a term compares with a prediction of its shape."""
    arrays, models, x, labels = record.dataset.arrays, record.models, record.result.x, record.result.labels
    factors = dict(element_factors(record.resolved_config))
    for name, epsilon in epsilons(record.resolved_config).items():
        data, model = arrays.get(name), models.get(name, x if name == "maps" else None)
        if data is None or model is None or data.ndim != 3 or model.shape != data.shape:
            continue
        elements = record.dataset.stacks.get(name) or (labels if name == "maps" else ())
        background, mixing = arrays.get(f"{name}_background"), arrays.get(f"{name}_mixing")
        scale = counts_per_unit(record) if name == "maps" else 1.0 if quantity(data) == "counts" else None
        for index, (raw, mean) in enumerate(zip(data, model, strict=True)):
            element = elements[index] if len(elements) == len(data) else ""
            label = name if not element and len(data) == 1 else _label(element or f"map {index + 1}", name)
            own: Array | float = 0.0 if background is None or background.shape != data.shape else background[index]
            mean, share = np.asarray(mean, np.float64), 1.0
            # of a mixture, the fused maps of the other elements are background
            if mixing is not None and element in labels and x.shape[1:] == mean.shape:
                share = float(mixing[index, index]) * factors.get(name, {}).get(element, 1.0)
                own = mean - share * x[labels.index(element)]
            missing = np.isnan(raw)
            if not missing.any():
                yield MapExpectation(label, raw, mean + epsilon, own, epsilon, scale, share)
                continue
            raw, mean, own = (np.where(missing, 0.0, one) for one in (raw, mean + epsilon, own))
            level = epsilon * (1.0 - float(missing.mean()))  # a mean over all pixels, like the others
            yield MapExpectation(label, raw, mean, own, level, scale, share, missing)


def completed(record: RunRecord, name: str) -> Array | None:
    """The array ``name`` of the data, with the model where nothing was measured; None without it."""
    data = record.dataset.arrays.get(name)
    if data is None or name not in record.dataset.masked:
        return data
    model = record.models.get(name, record.result.x if name == "maps" else None)
    if model is None or model.shape != data.shape:
        return filled(data)
    return np.where(np.isnan(data), model + epsilons(record.resolved_config).get(name, 0.0), data).astype(data.dtype)


def _label(map_name: str, stack: str) -> str:
    return map_name if stack == "maps" else f"{map_name} ({stack})"


def epsilons(config: Mapping[str, object]) -> dict[str, float]:
    """Epsilon of the first Poisson term of each stack; ``maps`` first, with 0 if it has no such term."""
    values: dict[str, float] = {}
    for term in terms_of(config):
        if term.get("type") == "poisson":
            epsilon = term.get("epsilon", 0.0)
            number = float(epsilon) if isinstance(epsilon, int | float) else 0.0
            values.setdefault(str(term.get("data", "maps")), number)
    return {"maps": 0.0} | values


def counts_per_unit(record: RunRecord) -> float | None:
    """Factor from values of the raw maps to counts; None if they are not counts."""
    maps = record.dataset.arrays.get("maps")
    if maps is None or record.dataset.counts_per_unit is not None:
        return record.dataset.counts_per_unit
    return 1.0 if quantity(maps) == "counts" else None
