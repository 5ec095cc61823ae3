"""The images of a stack whose layers the file names: ``EDS maps/Co``, as if the stack were a folder of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fusionkit.elements import is_element
from fusionkit.microscope.facts import at, order_assumed, texts
from fusionkit.microscope.signals import Signal

_LABELS = "IJMetadata.Labels"  # of the slices, in what RosettaSciIO keeps of ImageJ's TIFF


def layers(signal: Signal, original: Mapping[str, Any]) -> list[Signal]:
    """A signal for each image of a stack; none where it is no stack, or the file does not name its layers.

    Parameters
    ----------
    signal : of the file.
    original : what the file says in its own words (RosettaSciIO's ``original_metadata``).
    """
    if signal.kind != "stack of images" or [axis.is_signal for axis in signal.axes] != [False, True, True]:
        return []
    count, labels, elements = signal.shape[0], texts(at(original, _LABELS)), signal.facts.elements
    if _tells_apart(labels, count):
        return [_layer(signal, index, label, ()) for index, label in enumerate(labels)]
    if len(elements) == count:
        return [_layer(signal, index, label, (order_assumed(elements),)) for index, label in enumerate(elements)]
    return []


def _tells_apart(labels: Sequence[str], count: int) -> bool:
    return len(labels) == len(set(labels)) == count and all(label and "/" not in label for label in labels)


def _layer(signal: Signal, index: int, label: str, notes: tuple[str, ...]) -> Signal:
    facts = replace(signal.facts, title=label, elements=(label,) if is_element(label) else ())
    name = f"{signal.name}/{label}"
    return replace(signal, name=name, lazy=signal.lazy[index], axes=signal.axes[1:], facts=facts, notes=notes)
