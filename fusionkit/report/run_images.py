"""The images of a run with their colour limits, for its figures and its page: the elements, and the fitted images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fusionkit.report.image_limits import Limits, brightness, image_limits, quantity, symmetric_limits
from fusionkit.report.raw_maps import raw_of
from fusionkit.results.record import RunRecord
from fusionkit.terms import Array


@dataclass(frozen=True)
class Shown:
    """An image and its colour limits."""

    image: Array
    limits: Limits


@dataclass(frozen=True)
class ElementImages:
    """The maps of one element."""

    name: str  # of the element
    raw_name: str  # what the raw map is, ``raw`` or ``raw − background``
    # with limits of its own if its pixels differ from those of the fused map, since these hold other counts
    raw: Shown | None
    fused: Shown  # the solution
    truth: Shown | None  # the ground truth; None if unknown

    @property
    def removed(self) -> Shown | None:
        """Raw minus fused map; None without a raw map on the same pixels."""
        return _subtract(self.raw, self.fused)


@dataclass(frozen=True)
class FittedImage:
    """A recorded image and its model; ``model`` is None if it has another shape or there is none."""

    name: str
    image: Shown
    model: Shown | None

    @property
    def title(self) -> str:
        """The name for readers."""
        return title_of(self.name)

    @property
    def unit(self) -> str:
        """Of image and model."""
        return brightness(self.image.image) if self.name == "haadf" else quantity(self.image.image)

    @property
    def residual(self) -> Shown | None:
        """Image minus model."""
        return _subtract(self.image, self.model)


def element_images(record: RunRecord, x: Array) -> Iterator[ElementImages]:
    """The images of each element; ``x`` is the solution of the run as maps (n, ny, nx)."""
    recorded, truth, labels = raw_of(record, len(x)), record.dataset.truth, record.result.labels
    has_truth = truth is not None and truth.ndim == 3 and len(truth) == len(x) and truth.size
    truths = truth if has_truth and truth is not None else [None] * len(x)
    names = labels if len(labels) == len(x) else [f"map {index + 1}" for index in range(len(x))]
    for name, raw, fused, true in zip(names, recorded.images, x, truths, strict=True):
        # the noise of the raw counts must not darken the fused map, so they do not set the limits
        limits = image_limits([fused] if true is None else [fused, true])
        raw_limits = limits if raw is None or raw.shape == fused.shape else image_limits([raw])
        yield ElementImages(
            name,
            recorded.name,
            None if raw is None else Shown(raw, raw_limits),
            Shown(fused, limits),
            None if true is None else Shown(true, limits),
        )


def fitted_images(record: RunRecord) -> Iterator[FittedImage]:
    """Every image that a forward model predicts, and the HAADF image in any case."""
    arrays, models = record.dataset.arrays, record.models
    for name in dict.fromkeys(("haadf", *models)):
        image, model = arrays.get(name), models.get(name)
        if image is None or image.ndim != 2:
            continue
        if model is None or model.shape != image.shape:
            yield FittedImage(name, Shown(image, image_limits([image])), None)
        else:
            limits = image_limits([image, model])
            yield FittedImage(name, Shown(image, limits), Shown(model, limits))


def title_of(name: str) -> str:
    """The name of an array for readers."""
    return "HAADF" if name == "haadf" else name


def difference(first: Array, second: Array) -> Array:
    """``first - second`` in float64; infinities of a diverged run have no difference."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(first, np.float64) - second


def _subtract(first: Shown | None, second: Shown | None) -> Shown | None:
    if first is None or second is None or first.image.shape != second.image.shape:
        return None
    change = difference(first.image, second.image)
    return Shown(change, symmetric_limits(change))
