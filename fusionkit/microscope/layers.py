"""The images of a stack whose layers the file names: ``EDS maps/Co``, as if the stack were a folder of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fusionkit.data.names import element_named
from fusionkit.microscope.facts import order_assumed
from fusionkit.microscope.signals import Signal


def layers(signal: Signal, labels: Sequence[str]) -> list[Signal]:
    """A signal for each image of a stack; none where it is no stack, or the file does not name its layers.

    Parameters
    ----------
    signal : of the file.
    labels : of its images, as the file calls them; of any number.
    """
    if signal.kind != "stack of images" or [axis.is_signal for axis in signal.axes] != [False, True, True]:
        return []
    count, elements = signal.shape[0], signal.facts.elements
    if _tells_apart(labels, count):
        return [_layer(signal, index, label, ()) for index, label in enumerate(labels)]
    if len(elements) == count:
        return [_layer(signal, index, label, (order_assumed(elements),)) for index, label in enumerate(elements)]
    return []


def _tells_apart(labels: Sequence[str], count: int) -> bool:
    return len(labels) == len(set(labels)) == count and all(label and "/" not in label for label in labels)


def _layer(signal: Signal, index: int, label: str, notes: tuple[str, ...]) -> Signal:
    element = element_named(label)
    facts = replace(signal.facts, title=label, elements=() if element is None else (element,), lines=())
    name = f"{signal.name}/{label}"
    return replace(signal, name=name, lazy=signal.lazy[index], axes=signal.axes[1:], facts=facts, notes=notes)
