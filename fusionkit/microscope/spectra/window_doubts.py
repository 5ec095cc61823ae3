"""Warnings of windows that mislead: by the lines that the sum of all EDX spectra shows, or by the edges of the table.

A window counts whatever falls into it. The model of the sum (`fusionkit.microscope.spectra.model`) says how much of
that is the element's own, how much another element's line, and whether the lines are where the file's energies are.
"""

import warnings
from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np

from fusionkit.data.options import SpectrumSource
from fusionkit.data.spectra import ElementMaps
from fusionkit.errors import FusionkitWarning
from fusionkit.microscope.signals import Image, Signal
from fusionkit.microscope.spectra.fit import Reading
from fusionkit.microscope.spectra.lines import Window, fwhm, onsets, resolution_of
from fusionkit.microscope.spectra.model import SpectralModel, edges_of
from fusionkit.microscope.spectra.peaks import Calibration, peaks
from fusionkit.microscope.spectra.windows import channels, count, overlapping, power_law, sums, windows_of

_NOISE = 200.0  # eV: below, detectors show their noise and the peak at zero energy
_FOREIGN = 0.1  # of the element's own counts: the least of another one that is named
_BEYOND = 0.2  # of its own counts, by which the background is too high
_LOST = 0.9  # of the share that a window should hold of a line
_ERRORS = 3.0  # standard errors of the counts: smaller differences are noise
_NO_LINE = 0.1  # share of its line in a window that holds none, and of the net counts where an edge has not begun
_SYSTEMATIC = 0.005  # of a background by a power law
_CLEAR = 10.0  # standard errors of the net counts of an edge whose place can be judged
_RISEN = 0.3  # of the net counts per channel of a window, before which its edge has begun


def checked_counts(reading: Reading, source: SpectrumSource, where: str) -> ElementMaps:
    """The counts in windows, as `fusionkit.microscope.spectra.windows.count`; a warning for each that misleads."""
    signal = reading.signal
    if signal.energy_axis is None:
        return count(signal, source, where)  # which refuses it
    windows = windows_of(signal, source, where)
    result = count(signal, source, where, windows)
    if signal.technique == "EDX":
        _warn_of_noise(signal, windows)
        resolved = signal.energies()[1] * signal.electronvolts < fwhm(1000.0, resolution_of(signal)) / 2.0
        if resolved and find_spec("exspy") is not None:
            _warn_of_lines(reading, windows, result, where)
    elif signal.technique == "EELS" and find_spec("exspy") is not None:
        _warn_of_edges(signal, windows, result, where)
    return result


def _text(window: tuple[float, float], signal: Signal) -> str:
    return f"{window[0]:.4g} to {window[1]:.4g} {signal.energy_unit}"


def _warn(message: str) -> None:
    warnings.warn(message, FusionkitWarning, stacklevel=3)


def _warn_of_noise(signal: Signal, windows: Mapping[str, Window]) -> None:
    for element, window in windows.items():
        for key, ends in (("windows", window.counts), *(("background_windows", one) for one in window.background)):
            if ends[0] * signal.electronvolts < _NOISE:
                problem = f"a window of {element} ({_text(ends, signal)}) reaches below 0.2 keV"
                _warn(f"{problem}, where detectors show their noise: set {key}.{element}")


def _warn_of_lines(reading: Reading, windows: Mapping[str, Window], result: ElementMaps, where: str) -> None:
    signal = reading.signal
    total = reading.images.sum(axis=(1, 2), dtype=np.float64)
    if not (total.min() >= 0.0 < total.sum()):
        return  # no counts: the model does not hold
    model = reading.model(list(windows), where)
    edges, unit = edges_of(signal, model.bins), signal.electronvolts
    overlap = [*overlapping({element: window.counts for element, window in windows.items()})]
    for index, (element, window) in enumerate(windows.items()):
        ends = np.array(window.counts) * unit - signal.energies()[1] * unit / 2.0  # a window ends between two channels
        share = np.clip(np.minimum(edges[1:], ends[1]) - np.maximum(edges[:-1], ends[0]), 0.0, None) / np.diff(edges)
        inside = model.amounts * (model.family_shapes @ share)
        parts = {one: float(inside[[name == one for name, _ in model.families]].sum()) for one, _ in model.families}
        own, counts = parts.pop(element, 0.0), float(share @ total)
        problem = _misplaced(signal, model, element, window, share)
        if problem is not None:
            _warn(problem)
            continue
        noise = _ERRORS * np.sqrt(counts + 1.0)
        known = [pair for pair in overlap if element in pair]  # there is a warning
        strong = {one: n for one, n in parts.items() if n > max(_FOREIGN * own, noise)}
        foreign = [f"{n:.4g} of {one}" for one, n in strong.items() if not any(one in pair for pair in known)]
        if foreign:
            problem = f"the window of {element} ({_text(window.counts, signal)}) holds lines of others"
            _warn(f"{problem}: about {own:.4g} counts of {element} and {', '.join(foreign)}; write method: spectral")
        if result.background is not None:
            estimate, shown = float(result.background[index].sum()), counts - own
            if shown + max(_BEYOND * own, noise) < estimate < counts + noise:  # beyond all counts there is a warning
                problem = f"the background of {element} is estimated as {estimate:.4g} counts, where the spectra show"
                _warn(f"{problem} {shown:.4g}: its windows lie on lines of other elements; write method: spectral")


def _misplaced(signal: Signal, model: SpectralModel, element: str, window: Window, share: Image) -> str | None:
    """What is wrong if the window misses the lines of its element, or these do not show; None otherwise."""
    own = {family: lines for family, lines in model.lines.items() if family[0] == element}
    text = f"the window of {element} ({_text(window.counts, signal)})"
    if not own:
        return f"{text} holds no line of it that these spectra can show: leave it out, or move the window"
    file = Calibration(0.0, 1.0, model.calibration.resolution, 0.0, model.calibration.tail, model.calibration.length)
    should = dict(zip(own, peaks(edges_of(signal, model.bins), own, file) @ share, strict=True))
    holds = {family: float(model.family_shapes[model.families.index(family)] @ share) for family in own}
    family = max(own, key=lambda one: max(should[one], holds[one]))
    amount, limit = float(model.amounts[model.families.index(family)]), model.limit(family)
    if max(should[family], holds[family]) < _NO_LINE:
        return f"{text} holds no line of it: move it, or leave out windows.{element}"
    if amount < limit:
        return f"{text} shows no line of it: the spectra hold {amount:.3g} counts, and the limit is {limit:.3g}"
    if holds[family] < _LOST * should[family] and amount * (should[family] - holds[family]) > _ERRORS * np.sqrt(amount):
        unit = signal.electronvolts
        shift = float(model.calibration.shift(sum(window.counts) / 2.0 * unit))
        moved = f"[{window.counts[0] - shift / unit:.4g}, {window.counts[1] - shift / unit:.4g}]"
        problem = f"{text} holds {holds[family] / should[family]:.0%} of the counts of its line that it should"
        cause = f"the lines lie {-shift:+.0f} eV from the energies of the file"
        return f"{problem}, since {cause}: write method: spectral, or windows: {{{element}: {moved}}}"
    return None


def _warn_of_edges(signal: Signal, windows: Mapping[str, Window], result: ElementMaps, where: str) -> None:
    """By the table: edges of other elements in a window, none of its own; and edges that do not show."""
    unit = 1.0 / signal.electronvolts
    for index, (element, window) in enumerate(windows.items()):
        first, last = window.counts
        text = f"the window of {element} ({_text(window.counts, signal)})"
        own = [onset * unit for onset in onsets(element, minor=True)]
        if not any(first - (last - first) < onset < last for onset in own):
            _warn(f"{text} holds no edge of it: move it, or leave out windows.{element}")
            continue
        for other in dict.fromkeys((*windows, *signal.facts.elements)):
            beside = sorted(onset * unit for onset in onsets(other) if other != element)
            edge = f"the edge of {other} at {{:.4g}} {signal.energy_unit}"
            if (within := next((one for one in beside if first < one < last), None)) is not None:
                _warn(f"{text} holds {edge.format(within)}: end it before, or leave one out")
            inside = [one for one in beside if any(start < one < end for start, end in window.background)]
            if inside and within is None:
                problem = f"the background window of {element} holds {edge.format(inside[0])}"
                _warn(f"{problem}: give background_windows.{element}")
        if result.background is not None:
            counts, under = float(result.maps[index].sum()), float(result.background[index].sum())
            noise = _ERRORS * np.sqrt(counts + under)
            if under > counts + noise:
                continue  # there is a warning
            if abs(counts - under) < max(noise, _SYSTEMATIC * under):
                _warn(f"{text} shows no edge of it: {counts:.4g} counts, {under:.4g} of them background; leave it out")
            elif (problem := _shifted(signal, window, where)) is not None:
                _warn(
                    f"{text} misses its edge, which begins {problem}: calibrate the energies, or set windows.{element}"
                )


def _shifted(signal: Signal, window: Window, where: str) -> str | None:
    """Whether counts rise before a window, or do not at its beginning, against the power law before it."""
    (first, last), (start, end) = (channels(signal, one, where) for one in (window.counts, window.background[0]))
    part, middle = max(1, (last - first) // 5), (start + end) // 2
    halves = [(start, middle), (middle, end)]
    ranges = [*halves, (first, last), (first, first + part), *([(end, first)] if end < first else [])]
    totals = {one: np.nansum(image).reshape(1, 1) for one, image in zip(ranges, sums(signal, ranges), strict=True)}
    if middle == start or min(float(totals[one].item()) for one in halves) <= 0.0:
        return None
    net = {one: float((totals[one] - power_law(signal, one, halves, totals)).item()) for one in ranges[2:]}
    level = {one: n / (one[1] - one[0]) for one, n in net.items()}
    clear = net[(first, last)] > _CLEAR * np.sqrt(float(totals[(first, last)].item()))
    if clear and level.get((end, first), 0.0) > _RISEN * level[(first, last)]:
        return "before it"
    return "behind its beginning" if clear and level[(first, first + part)] < _NO_LINE * level[(first, last)] else None
