r"""Counts of elements from a spectrum image: sums over windows of energy, and an estimate of their background.

The background is interpolated between two windows beside an X-ray line. For an EELS edge it follows :math:`A E^{-r}`,
with A and r from the counts in the two halves of the window before the edge (R. F. Egerton, Electron Energy-Loss
Spectroscopy in the Electron Microscope, section 4.4.2).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from fusionkit.data.elements import atomic_number
from fusionkit.data.options import SpectrumSource
from fusionkit.data.spectra import ElementMaps
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.signals import Channels, Image, Signal
from fusionkit.microscope.spectra.lines import Window, window_of

SMOOTH = 2.0  # pixels, of ``method: fit`` where no width is given
_NEEDED = 100.0  # counts in a smoothed spectrum; with 300 an overlapping map has ghosts of 14 % at edges
_TO_EXTRAPOLATE = 150_000.0  # counts in each half of the window before an edge: its exponent gives B within 1 %
_NARROWEST, _WIDEST = 0.4, 4.0  # pixels: narrower smoothing does nothing, wider smoothing mixes regions
_BEYOND = 3.0  # standard errors of the counts by which a background may exceed them
_SHARED = 0.25  # of the shorter of two windows: a larger overlap gives a warning


def windows_of(signal: Signal, source: SpectrumSource, where: str, beside: tuple[str, ...] = ()) -> dict[str, Window]:
    """The window of each element, in the order of the maps.

    `UserError` if no elements are known, or one has no line, or lies outside the spectra.

    Parameters
    ----------
    signal : the spectra.
    source : elements and windows.
    where : config key of ``source``.
    beside : further elements of the specimen, whose lines the background windows avoid.
    """
    elements = elements_of(signal, source, where)
    result: dict[str, Window] = {}
    others = tuple(dict.fromkeys((*elements, *signal.facts.elements, *beside)))
    for element in elements:
        result[element] = _window(signal, source, element, where, others)
    return result


def elements_of(signal: Signal, source: SpectrumSource, where: str) -> list[str]:
    """The elements of the maps, in their order.

    `UserError` if none are known, or an option is for an element without a map.
    """
    elements = source.elements or list(source.windows) or list(source.lines) or list(signal.facts.elements)
    if not elements:
        raise UserError(f"{where}.elements", f"{signal.path} names no elements", "add elements: [Co, O]")
    for key in ("lines", "windows", "background_windows"):
        for element in getattr(source, key):
            if element not in elements:
                raise UserError(
                    f"{where}.{key}.{element}", "is not an element of these maps", f"name {', '.join(elements)}"
                )
    for element in elements:
        atomic_number(element, f"{where}.elements")
    if "H" in elements:
        raise UserError(f"{where}.elements", "H has no line of X-rays and no edge that could be mapped", "leave it out")
    return elements


def _window(signal: Signal, source: SpectrumSource, element: str, where: str, others: tuple[str, ...]) -> Window:
    key = f"{where}.lines.{element}" if element in source.lines else where
    others = () if source.background == "none" else others  # only windows of the background keep clear of them
    explicit, sides = source.windows.get(element), source.background_windows.get(element)
    if explicit is None or (sides is None and source.background != "none"):
        base = window_of(signal, element, source.lines.get(element), key, others)
    else:
        base = Window(element, (explicit[0], explicit[1]), ())
    counts = base.counts if explicit is None else (explicit[0], explicit[1])
    beside = base.background
    if sides is not None:
        beside = tuple(zip(sides[::2], sides[1::2], strict=True))
    return Window(base.line, counts, beside)


def count(
    signal: Signal, source: SpectrumSource, where: str, windows: Mapping[str, Window] | None = None
) -> ElementMaps:
    """Sum the spectra over the windows of ``source``, or over ``windows`` if they are known.

    `UserError` if the signal is not a spectrum image, a window lies outside the spectra, or the file is damaged.

    Parameters
    ----------
    signal : a spectrum image, (ny, nx) spectra.
    source : elements, windows and background.
    where : config key of ``source``.
    """
    if len(signal.shape) != 3 or signal.energy_axis is None:
        raise UserError(
            f"{where}.signal",
            f"'{signal.name}' of {signal.path} is not a spectrum image ({signal.kind})",
            "name another",
        )
    windows = dict(windows_of(signal, source, where) if windows is None else windows)
    ranges = [channels(signal, window.counts, f"{where}.windows.{name}") for name, window in windows.items()]
    _warn_of_overlaps(signal, dict(zip(windows, ranges, strict=True)))
    sides = [_sides(signal, source, window, f"{where}.background_windows.{name}") for name, window in windows.items()]
    all_ranges = [*ranges, *(one for pair in sides for one in pair)]
    by_range = dict(zip(all_ranges, sums(signal, all_ranges), strict=True))
    raw = np.stack([by_range[one] for one in ranges])
    if source.background == "none":
        return ElementMaps(tuple(windows), raw, None, signal.raw(raw, (counts_in_windows(signal, windows, raw, None),)))
    estimate = power_law if source.background == "power_law" else _interpolated
    beside = [by_range[one] for pair in sides for one in pair]
    dose = min(float(np.nanmean(image)) for image in beside)
    smooth = {one: _smoothed(image, smoothing_width(source.smooth, dose)) for one, image in by_range.items()}
    if source.background == "power_law":  # the exponent, which extrapolates, takes more counts than the level
        wide = smoothing_width(source.smooth, dose, _TO_EXTRAPOLATE)
        halves = [one for pair in sides for one in pair]
        levels = {one: smooth[one] for one in halves}
        smooth |= {one: _smoothed(by_range[one], wide) for one in halves}
        scales = [
            sum(levels[one] for one in pair) / np.maximum(sum(smooth[one] for one in pair), 1e-12) for pair in sides
        ]
        estimate = _scaled(power_law, dict(zip(ranges, scales, strict=True)))
    background = np.stack([estimate(signal, one, pair, smooth) for one, pair in zip(ranges, sides, strict=True)])
    notes = (counts_in_windows(signal, windows, raw, background),)
    _warn_of_backgrounds(signal, windows, raw, background)
    if not source.subtract:
        return ElementMaps(tuple(windows), raw, background, signal.raw(raw, notes))
    net = raw - background
    note = f"The background is subtracted; {int((net < 0).sum())} of {net.size} values were negative and are set to 0."
    maps = np.maximum(net, 0.0)
    return ElementMaps(tuple(windows), maps, None, signal.raw(maps, (*notes, note)))


def channels(signal: Signal, window: tuple[float, float], where: str) -> Channels:
    """First channel of the window and the one after its last, both ends rounded to the nearest channel.

    `UserError` if the window holds no channel, or lies outside the spectra.
    """
    offset, width, size = signal.energies()
    first, last = (round((energy - offset) / width) for energy in window)
    unit = signal.energy_unit
    if first < 0 or last > size:
        ends = f"{offset:g} to {offset + width * size:g} {unit}"
        raise UserError(where, f"{window[0]:g} to {window[1]:g} {unit} lies outside the spectra ({ends})", "move it")
    if first >= last:
        raise UserError(where, f"{window[0]:g} to {window[1]:g} {unit} holds no channel", "widen it")
    return first, last


def overlapping(windows: Mapping[str, tuple[float, float]]) -> Iterator[tuple[str, str]]:
    """The pairs of elements whose windows share much."""
    for (one, first), (other, second) in combinations(windows.items(), 2):
        shared = min(first[1], second[1]) - max(first[0], second[0])
        if shared > _SHARED * min(first[1] - first[0], second[1] - second[0]):
            yield one, other


def _warn_of_overlaps(signal: Signal, ranges: Mapping[str, Channels]) -> None:
    """Warn if one map shares many counts with another, since each map is fitted on its own."""
    for one, other in overlapping(ranges):
        remedy = "write method: spectral" if signal.technique == "EDX" else "give windows that do not overlap"
        problem = f"the windows of {one} and {other} overlap, so that both maps hold the same counts"
        warnings.warn(f"{problem}: {remedy}, or leave one of them out", FusionkitWarning, stacklevel=2)


def _warn_of_backgrounds(signal: Signal, windows: dict[str, Window], raw: Image, background: Image) -> None:
    """Warn where the estimate of the background exceeds all counts of the window."""
    for name, counts, under in zip(windows, *(np.nansum(one, axis=(1, 2)) for one in (raw, background)), strict=True):
        if under > counts + _BEYOND * np.sqrt(counts + 1.0):
            problem = f"the background of {name} ({under:.4g} counts) exceeds the {counts:.4g} counts of its window"
            cause = "its windows lie on other lines; write method: spectral"
            if signal.technique != "EDX":
                cause = "it shows no edge, or its windows lie on other ones; move them, or leave it out"
            warnings.warn(f"{problem}: {cause}", FusionkitWarning, stacklevel=2)


def _sides(signal: Signal, source: SpectrumSource, window: Window, where: str) -> list[Channels]:
    if source.background == "none":
        return []
    if not window.background:
        raise UserError(where, f"{window.line} has no room for a window beside it", "give one")
    pairs = [channels(signal, one, where) for one in window.background]
    if source.background == "windows":
        return pairs
    if len(pairs) > 1:
        raise UserError(where, "a power law takes one window, and two are given", "give only that before the edge")
    first, last = pairs[0]
    middle = (first + last) // 2
    if middle == first or signal.energies()[0] + signal.energies()[1] * first <= 0:
        raise UserError(where, "a power law needs two channels or more, at energies > 0", "widen or move the window")
    return [(first, middle), (middle, last)]


def sums(signal: Signal, ranges: Sequence[Channels]) -> list[Image]:
    """Sums over ranges of channels, each (ny, nx)."""
    assert signal.energy_axis is not None
    return signal.data.sums(signal.energy_axis, list(ranges))


def _smoothed(image: Image, sigma: float) -> Image:
    """Smoothed by a Gaussian; NaN, which was not measured, takes no part and stays."""
    from scipy.ndimage import gaussian_filter

    if sigma == 0:
        return image
    measured = np.isfinite(image)
    smooth = gaussian_filter(np.where(measured, image, 0.0), sigma, mode="nearest")
    if measured.all():
        return np.asarray(smooth)
    share = gaussian_filter(measured.astype(np.float64), sigma, mode="nearest")
    return np.where(measured, smooth / np.maximum(share, 1e-12), np.nan)


def _interpolated(signal: Signal, line: Channels, sides: list[Channels], sums: dict[Channels, Image]) -> Image:
    """Counts per channel beside the line, interpolated linearly to its middle; constant if there is one window."""
    levels = [sums[side] / (side[1] - side[0]) for side in sides]
    middles = [(side[0] + side[1]) / 2 for side in sides]
    share = 0.0
    if len(sides) == 2 and middles[0] != middles[1]:
        share = float(np.clip(((line[0] + line[1]) / 2 - middles[0]) / (middles[1] - middles[0]), 0.0, 1.0))
    return (line[1] - line[0]) * ((1 - share) * levels[0] + share * levels[-1])


def power_law(signal: Signal, edge: Channels, halves: list[Channels], sums: dict[Channels, Image]) -> Image:
    """A E^-r summed over the window after the edge; constant in pixels without counts to fit."""
    offset, width, _ = signal.energies()
    first, middle, last = (offset + width * end for end in (halves[0][0], halves[0][1], halves[1][1]))
    low, high = sums[halves[0]], sums[halves[1]]
    known = (low > 0) & (high > 0)
    ratio = np.log(np.where(known, low, 1.0) / np.where(known, high, 1.0))
    # the mean energies of the halves: exact for r = 2, within one per cent for the usual r of 2 to 6
    widths = np.log((middle - first) / (last - middle))
    r = np.clip((ratio - widths) / np.log(np.sqrt(middle * last) / np.sqrt(first * middle)), 0.0, 10.0)
    energies = offset + width * (np.arange(edge[0], edge[1]) + 0.5)
    before = offset + width * (np.arange(halves[0][0], halves[1][1]) + 0.5)
    after = np.zeros(r.shape)
    inside = np.zeros(r.shape)
    for energy in energies:
        after += (energy / middle) ** -r
    for energy in before:
        inside += (energy / middle) ** -r
    return (low + high) * after / inside


def smoothing_width(given: float | None, counts: float, needed: float = _NEEDED) -> float:
    """Standard deviation in pixels of a Gaussian that averages over `needed` counts, unless one is given.

    Parameters
    ----------
    given : by the user.
    counts : in a pixel; a Gaussian with the standard deviation s averages over 4 pi s^2 pixels.
    """
    if given is not None:
        return given
    width = float(np.sqrt(needed / (4.0 * np.pi * max(counts, 1e-12))))
    return 0.0 if width < _NARROWEST else min(width, _WIDEST)


def _scaled(law: Callable[..., Image], scales: Mapping[Channels, Image]) -> Callable[..., Image]:
    """The law with smoothed exponents, and the level of each pixel before each edge."""
    return lambda signal, edge, halves, sums: scales[edge] * law(signal, edge, halves, sums)


def counts_in_windows(signal: Signal, windows: dict[str, Window], raw: Image, background: Image | None) -> str:
    """Sentences with the counts of each window."""
    parts = []
    for index, (element, window) in enumerate(windows.items()):
        ends = f"{window.counts[0]:.4g} to {window.counts[1]:.4g} {signal.energy_unit}"
        share = "" if background is None else f", about {np.nansum(background[index]):.4g} of them background"
        parts.append(f"{element}: {np.nansum(raw[index]):.6g} counts in {window.line} ({ends}){share}.")
    return " ".join(parts)
