"""The raw map of each element, from any stack of the data, in the unit of the fused map."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionkit.data.spectra import unmixed
from fusionkit.report.image_limits import quantity
from fusionkit.results.record import RunRecord, terms_of
from fusionkit.terms import Array


@dataclass(frozen=True)
class RawMaps:
    """The raw map of each element, in the unit of its fused map."""

    # data minus the background of the model, over its factor, of any size; None for elements without data
    images: tuple[Array | None, ...]
    name: str  # of all of them, ``raw`` or ``raw − background``


def raw_of(record: RunRecord, count: int) -> RawMaps:
    """The raw map of each of the ``count`` maps of the unknown."""
    dataset = record.dataset
    return raw_maps(dataset.arrays, dataset.stacks, record.result.labels, count, record.resolved_config)


def unit_of(record: RunRecord) -> str:
    """The unit of fused and raw maps."""
    is_counts = record.dataset.counts_per_unit == 1.0
    return "counts" if is_counts else quantity(record.dataset.arrays.get("maps", record.result.x))


def raw_maps(
    arrays: Mapping[str, Array],
    stacks: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    count: int,
    config: Mapping[str, Any],
) -> RawMaps:
    """The raw map of each map of the unknown.

    If ``maps`` has as many maps as the unknown, they are used; else each stack provides its elements, ``maps`` first.

    Parameters
    ----------
    arrays : the data.
    stacks : elements of each stack; those in a term of ``config`` take precedence.
    labels : of the maps of the unknown.
    count : number of maps of the unknown.
    config : the resolved configuration, whose terms tell which elements a stack shows.
    """
    maps = arrays.get("maps")
    if maps is not None and maps.ndim == 2 and count == 1:
        return RawMaps((maps,), "raw")
    has_labels = len(labels) == count
    if maps is not None and maps.ndim == 3 and len(maps) == count and maps.size:
        names = labels if has_labels else [str(i) for i in range(count)]
        by_element = _by_element(arrays, {"maps": names}, config)
    else:
        names = labels if has_labels else [""] * count
        by_element = _by_element(arrays, stacks, config)
    has_background = any(f"{name}_background" in arrays for name in {"maps", *stacks})
    return RawMaps(tuple(by_element.get(name) for name in names), "raw − background" if has_background else "raw")


def _by_element(
    arrays: Mapping[str, Array], stacks: Mapping[str, Sequence[str]], config: Mapping[str, Any]
) -> dict[str, Array]:
    factors_by_stack = {name: factors for name, factors in element_factors(config) if name in arrays}
    by_element: dict[str, Array] = {}
    for name in sorted({**stacks, **factors_by_stack}, key=lambda name: name != "maps"):
        factors = factors_by_stack.get(name) or {}
        elements = stacks["maps"] if name == "maps" and "maps" in stacks else tuple(factors or stacks.get(name, ()))
        stack, background = arrays.get(name), arrays.get(f"{name}_background")
        if stack is None or stack.ndim != 3 or len(stack) != len(elements) or not stack.size:
            continue
        if background is not None and background.shape != stack.shape:
            background = None
        if (mixing := arrays.get(f"{name}_mixing")) is not None:
            net = unmixed(stack, 0.0 if background is None else background, mixing)
            for element, image in zip(elements, net, strict=True):
                by_element.setdefault(element, image / factors.get(element, 1.0))
            continue
        for index, element in enumerate(elements):
            own_background = None if background is None else background[index]
            by_element.setdefault(element, _net(stack[index], own_background, factors.get(element, 1.0)))
    return by_element


def _net(image: Array, background: Array | None, factor: float) -> Array:
    if background is None and factor == 1.0:
        return image  # whole numbers stay whole
    return (np.asarray(image, np.float64) - (0.0 if background is None else background)) / factor


def element_factors(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """The elements of each stack that a term fits, with the factors from map to data."""
    for term in terms_of(config):
        forward = term.get("forward")
        while isinstance(forward, Mapping) and forward.get("type") not in ("elements", "spectral"):
            forward = forward.get("forward")
        elements = forward.get("elements") if isinstance(forward, Mapping) else None
        if isinstance(elements, Mapping):
            yield str(term.get("data", "maps")), {str(k): float(v) for k, v in elements.items()}
        elif isinstance(elements, list | tuple):
            yield str(term.get("data", "maps")), {str(one): 1.0 for one in elements}
