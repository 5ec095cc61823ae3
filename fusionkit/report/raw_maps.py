"""The raw map of each element of the unknown, from any stack, in the unit of the fused map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionkit.report.image_limits import quantity
from fusionkit.results.record import RunRecord
from fusionkit.terms import Array


@dataclass(frozen=True)
class RawMaps:
    """The raw map of each element, comparable with its fused map.

    Parameters
    ----------
    images : of any size: counts minus the background in the model, over its factor; None for elements without data.
    name : common to all, so that they are shown side by side.
    """

    images: tuple[Array | None, ...]
    name: str


def raw_of(record: RunRecord, count: int) -> RawMaps:
    """The raw map of each of the ``count`` maps of the unknown."""
    dataset = record.dataset
    return raw_maps(dataset.arrays, dataset.stacks, record.result.labels, count, record.resolved_config)


def unit_of(record: RunRecord) -> str:
    """The unit of the maps, which is that of the data."""
    counted = record.dataset.counts_per_unit == 1.0
    return "counts" if counted else quantity(record.dataset.arrays.get("maps", record.result.x))


def raw_maps(
    arrays: Mapping[str, Array],
    stacks: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    count: int,
    config: Mapping[str, Any],
) -> RawMaps:
    """A raw map or None for each map of the unknown.

    Either ``maps`` has all of them, or each stack has those of its elements, ``maps`` first.

    Parameters
    ----------
    arrays : the data.
    stacks : elements of each stack; those in a term of ``config`` come first.
    labels : of the maps of the unknown.
    count : of the maps of the unknown.
    config : the resolved configuration, whose terms compare stacks with maps.
    """
    maps = arrays.get("maps")
    if maps is not None and maps.ndim == 2 and count == 1:
        return RawMaps((maps,), "raw")
    whole = {"maps": labels if len(labels) == count else [str(i) for i in range(count)]}
    if maps is not None and maps.ndim == 3 and len(maps) == count and maps.size:
        found, wanted = _by_element(arrays, whole, config), whole["maps"]
    else:
        found, wanted = _by_element(arrays, stacks, config), labels if len(labels) == count else [""] * count
    lifted = any(f"{name}_background" in arrays for name in {"maps", *stacks})
    return RawMaps(tuple(found.get(name) for name in wanted), "raw − background" if lifted else "raw")


def _by_element(
    arrays: Mapping[str, Array], stacks: Mapping[str, Sequence[str]], config: Mapping[str, Any]
) -> dict[str, Array]:
    by_stack = {name: factors for name, factors in _compared_stacks(config) if name in arrays}
    found: dict[str, Array] = {}
    for name in sorted({**stacks, **by_stack}, key=lambda name: name != "maps"):
        factors = by_stack.get(name) or {}
        elements = stacks["maps"] if name == "maps" and "maps" in stacks else tuple(factors or stacks.get(name, ()))
        stack, beneath = arrays.get(name), arrays.get(f"{name}_background")
        if stack is None or stack.ndim != 3 or len(stack) != len(elements) or not stack.size:
            continue
        known = beneath if beneath is not None and beneath.shape == stack.shape else None
        for index, element in enumerate(elements):
            one = _above(stack[index], None if known is None else known[index], factors.get(element, 1.0))
            found.setdefault(element, one)
    return found


def _above(image: Array, background: Array | None, factor: float) -> Array:
    if background is None and factor == 1.0:
        return image  # whole numbers stay whole
    return (np.asarray(image, np.float64) - (0.0 if background is None else background)) / factor


def _compared_stacks(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """Elements and factors of each stack that a term compares with maps of the unknown."""
    terms = config.get("terms")
    for term in terms if isinstance(terms, list | tuple) else ():
        forward = term.get("forward") if isinstance(term, Mapping) else None
        while isinstance(forward, Mapping) and forward.get("type") != "elements":
            forward = forward.get("forward")
        elements = forward.get("elements") if isinstance(forward, Mapping) else None
        if isinstance(elements, Mapping):
            yield str(term.get("data", "maps")), {str(k): float(v) for k, v in elements.items()}
        elif isinstance(elements, list | tuple):
            yield str(term.get("data", "maps")), {str(one): 1.0 for one in elements}
