"""TIFF as ImageJ writes it: a stack with a labelled slice for each map, the pixel size and its unit."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fusionkit.export.content import Content

_WORDS = {"µm": "micron", "μm": "micron", "\u00c5": "angstrom", "\u212b": "angstrom"}


class TiffWriter:
    """The maps, and their error bars if any, as a TIFF stack for ImageJ and Fiji, in single precision."""

    suffixes: ClassVar[tuple[str, ...]] = (".tif", ".tiff")
    libraries: ClassVar[tuple[str, ...]] = ("tifffile",)

    def write(self, content: Content, path: Path) -> None:
        """Write the file."""
        import tifffile

        with np.errstate(over="ignore"):  # values beyond single precision become infinite
            stack = np.stack([np.asarray(image, np.float32) for image in content.layers.values()])
        description: dict[str, Any] = {"axes": "CYX", "Labels": list(content.layers), "mode": "grayscale"}
        finite = np.where(np.isfinite(stack), stack, np.nan).reshape(len(stack), -1)
        if np.isfinite(finite).any(axis=1).all():  # each map on its own scale
            ends = np.stack([np.nanmin(finite, axis=1), np.nanmax(finite, axis=1)], axis=1)
            description["Ranges"] = tuple(ends.ravel().tolist())
        about = {key: value for key, value in content.about.items() if key != "config"}
        description["Info"] = "\n".join(f"{key}: {value}" for key, value in {**content.metadata, **about}.items())
        options: dict[str, Any] = {}
        known = content.scan
        if known.pixel_size is not None:
            options["resolution"] = tuple(1.0 / known.edges[::-1])  # pixels per unit along x and y
            description |= {"unit": _unit(known.units)} if known.units else {}
            options["extratags"] = _gatan_tags(known.edges[::-1].tolist(), _unit(known.units or ""))
        tifffile.imwrite(path, stack, imagej=True, metadata=description, **options)


def _gatan_tags(edges: list[float], units: str) -> list[tuple[int, str, int, Any, bool]]:
    """DigitalMicrograph's tags of the pixel: HyperSpy reads units from them, and from ImageJ's tags only the micron."""
    words = [(tag, "s", len(units) + 1, units, False) for tag in (65003, 65004)] if units else []
    return [*words, *((tag, "d", 1, edge, False) for tag, edge in zip((65009, 65010), edges, strict=True))]


def _unit(units: str) -> str:
    """The unit in ASCII, as tags require; ImageJ reads the escapes."""
    return "".join(sign if sign.isascii() else f"\\u{ord(sign):04X}" for sign in _WORDS.get(units, units))
