"""Facts that RosettaSciIO 0.15 leaves out or gives wrong: positions in Velox and TIA, energies in Ripple, elements.

A function takes and returns an entry of a reader: ``data``, ``axes`` in the order of the array, and metadata.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fusionkit.microscope.facts import at

Entry = dict[str, Any]
_X_RAYS = 2.0  # eV a channel: spectrometers for X-rays have wider channels than those for energy losses


def corrected(module: str, entry: Mapping[str, Any]) -> Entry:
    """The entry of a reader, corrected.

    Parameters
    ----------
    module : name of the reader's module (``rsciio.emd``).
    entry : one signal; not changed.
    """
    copy = {**entry, "axes": [dict(axis) for axis in entry["axes"]]}
    correction = _CORRECTIONS.get(module)
    return copy if correction is None else correction(copy)


def scan_area(original: Any) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """First and last row, then column, as shares of the field, from the metadata of Velox; None if there is none."""
    area = at(original, "Scan.ScanArea")
    try:
        top, bottom, left, right = (float(area[name]) for name in ("top", "bottom", "left", "right"))
    except (KeyError, TypeError, ValueError):
        return None
    return ((top, bottom), (left, right)) if 0.0 <= top < bottom <= 1.0 and 0.0 <= left < right <= 1.0 else None


def scan_shape(original: Any) -> tuple[int, int] | None:
    """Rows and columns of a scan of Velox, from its area and the pixels of the whole field; None if it has none."""
    area, size = scan_area(original), at(original, "Scan.ScanSize")
    try:
        whole = [int(size[name]) for name in ("height", "width")]
    except (KeyError, TypeError, ValueError):
        return None
    ny, nx = (0, 0) if area is None else (round((b - a) * n) for (a, b), n in zip(area, whole, strict=True))
    return (ny, nx) if ny > 0 < nx else None


def _velox(entry: Entry) -> Entry:
    """Origins from the scanned area: Velox 11 writes 0 for images, and corners measured from the middle for maps."""
    area = scan_area(entry.get("original_metadata"))
    named = {axis.get("name"): axis for axis in entry["axes"]}
    if area is not None and {"y", "x"} <= set(named):
        for name, (first, last) in zip("yx", area, strict=True):
            edge = float(named[name]["scale"])
            field = edge * int(named[name]["size"]) / (last - first)
            named[name]["offset"] = (first - 0.5) * field + edge / 2
    return entry


def _tia(entry: Entry) -> Entry:
    """y downwards, and the beam energy.

    TIA's y points up. RosettaSciIO turns the rows of images, but not their axis, and looks for another key.
    """
    for axis in entry["axes"]:
        if axis.get("name") == "y" and axis.get("scale"):
            if axis.get("navigate"):
                axis["offset"], axis["scale"] = -axis["offset"], -axis["scale"]
            elif axis["offset"]:  # 0 if nobody recorded it
                axis["offset"] = -(axis["offset"] + axis["scale"] * (int(axis["size"]) - 1))
    voltage = (at(entry.get("original_metadata"), "ObjectInfo.ExperimentalDescription") or {}).get("High tension_kV")
    return entry if voltage is None else _with(entry, "Acquisition_instrument", {"TEM": {"beam_energy": voltage}})


def _with(entry: Entry, key: str, value: Any) -> Entry:
    """The entry with one more branch of metadata."""
    return {**entry, "metadata": {**_plain(entry["metadata"]), key: value}}


def _plain(tree: Any) -> dict[str, Any]:
    return tree.to_dict() if hasattr(tree, "to_dict") else dict(tree)


def _ripple(entry: Entry) -> Entry:
    """Energies in eV, which the original format states as ``ev-per-chan`` alone."""
    width = at(entry.get("original_metadata"), "ev-per-chan")
    depth = next((axis for axis in entry["axes"] if axis.get("name") == "depth"), None)
    if width and depth is not None and not depth.get("units"):
        depth["units"] = "eV"
        if not at(_plain(entry["metadata"]), "Signal.signal_type"):
            return _with(entry, "Signal", {"signal_type": "EDS_TEM" if float(width) >= _X_RAYS else "EELS"})
    return entry


def _phenom(entry: Entry) -> Entry:
    """The elements of the analysis."""
    elements = at(entry.get("original_metadata"), "acquisition.scan.detectors.EDS.included_elements")
    return _with(entry, "Sample", {"elements": list(elements)}) if elements else entry


_CORRECTIONS: Mapping[str, Callable[[Entry], Entry]] = {
    "rsciio.emd": _velox,
    "rsciio.tia": _tia,
    "rsciio.ripple": _ripple,
    "rsciio.phenom": _phenom,
}
