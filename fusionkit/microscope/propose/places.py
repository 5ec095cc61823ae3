"""The position of further scans in the field of view of image and maps, and the config options for it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fusionkit.data.field_of_view import Fields, Scan, fields
from fusionkit.errors import FusionkitWarning

_DIGITS = 3  # of a pixel


@dataclass(frozen=True)
class Part:
    """The part of the field that a scan covers, as shares of its height and width."""

    # rows, columns: its ends, from 0 to 1
    rows: tuple[float, float]
    columns: tuple[float, float]

    def pixels(self, shape: tuple[int, ...]) -> dict[str, list[float]]:
        """Options ``rows`` and ``columns`` of the forward model ``scan`` on pixels of ``shape``."""
        named = {"rows": (self.rows, shape[-2]), "columns": (self.columns, shape[-1])}
        return {
            key: [min(round(share * count, _DIGITS), float(count)) for share in ends]
            for key, (ends, count) in named.items()
        }


@dataclass(frozen=True)
class OtherStacks:
    """Facts about further stacks, by name."""

    parts: Mapping[str, Part] = field(default_factory=dict)  # of the field, for stacks that cover a part of it
    same_technique: frozenset[str] = frozenset()  # stacks of the technique of ``maps``, whose counts are comparable


def places(whole: Scan, scans: Mapping[str, Scan]) -> tuple[dict[str, Part], list[dict[str, Any]]]:
    """The part of the field that each smaller scan covers, and steps that crop larger scans.

    Parameters
    ----------
    whole : the scan with the field of image and maps.
    scans : of further stacks, by name.
    """
    parts: dict[str, Part] = {}
    steps: list[dict[str, Any]] = []
    for name, scan in scans.items():
        both = fields(whole, scan)
        if both is None or both.are_same:
            continue
        part = both.part()
        if part is None:
            difference = both.difference(("the field of image and maps", f"'{name}'"))
            remedy = "crop one of them, or set rows and columns of scan"
            warnings.warn(f"{difference}; the config assumes the same field: {remedy}", FusionkitWarning, stacklevel=2)
        elif part[0] == "haadf":
            parts[name] = _part(both)
        else:
            steps.append({"step": "crop", "of": name, "rows": list(part[1]), "columns": list(part[2])})
    return parts, steps


def _part(both: Fields) -> Part:
    first = (both.maps.corner - both.image.corner) / both.image.size
    last = first + both.maps.size / both.image.size
    (top, left), (bottom, right) = first.clip(0.0, 1.0).tolist(), last.clip(0.0, 1.0).tolist()
    return Part((top, bottom), (left, right))
