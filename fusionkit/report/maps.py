"""The image panels of a run's page: each element raw and fused, each image with its model and residual."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from fusionkit.report.content import Colours, Derived, Layer, Panel, Style
from fusionkit.report.image_limits import Limits, image_limits, lie_beyond
from fusionkit.report.raw_maps import unit_of
from fusionkit.report.run_images import ElementImages, FittedImage, element_images, fitted_images
from fusionkit.results.record import RunRecord
from fusionkit.terms import Array

MOST = 48  # maps on a page
_SMALLEST = 8  # pixels along an edge; smaller arrays are not shown as images


@dataclass(frozen=True)
class Gallery:
    """Panels with their images."""

    panels: tuple[Panel, ...]  # in their order
    # images, derived: by key, as in `content.Page`
    images: dict[str, Array]
    derived: dict[str, Derived]


def unknown_maps(x: Array) -> Array | None:
    """The unknown as a stack of images (n, ny, nx); None if it is not one."""
    if x.ndim == 3:
        return x
    return x[None] if x.ndim == 2 and min(x.shape) >= _SMALLEST else None


def gallery(record: RunRecord) -> Gallery:
    """Every image of a run; empty if the unknown is not a stack of images and no image is fitted."""
    panels: list[Panel] = []
    images: dict[str, Array] = {}
    derived: dict[str, Derived] = {}
    for its_panels, stored, computed in (*_elements(record), *_fits(record)):
        panels += its_panels
        images |= stored
        derived |= computed
    return Gallery(tuple(panels), images, derived)


_Part = tuple[list[Panel], dict[str, Array], dict[str, Derived]]


def layer(
    name: str, key: str, limits: Limits, image: Array, colours: Colours = "maps", profile: Style | None = "line"
) -> Layer:
    """The layer of an image, which the page stores or computes under ``key``."""
    return Layer(name, key, limits, lie_beyond(image, limits), colours, profile)


def _elements(record: RunRecord) -> Iterator[_Part]:
    x = unknown_maps(record.result.x)
    if x is None:
        return
    unit = unit_of(record)
    deviations = None if record.uncertainty is None else record.uncertainty.standard_deviation
    for index, element in enumerate(islice(element_images(record, x), MOST)):
        yield _element(index, element, unit, None if deviations is None else deviations[index])


def _element(index: int, element: ElementImages, unit: str, deviation: Array | None) -> _Part:
    images, derived, layers = {}, {}, []
    raw, fused, truth, removed = element.raw, element.fused, element.truth, element.removed
    if raw is not None:
        images[f"raw {index}"] = raw.image
        is_aligned = raw.image.shape == fused.image.shape  # other pixels hold other counts: no profile
        name = element.raw_name if is_aligned else f"{element.raw_name} (its own pixels)"
        layers.append(layer(name, f"raw {index}", raw.limits, raw.image, profile="thin" if is_aligned else None))
    images[f"fused {index}"] = fused.image
    layers.append(layer("fused", f"fused {index}", fused.limits, fused.image))
    if truth is not None:
        images[f"truth {index}"] = truth.image
        layers.append(layer("truth", f"truth {index}", truth.limits, truth.image, profile="dashed"))
    if removed is not None:
        key = f"removed {index}"
        derived[key] = Derived(f"raw {index}", -1, f"fused {index}")
        layers.append(layer("raw − fused", key, removed.limits, removed.image, "diverging", None))
    if deviation is not None:
        key = f"error {index}"
        images[key] = deviation
        layers.append(layer("standard deviation", key, image_limits([deviation]), deviation, profile=None))
    return [Panel(element.name, unit, tuple(layers), "Maps", overlay=True)], images, derived


def _fits(record: RunRecord) -> Iterator[_Part]:
    fits = (fit for fit in fitted_images(record) if _is_image(fit.image.image))
    return (_fit(f"fit {index}", fit) for index, fit in enumerate(fits))


def _is_image(array: Array) -> bool:
    return array.ndim == 2 and min(array.shape) >= _SMALLEST


def _fit(key: str, fit: FittedImage) -> _Part:
    title, unit, image, model, residual = fit.title, fit.unit, fit.image, fit.model, fit.residual
    if model is None or residual is None:
        one = layer("image", key, image.limits, image.image, "gray")
        return [Panel(title, unit, (one,), title)], {key: image.image}, {}
    both = (
        layer("image", key, image.limits, image.image, "gray", "thin"),
        layer("model", f"{key} model", model.limits, model.image, "gray"),
    )
    rest = layer("image − model", f"{key} residual", residual.limits, residual.image, "diverging", None)
    panels = [Panel(title, unit, both, title), Panel(f"{title} − model", unit, (rest,), f"{title} residual")]
    # model and residual are stored and the page adds them, so that a small residual keeps its precision
    stored = {f"{key} model": model.image, f"{key} residual": residual.image}
    return panels, stored, {key: Derived(f"{key} model", 1, f"{key} residual")}


def field_of_view(record: RunRecord) -> tuple[tuple[int, int] | None, float | None]:
    """Pixels (ny, nx) of the field of view and its width in the units of the dataset; None if unknown."""
    x = unknown_maps(record.result.x)
    images = [array for array in record.dataset.arrays.values() if _is_image(array)] if x is None else [x[0]]
    if not images:
        return None, None
    ny, nx = images[0].shape
    size = record.dataset.pixel_size
    return (ny, nx), None if size is None else size * nx
