"""The panels of a run whose unknown are maps: each element raw and fused, each image with its model and residual."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fusionkit.report.content import Colours, Derived, Layer, Panel, Style
from fusionkit.report.image_limits import Limits, brightness, image_limits, quantity, symmetric_limits
from fusionkit.report.raw_maps import raw_of, unit_of
from fusionkit.results.record import RunRecord
from fusionkit.terms import Array

MOST = 48  # maps; nobody reads a longer page
_SMALLEST = 8  # pixels along an edge of what is shown as an image


@dataclass(frozen=True)
class Gallery:
    """Panels with their images.

    Parameters
    ----------
    panels : what is shown.
    images, derived : by key, as in `content.Page`.
    """

    panels: tuple[Panel, ...]
    images: dict[str, Array]
    derived: dict[str, Derived]


def unknown_maps(x: Array) -> Array | None:
    """The unknown as a stack of images (n, ny, nx); None where it is none."""
    if x.ndim == 3:
        return x
    return x[None] if x.ndim == 2 and min(x.shape) >= _SMALLEST else None


def gallery(record: RunRecord) -> Gallery:
    """Every image of a run; nothing where the unknown is no stack of images and no image is fitted."""
    panels: list[Panel] = []
    images: dict[str, Array] = {}
    derived: dict[str, Derived] = {}
    for panel, given, computed in (*_elements(record), *_fits(record)):
        panels += panel
        images |= given
        derived |= computed
    return Gallery(tuple(panels), images, derived)


_Part = tuple[list[Panel], dict[str, Array], dict[str, Derived]]


def layer(
    name: str, key: str, limits: Limits, image: Array, colours: Colours = "maps", profile: Style | None = "line"
) -> Layer:
    """A layer that knows whether values of ``image`` lie beyond its limits."""
    finite = image[np.isfinite(image)]
    margin = 1e-6 * (limits[1] - limits[0])
    below = finite.size > 0 and float(finite.min()) < limits[0] - margin
    above = finite.size > 0 and float(finite.max()) > limits[1] + margin
    return Layer(name, key, limits, (bool(below), bool(above)), colours, profile)


def _elements(record: RunRecord) -> list[_Part]:
    x = unknown_maps(record.result.x)
    if x is None:
        return []
    recorded, truth = raw_of(record, x.shape[0]), _alike(record.dataset.truth, x)
    unit = unit_of(record)
    labels = record.result.labels if len(record.result.labels) == x.shape[0] else ()
    names = labels or tuple(f"map {index + 1}" for index in range(x.shape[0]))
    raw = [(image, recorded.name) for image in recorded.images]
    parts = [_element(index, name, x, raw[index], truth, unit) for index, name in enumerate(names[:MOST])]
    found = record.uncertainty
    return (
        parts if found is None else [_with_error(i, part, found.standard_deviation[i]) for i, part in enumerate(parts)]
    )


def _alike(stack: Array | None, x: Array) -> Array | None:
    """The stack where it has a map for each of the unknown's."""
    return stack if stack is not None and stack.ndim == 3 and stack.shape[0] == x.shape[0] and stack.size else None


def _element(
    index: int, name: str, x: Array, recorded: tuple[Array | None, str], truth: Array | None, unit: str
) -> _Part:
    images, derived, layers = {f"fused {index}": x[index]}, {}, []
    # the noise of the raw counts must not darken the fused map: the limits are those of what is nearly noise-free
    limits = image_limits([x[index]] if truth is None else [x[index], truth[index]])
    raw, raw_name = recorded
    if raw is not None:
        images[f"raw {index}"] = raw
        # pixels of another size hold other counts: limits of their own, and no profile
        own = raw.shape != x.shape[1:]
        called, ends = (f"{raw_name} (its own pixels)", image_limits([raw])) if own else (raw_name, limits)
        layers.append(layer(called, f"raw {index}", ends, raw, profile=None if own else "thin"))
    layers.append(layer("fused", f"fused {index}", limits, x[index]))
    if truth is not None:
        images[f"truth {index}"] = truth[index]
        layers.append(layer("truth", f"truth {index}", limits, truth[index], profile="dashed"))
    if raw is not None and raw.shape == x.shape[1:]:
        derived[f"removed {index}"] = Derived(f"raw {index}", -1, f"fused {index}")
        removed = difference(raw, x[index])
        layers.append(layer("raw − fused", f"removed {index}", symmetric_limits(removed), removed, "diverging", None))
    return [Panel(name, unit, tuple(layers), "Maps", overlay=True)], images, derived


def _with_error(index: int, part: _Part, spread: Array) -> _Part:
    """The element with its standard deviation as one more layer."""
    (panel,), images, derived = part
    key = f"error {index}"
    more = layer("standard deviation", key, image_limits([spread]), spread, profile=None)
    return [replace(panel, layers=(*panel.layers, more))], images | {key: spread}, derived


def _fits(record: RunRecord) -> list[_Part]:
    """Image, model and residual of everything that is fitted and is one image."""
    arrays, models = record.dataset.arrays, record.models
    names = [name for name in dict.fromkeys(("haadf", *models)) if name in arrays and _is_image(arrays[name])]
    return [_fit(f"fit {index}", name, arrays[name], models.get(name)) for index, name in enumerate(names)]


def _is_image(array: Array) -> bool:
    return array.ndim == 2 and min(array.shape) >= _SMALLEST


def _fit(key: str, name: str, image: Array, model: Array | None) -> _Part:
    shown, unit = ("HAADF", brightness(image)) if name == "haadf" else (name, quantity(image))
    if model is None or model.shape != image.shape:
        one = layer("image", key, image_limits([image]), image, "gray")
        return [Panel(shown, unit, (one,), shown)], {key: image}, {}
    limits, residual = image_limits([image, model]), difference(image, model)
    both = layer("image", key, limits, image, "gray", "thin"), layer("model", f"{key} model", limits, model, "gray")
    rest = layer("image − model", f"{key} residual", symmetric_limits(residual), residual, "diverging", None)
    panels = [Panel(shown, unit, both, shown), Panel(f"{shown} − model", unit, (rest,), f"{shown} residual")]
    # model and residual are kept and the image is their sum, so that a small residual keeps its own precision
    return (
        panels,
        {f"{key} model": model, f"{key} residual": residual},
        {key: Derived(f"{key} model", 1, f"{key} residual")},
    )


def difference(first: Array, second: Array) -> Array:
    """``first - second`` in float64; infinities of a diverged run have no difference."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(first, np.float64) - second


def field_of_view(record: RunRecord) -> tuple[tuple[int, int] | None, float | None]:
    """Pixels (ny, nx) of what is shown and its width in the dataset's units; None where unknown."""
    x = unknown_maps(record.result.x)
    images = [array for array in record.dataset.arrays.values() if _is_image(array)] if x is None else [x[0]]
    if not images:
        return None, None
    ny, nx = images[0].shape
    size = record.dataset.pixel_size
    return (ny, nx), None if size is None else size * nx
