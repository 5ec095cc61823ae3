"""What a TIFF says of its pages in its own words: ImageJ's description and labels, OME's XML.

RosettaSciIO knows ImageJ's unit ``micron`` alone and passes OME's XML over; both stand in what it keeps of the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from fusionkit.microscope.facts import at, texts

_IMAGEJ, _OME = "ImageJ=", "<OME"
_ESCAPED_MICRO = "\\u00B5"  # as ImageJ writes it
_UNIT_OF_OME = "µm"  # where it names none, by its schema


@dataclass(frozen=True)
class Described:
    """What the words say.

    Parameters
    ----------
    labels : of the images of a stack, in their order; none where they have no names.
    unit : of the pixels' edges; empty where unknown.
    edges : of a pixel along y and x in ``unit``; None where the words do not say.
    """

    labels: tuple[str, ...] = ()
    unit: str = ""
    edges: tuple[float, float] | None = None


def described(original: Mapping[str, Any]) -> Described:
    """What RosettaSciIO's ``original_metadata`` of a TIFF says; nothing for that of other formats."""
    text = original.get("ImageDescription")
    if not isinstance(text, str):
        return Described()
    if text.startswith(_IMAGEJ):
        unit = next((line[5:].strip() for line in text.splitlines() if line.startswith("unit=")), "")
        return Described(texts(at(original, "IJMetadata.Labels")), unit.replace(_ESCAPED_MICRO, "µ"))
    return _of_ome(text) if _OME in text[:1000] else Described()


def _of_ome(text: str) -> Described:
    """The first image's channels and pixels."""
    try:
        root = ElementTree.fromstring(text.encode())
    except ElementTree.ParseError:  # cut off: the values are there all the same
        return Described()
    pixels = root.find("{*}Image/{*}Pixels")
    if pixels is None:
        return Described()
    labels = tuple(one.get("Name", "") for one in pixels.iterfind("{*}Channel"))
    units = {pixels.get(f"PhysicalSize{axis}Unit", _UNIT_OF_OME) for axis in "YX"}
    edges = [_number(pixels.get(f"PhysicalSize{axis}", "")) for axis in "YX"]
    if len(units) > 1 or not all(edge > 0 for edge in edges):
        return Described(labels)
    return Described(labels, units.pop(), (edges[0], edges[1]))


def _number(text: str) -> float:
    """A finite number, or NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
