"""Pixels that are not square: their edges are facts of the recording, since a pixel size is one number."""

from __future__ import annotations

from collections.abc import Mapping

Facts = Mapping[str, float | str]
_HEIGHT, _WIDTH, _UNIT = "pixel_height", "pixel_width", "pixel_unit"


def edge_facts(height: float, width: float, unit: str) -> dict[str, float | str]:
    """The edges of a pixel in ``unit`` as facts."""
    return {_HEIGHT: height, _WIDTH: width, _UNIT: unit}


def edges_of(facts: Facts) -> tuple[float, float, str] | None:
    """Height, width and their unit; None where pixels are square or nothing is known."""
    height, width = facts.get(_HEIGHT), facts.get(_WIDTH)
    if not isinstance(height, int | float) or not isinstance(width, int | float):
        return None
    return float(height), float(width), str(facts.get(_UNIT, ""))


def without_edges(facts: Facts) -> dict[str, float | str]:
    """The facts of pixels that are square, or of others."""
    return {name: value for name, value in facts.items() if name not in (_HEIGHT, _WIDTH, _UNIT)}


def coarser(facts: Facts, factor: int) -> dict[str, float | str]:
    """The facts with edges that are ``factor`` times as long, where there are any."""
    found = edges_of(facts)
    return dict(facts) if found is None else {**facts, **edge_facts(factor * found[0], factor * found[1], found[2])}
