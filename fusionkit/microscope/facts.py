"""Metadata of a signal: elements, lines and the facts of the recording that reach the results."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fusionkit.arrays import Frozen
from fusionkit.data.elements import is_element

# name in results: path in HyperSpy's metadata; angles in degrees, times in seconds
_PATHS = {
    "title": "General.title",
    "date": "General.date",
    "time": "General.time",
    "original_filename": "General.original_filename",
    "authors": "General.authors",
    "sample": "Sample.name",
    "microscope": "Acquisition_instrument.{}.microscope",
    "beam_energy_keV": "Acquisition_instrument.{}.beam_energy",
    "beam_current_nA": "Acquisition_instrument.{}.beam_current",
    "magnification": "Acquisition_instrument.{}.magnification",
    "camera_length_mm": "Acquisition_instrument.{}.camera_length",
    "convergence_angle_mrad": "Acquisition_instrument.{}.convergence_angle",
    "dwell_time": "Acquisition_instrument.{}.dwell_time",
    "stage_tilt_alpha": "Acquisition_instrument.{}.Stage.tilt_alpha",
    "eds_detector": "Acquisition_instrument.{}.Detector.EDS.detector_type",
    "eds_real_time": "Acquisition_instrument.{}.Detector.EDS.real_time",
    "eds_live_time": "Acquisition_instrument.{}.Detector.EDS.live_time",
    "eds_elevation_angle": "Acquisition_instrument.{}.Detector.EDS.elevation_angle",
    "eds_energy_resolution_eV": "Acquisition_instrument.{}.Detector.EDS.energy_resolution_MnKa",
    "eels_dwell_time": "Acquisition_instrument.{}.Detector.EELS.dwell_time",
    "eels_collection_angle_mrad": "Acquisition_instrument.{}.Detector.EELS.collection_angle",
    "quantity": "Signal.quantity",
}


@dataclass(frozen=True)
class Facts:
    """Metadata of a signal."""

    title: str = ""  # may be empty
    signal_type: str = ""  # HyperSpy's term (``EDS_TEM``, ``EELS``); empty if there is none
    elements: tuple[str, ...] = ()  # chemical symbols; others are left out
    lines: tuple[str, ...] = ()  # X-ray lines that the file names (``Cu_Ka``)
    metadata: Mapping[str, float | str] = field(default_factory=dict)  # facts by name, numbers and texts


def facts_of(metadata: Mapping[str, Any]) -> Facts:
    """The facts in a signal's metadata, a nested mapping; values other than numbers and texts are left out."""
    known: dict[str, float | str] = {}
    for name, path in _PATHS.items():
        candidates = [_plain(at(metadata, path.format(kind))) for kind in ("TEM", "SEM")]
        value = next((one for one in candidates if one is not None), None)
        if value is not None:
            known[name] = value
    elements = tuple(dict.fromkeys(one for one in texts(at(metadata, "Sample.elements")) if is_element(one)))
    return Facts(
        str(known.get("title", "")),
        str(_plain(at(metadata, "Signal.signal_type")) or ""),
        elements,
        texts(at(metadata, "Sample.xray_lines")),
        Frozen(known),
    )


def single_element(facts: Facts) -> str | None:
    """The only element with named X-ray lines, else the only element; None if there are several."""
    lines = tuple(dict.fromkeys(line.partition("_")[0] for line in facts.lines))
    return next((names[0] for names in (lines, facts.elements) if len(names) == 1 and is_element(names[0])), None)


def tree_of(facts: Mapping[str, float | str]) -> dict[str, Any]:
    """The facts at their paths in HyperSpy's metadata, a nested mapping; those of an instrument are under ``TEM``.

    Parameters
    ----------
    facts : by the names that `facts_of` gives; others are left out.
    """
    tree: dict[str, Any] = {}
    for name, path in _PATHS.items():
        if name in facts:
            *nodes, leaf = path.format("TEM").split(".")
            branch = tree
            for node in nodes:
                branch = branch.setdefault(node, {})
            branch[leaf] = facts[name]
    return tree


def order_assumed(elements: Sequence[str]) -> str:
    """A note that the layers of a stack are assumed to be in the order of its metadata."""
    order = "the order of metadata.Sample.elements, which eXSpy sorts"
    return f"The maps of the stack are taken as {', '.join(elements)}, {order}: name elements if theirs differs."


def at(tree: Any, path: str) -> Any:
    """The value at a dotted path in nested mappings; None if there is none."""
    for part in path.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def texts(value: Any) -> tuple[str, ...]:
    """The texts of a list or array; empty for anything else."""
    return tuple(str(one) for one in value) if isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1 else ()


def _plain(value: Any) -> float | str | None:
    """The value as a finite number or a text on one line; None for anything else."""
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return "".join(sign for sign in " ".join(value.split()) if sign.isprintable()) or None
    return None
