"""Default windows of energy around X-ray lines and after EELS edges.

Energies are from eXSpy's table. The width of an X-ray line follows Fiori & Newbury, SEM/1978/I, 401:
FWHM(E)^2 = FWHM(Mn Ka)^2 - 2.5 (5898.75 - E) in eV^2, where this gives at least 30 eV at E = 0, the noise of good
electronics; a better detector at Mn Ka has this noise and a smaller slope.
"""

import ast
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.data.elements import is_element
from fusionkit.errors import IO, FusionkitWarning, UserError
from fusionkit.microscope.signals import Signal
from fusionkit.registry import suggestion

_MN_KA = 5898.75  # eV
_NOISE = 30.0  # eV, FWHM
_RESOLUTION = 130.0  # eV, FWHM at Mn Ka if the file does not say
_FAMILIES = ("Ka", "La", "Ma")
# in FWHM of the line: half the width of its window, then gap and width of those beside it
_HALF, _GAP, _SIDE = 1.0, 1.0, 1.0
# relative to the onset of an edge: start and end of the window before it, and the length in eV of that after it
_BEFORE, _UNTIL, _BEHIND = 0.85, 0.98, 50.0
_SHORTEST = 10.0  # eV of a window before an edge
_WHITE_LINES = 25.0  # eV after another edge's onset that follow no power law
_WEIGHT = 0.05  # relative to the strongest line of a family: background windows avoid stronger lines
_SOFTEST = 150.0  # eV: below, detectors show their noise
_NOISE_ENDS = 200.0  # eV: windows of the background lie above the noise
_AWAY = 1.0  # FWHM: the most that a background window moves to avoid lines


@dataclass(frozen=True)
class Window:
    """The window of an element and those of its background."""

    line: str  # ``Cu_Ka`` or ``O_K``; a name for messages
    counts: tuple[float, float]  # first and last energy, in the unit of the signal's energy axis
    background: tuple[tuple[float, float], ...]  # (first, last) of one or two windows beside it


def window_of(signal: Signal, element: str, line: str | None, where: str, others: Sequence[str] = ()) -> Window:
    """The window of an element in a spectrum image, from the table of lines or edges.

    Parameters
    ----------
    signal : EDX or EELS.
    element : chemical symbol.
    line : ``Ka``, ``Cu_Ka``, ``K``, ``O_K``; None for that of the file, else the strongest within the spectra.
    where : config key, for messages.
    others : elements whose lines and edges the background windows avoid.
    """
    line = bare_line(element, line, where)
    beside = [one for one in others if one != element]
    return (_edge if signal.technique == "EELS" else _line)(signal, element, line, where, beside)


def bare_line(element: str, line: str | None, where: str) -> str | None:
    """``Ka`` of ``Cu_Ka``; `UserError` if the line is another element's."""
    if line is None or "_" not in line:
        return line
    owner, _, bare = line.partition("_")
    if owner != element:
        raise UserError(where, f"{line} is not a line of {element}", f"write {element}_{bare}")
    return bare


def fwhm(energy: float, resolution: float) -> float:
    """FWHM in eV of a line at ``energy`` eV, for a detector with the FWHM ``resolution`` at Mn Ka."""
    noise = max(resolution**2 - 2.5 * _MN_KA, min(_NOISE, resolution / 2) ** 2)
    return sqrt(noise + (resolution**2 - noise) * max(energy, 0.0) / _MN_KA)


@cache
def _tables() -> Mapping[str, Any]:
    """eXSpy's table of elements, from its source where possible: importing eXSpy takes two seconds."""
    try:
        place = find_spec("exspy")
        folder = ((place and place.submodule_search_locations) or [""])[0]
        tree = ast.parse(Path(folder, "_misc", "elements.py").read_text("utf-8"))
        return ast.literal_eval(next(node.value for node in tree.body if isinstance(node, ast.Assign)))
    except (OSError, StopIteration, SyntaxError, ValueError):  # another version, or none
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # eXSpy warns about HyperSpy
            from exspy.material import elements
    except ImportError:
        remedy = f"{IO}, or give the windows in the config"
        raise UserError("installation", "energies of lines need eXSpy, which is not installed", remedy) from None
    return elements if isinstance(elements, Mapping) else elements.as_dictionary()


def _table(element: str) -> Mapping[str, Any]:
    """eXSpy's entry for an element."""
    return _tables().get(element, {}).get("Atomic_properties", {})


def binding_energies(element: str) -> dict[str, float]:
    """Onsets of the edges of an element by shell (K, L3, ...), in eV."""
    entries = _table(element).get("Binding_energies", {})
    return {name: float(entry["onset_energy (eV)"]) for name, entry in entries.items()}


def elements_in_table() -> list[str]:
    """The elements that have X-ray lines."""
    return [element for element in _tables() if is_element(element) and _table(element).get("Xray_lines")]


def _line(signal: Signal, element: str, line: str | None, where: str, others: Sequence[str]) -> Window:
    line, energy = known_line(signal, element, line, where)
    low, high, _ = signal.span()
    resolution = resolution_of(signal)
    width = fwhm(energy, resolution)
    channel = (high - low) / max(signal.energies()[2] - 1, 1)
    half, side = max(_HALF * width, channel / 2), max(_SIDE * width, channel)  # a window holds a channel or more
    first, last = energy - half, energy + half
    if first < low or last > high:
        raise UserError(where, f"{element}_{line} ({energy / 1000:.3f} keV) lies outside the spectra", "name another")
    beside = [(first - _GAP * width - side, first - _GAP * width), (last + _GAP * width, last + _GAP * width + side)]
    softest = max(low, min(_NOISE_ENDS, first))
    within = [end for end in beside if softest <= end[0] and end[1] <= high]
    spans = [(e - fwhm(e, resolution), e + fwhm(e, resolution)) for one in others for e in _energies(one)]
    moved = [_clear(end, width if end[0] > energy else -width, spans) for end in within]
    sides = [end for end in moved if end is not None and softest <= end[0] and end[1] <= high]
    if within and not sides:
        message = f"the background of {element}_{line} overlaps lines of {', '.join(others)}; give background_windows"
        warnings.warn(message, FusionkitWarning, stacklevel=2)
    return _in_unit(signal, f"{element}_{line}", (first, last), sides or within)


def resolution_of(signal: Signal) -> float:
    """FWHM in eV at Mn Ka, from the file, else a typical one."""
    return float(signal.facts.metadata.get("eds_energy_resolution_eV", _RESOLUTION))


def family_lines(signal: Signal, element: str) -> dict[str, list[tuple[float, float]]]:
    """Energies in eV and weights of the X-ray lines by family (K, L, M), if the strongest one is visible."""
    low, high, _ = signal.span()
    beam = signal.facts.metadata.get("beam_energy_keV")
    limit = min(high, 1000.0 * float(beam)) if beam is not None else high
    result: dict[str, list[tuple[float, float]]] = {}
    for name, line in _table(element).get("Xray_lines", {}).items():
        result.setdefault(name[0], []).append((1000.0 * line["energy (keV)"], float(line["weight"])))
    strongest = {family: max(lines, key=lambda line: line[1])[0] for family, lines in result.items()}
    return {one: lines for one, lines in result.items() if max(low, _SOFTEST) < strongest[one] < limit}


def known_line(signal: Signal, element: str, line: str | None, where: str) -> tuple[str, float]:
    """The named line, or the default one, and its energy in eV."""
    known = {name: 1000.0 * entry["energy (keV)"] for name, entry in _table(element).get("Xray_lines", {}).items()}
    if line is None:
        line = _file_line(signal, element, known) or _strongest(signal, known)
        if line is None:
            raise UserError(where, f"{element} has no line within the spectra", "leave it out, or give a window")
    if line not in known:
        raise UserError(where, f"{element} has no line '{line}'", suggestion(line, known))
    return line, known[line]


def _energies(element: str) -> list[float]:
    """Energies of the visible lines, in eV."""
    lines = _table(element).get("Xray_lines", {}).values()
    return [1000.0 * line["energy (keV)"] for line in lines if line["weight"] >= _WEIGHT]


def _clear(
    window: tuple[float, float], width: float, spans: Sequence[tuple[float, float]]
) -> tuple[float, float] | None:
    """The window moved outwards, ``width`` an FWHM with its sign, until no span overlaps it; None if too far."""
    for part in np.linspace(0.0, _AWAY, 9):
        first, last = window[0] + part * width, window[1] + part * width
        if not any(start < last and end > first for start, end in spans):
            return float(first), float(last)
    return None


def _file_line(signal: Signal, element: str, known: Mapping[str, float]) -> str | None:
    named = [line.partition("_")[2] for line in signal.facts.lines if line.partition("_")[0] == element]
    return next((line for line in named if line in known), None)


def _strongest(signal: Signal, known: Mapping[str, float]) -> str | None:
    """K before L before M, within the spectra and well excited: below half the beam energy."""
    low, high, _ = signal.span()
    beam = signal.facts.metadata.get("beam_energy_keV")
    limit = min(high, 500.0 * float(beam)) if beam is not None else high
    return next((line for line in _FAMILIES if line in known and low < known[line] < limit), None)


def _edge(signal: Signal, element: str, edge: str | None, where: str, others: Sequence[str]) -> Window:
    entries = _table(element).get("Binding_energies", {})
    known = binding_energies(element)
    low, high, _ = signal.span()
    if edge is None:
        major = [name for name, entry in entries.items() if entry.get("relevance") == "Major"]
        within = [name for name in major if known[name] * _UNTIL - low >= _SHORTEST and known[name] < high - 10]
        if not within:
            raise UserError(where, f"{element} has no edge within the spectra", "leave it out, or give a window")
        edge = min(within, key=lambda name: (known[str(name)], str(name)))
        assert isinstance(edge, str)
    if edge not in known:
        raise UserError(where, f"{element} has no edge '{edge}'", suggestion(edge, known))
    onset = known[edge]
    before = (_start_before(onset, low, [e for one in others for e in onsets(one)]), onset * _UNTIL)
    counts = (onset, min(onset + _BEHIND, high))
    if before[0] >= before[1] or counts[0] >= counts[1]:
        raise UserError(where, f"{element}_{edge} ({onset:g} eV) lies outside the spectra", "name another")
    return _in_unit(signal, f"{element}_{edge}", counts, (before,))


def onsets(element: str, minor: bool = False) -> list[float]:
    """Onsets of the major edges, or of all, in eV."""
    entries = _table(element).get("Binding_energies", {}).values()
    return [float(entry["onset_energy (eV)"]) for entry in entries if minor or entry.get("relevance") == "Major"]


def _start_before(onset: float, low: float, others: Sequence[float]) -> float:
    """Start of the window before an edge: after the edge of another element within it."""
    start, end = max(onset * _BEFORE, low), onset * _UNTIL
    behind = [other + _WHITE_LINES for other in others if start < other + _WHITE_LINES and other < end]
    return min(max([start, *behind]), max(end - _SHORTEST, start))


def _in_unit(signal: Signal, line: str, counts: tuple[float, float], sides: Sequence[tuple[float, float]]) -> Window:
    unit = signal.electronvolts
    return Window(
        line, (counts[0] / unit, counts[1] / unit), tuple((first / unit, last / unit) for first, last in sides)
    )
