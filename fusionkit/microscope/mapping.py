"""What a file says in its own words, at the places of HyperSpy's metadata.

A reader of RosettaSciIO gives a table of such places with the functions that convert the values, and leaves it to
HyperSpy to carry it out: elements of Velox, and the microscope and beam energy of Velox, Gatan and TIFF, stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from fusionkit.microscope.facts import at


class _Tree(dict[str, Any]):
    """A mapping whose keys are a list, as the converting functions know it from HyperSpy."""

    def keys(self) -> Any:
        """The keys in their order."""
        return list(super().keys())


def metadata_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a signal as HyperSpy would have them.

    Parameters
    ----------
    entry : what a reader gives: ``metadata``, ``original_metadata`` and ``mapping``, each of which may be absent.
    """
    tree = deepcopy(dict(entry.get("metadata") or {}))
    original: Mapping[str, Any] = entry.get("original_metadata") or {}
    table: Mapping[str, tuple[str, Callable[[Any], Any] | None]] = entry.get("mapping") or {}
    for place, (target, convert) in table.items():
        value = at(original, place)
        if value is not None and convert is not None:
            value = convert(_as_tree(value))
        if value is not None:
            _put(tree, target, value)
    return tree


def _as_tree(value: Any) -> Any:
    return _Tree({key: _as_tree(one) for key, one in value.items()}) if isinstance(value, Mapping) else value


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *nodes, leaf = path.split(".")
    for node in nodes:
        below = tree.get(node)
        tree[node] = tree = dict(below) if isinstance(below, Mapping) else {}
    tree[leaf] = value
