"""The raw map of each element of the unknown, from whichever stack of the data has it."""

from __future__ import annotations

from collections.abc import Sequence

from fusionkit.data import Dataset
from fusionkit.terms import Array


def raw_maps(dataset: Dataset, labels: Sequence[str], count: int) -> list[Array | None]:
    """A raw map, of any size, or None for each map of the unknown.

    ``maps`` has them all, or each stack has those of the elements that it names, ``maps`` before the others.

    Parameters
    ----------
    dataset : the data.
    labels : what each map of the unknown is.
    count : how many maps the unknown has.
    """
    maps = dataset.arrays.get("maps")
    if maps is not None and maps.ndim == 2 and count == 1:
        maps = maps[None]
    if maps is not None and maps.ndim == 3 and len(maps) == count and maps.size:
        return list(maps)
    found: dict[str, Array] = {}
    for name in sorted(dataset.stacks, key=lambda name: name != "maps"):
        stack, elements = dataset.arrays.get(name), dataset.stacks[name]
        if stack is not None and stack.ndim == 3 and len(stack) == len(elements) and stack.size:
            for element, image in zip(elements, stack, strict=True):
                found.setdefault(element, image)
    return [found.get(label) for label in labels] if len(labels) == count else [None] * count
