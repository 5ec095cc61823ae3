"""Fields of view: whether two scans show the same field, and which pixels they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_SAME = 0.05  # relative difference of sizes: scans are seldom whole multiples of each other


@dataclass(frozen=True)
class Scan:
    """The pixels of a scan."""

    shape: tuple[int, ...]  # (ny, nx)
    # edge of a pixel in ``units``, or its height and width; None if unknown
    pixel_size: float | tuple[float, float] | None = None
    units: str | None = None  # unit of ``pixel_size`` and ``origin``
    origin: tuple[float, float] | None = None  # (y, x) of the centre of the first pixel; None if unknown

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """(height, width) of a pixel in ``units``; 1 if unknown."""
        return np.broadcast_to(1.0 if self.pixel_size is None else self.pixel_size, 2).astype(np.float64)

    @property
    def size(self) -> npt.NDArray[np.float64]:
        """(height, width) of the field in ``units``."""
        return np.array(self.shape[-2:]) * self.edges

    @property
    def corner(self) -> npt.NDArray[np.float64]:
        """(y, x) of the corner of the first pixel, in ``units``."""
        return np.array(self.origin or (0.0, 0.0)) - self.edges / 2

    @property
    def size_text(self) -> str:
        """``2 x 3 nm``."""
        return f"{self.size[0]:.3g} x {self.size[1]:.3g} {self.units or ''}".strip()

    @property
    def place(self) -> str:
        """``y 0 to 2, x 1 to 4 nm``."""
        ends = zip("yx", self.corner, self.corner + self.size, strict=True)
        return (
            f"{', '.join(f'{name} {first:.4g} to {last:.4g}' for name, first, last in ends)} {self.units or ''}".strip()
        )


@dataclass(frozen=True)
class Fields:
    """Two scans whose pixel sizes are known in one unit; see `fields`."""

    image: Scan
    maps: Scan

    @property
    def are_placed(self) -> bool:
        """Whether their positions are known: two origins at zero usually mean that none was recorded."""
        origins = [self.image.origin, self.maps.origin]
        return None not in origins and any(any(one) for one in origins if one is not None)

    @property
    def are_same(self) -> bool:
        """Whether they show the same field, as far as is known."""
        if not np.allclose(self.image.size, self.maps.size, rtol=_SAME):
            return False
        return not self.are_placed or bool(np.all(np.abs(self.image.corner - self.maps.corner) <= self._slack))

    @property
    def are_disjoint(self) -> bool:
        """Whether they do not overlap, as far as is known."""
        first, last = self._shared
        return self.are_placed and bool(np.any(first >= last))

    @property
    def _slack(self) -> npt.NDArray[np.float64]:
        """A pixel of the coarser scan: conventions for the origin differ by that much."""
        pixel = np.maximum(self.image.edges, self.maps.edges)
        return np.maximum(pixel, _SAME * np.minimum(self.image.size, self.maps.size))

    @property
    def _shared(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """First and last corner of the field that both show."""
        both = (self.image, self.maps)
        return np.maximum(*(one.corner for one in both)), np.minimum(*(one.corner + one.size for one in both))

    def part(self) -> tuple[str, tuple[int, int], tuple[int, int]] | None:
        """``haadf`` or ``maps``, and its rows and columns that the other covers; None if it is not inside."""
        if not self.are_placed or self.are_same:
            return None
        for name, whole, part in (("haadf", self.image, self.maps), ("maps", self.maps, self.image)):
            first = (part.corner - whole.corner) / whole.edges
            last = first + part.size / whole.edges
            slack, shape = self._slack / whole.edges, np.array(whole.shape[-2:])
            if np.all(first >= -slack) and np.all(last <= shape + slack):
                rows, columns = np.clip(np.rint([first, last]), 0, shape).astype(int).T.tolist()
                if rows[1] - rows[0] >= 2 <= columns[1] - columns[0]:
                    return name, (rows[0], rows[1]), (columns[0], columns[1])
        return None

    def difference(self, names: tuple[str, str] = ("the image", "the maps")) -> str | None:
        """A sentence on how the fields differ; None if they are the same."""
        if self.are_same:
            return None
        if not self.are_placed:
            return f"{names[0]} shows {self.image.size_text} and {names[1]} {self.maps.size_text}"
        text = f"{names[0]} covers {self.image.place}, and {names[1]} {self.maps.place}"
        return f"{text}: they do not overlap" if self.are_disjoint else text


def fields(image: Scan, maps: Scan) -> Fields | None:
    """The two scans if their pixel sizes are known in one unit; else None."""
    known = image.pixel_size is not None and maps.pixel_size is not None and image.units == maps.units
    return Fields(image, maps) if known else None


Facts = Mapping[str, float | str]
_HEIGHT, _WIDTH, _UNIT = "pixel_height", "pixel_width", "pixel_unit"


def edge_facts(height: float, width: float, unit: str) -> dict[str, float | str]:
    """The edges in ``unit`` of pixels that are not square, as facts, since a pixel size is one number."""
    return {_HEIGHT: height, _WIDTH: width, _UNIT: unit}


def edges_of(facts: Facts) -> tuple[float, float, str] | None:
    """Height, width and unit of pixels that are not square; else None."""
    height, width = facts.get(_HEIGHT), facts.get(_WIDTH)
    if not isinstance(height, int | float) or not isinstance(width, int | float):
        return None
    return float(height), float(width), str(facts.get(_UNIT, ""))


def without_edges(facts: Facts) -> dict[str, float | str]:
    """The facts without the edges of pixels."""
    return {name: value for name, value in facts.items() if name not in (_HEIGHT, _WIDTH, _UNIT)}


def coarser(facts: Facts, factor: int) -> dict[str, float | str]:
    """The facts with ``factor`` times longer edges, if there are any."""
    known = edges_of(facts)
    return dict(facts) if known is None else {**facts, **edge_facts(factor * known[0], factor * known[1], known[2])}


def scan_of(shape: tuple[int, ...], size: float | None, units: str | None, origin: Any, facts: Facts) -> Scan:
    """A scan of which the pixel size is known, or the edges are among the facts."""
    known = edges_of(facts) if size is None else None
    return (
        Scan(shape[-2:], size, units, origin)
        if known is None
        else Scan(shape[-2:], known[:2], known[2] or None, origin)
    )
