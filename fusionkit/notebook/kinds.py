"""The kinds of input and output maps: arrays by element, or HyperSpy signals, without importing HyperSpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.data.names import element_named
from fusionkit.data.readers import RawArray, calibration
from fusionkit.errors import UserError
from fusionkit.microscope.facts import facts_of, order_assumed, single_element
from fusionkit.microscope.signals import ArrayValues, Axis, Signal
from fusionkit.terms import Array


@dataclass(frozen=True)
class Kind:
    """How fused maps are returned: as arrays, or as HyperSpy signals with the axes and metadata of the inputs."""

    singles: Mapping[str, Any] = field(default_factory=dict)  # the input signal of each element; empty for arrays
    whole: Any = None  # the input signal that holds all maps; None without one

    def maps(self, fused: Mapping[str, Array], about: Mapping[str, float | str]) -> dict[str, Any]:
        """The maps (ny, nx) by element; ``about`` becomes ``metadata.fusionkit`` of a signal."""
        if not self.singles:
            return dict(fused)
        signals = {name: _with_values(self.singles[name], image, about) for name, image in fused.items()}
        for name, signal in signals.items():  # as saved; a slice of a stack has the stack's title and elements
            signal.metadata.add_dictionary({"General": {"title": name}, "Sample": {"elements": [name]}})
        return signals

    def stack(self, fused: Mapping[str, Array], about: Mapping[str, float | str]) -> Any:
        """All maps in one, (n, ny, nx): a signal where the input was one stack, else an array."""
        values = np.stack([*fused.values()])
        return values if self.whole is None else _with_values(self.whole, values, about)


def _with_values(signal: Any, values: Array, about: Mapping[str, float | str]) -> Any:
    """A copy of a signal that holds these values in memory."""
    copy = signal.deepcopy()
    copy.data = values.copy()
    if getattr(copy, "_lazy", False):
        from dask.array.core import from_array  # HyperSpy's lazy signals are dask arrays

        copy.data = from_array(copy.data)
        copy.compute(show_progressbar=False)
    copy.metadata.add_dictionary({"fusionkit": dict(about)})
    return copy


def is_signal(thing: object) -> bool:
    """Whether this is a signal of HyperSpy or of an extension."""
    return any(one.__module__.partition(".")[0] == "hyperspy" for one in type(thing).__mro__) and hasattr(
        thing, "axes_manager"
    )


def raw_of(signal: Any) -> RawArray:
    """The values of a signal, with mask, pixel size, origin and metadata."""
    axes = signal.axes_manager
    ordered = sorted((*axes.navigation_axes, *axes.signal_axes), key=lambda axis: axis.index_in_array)[-2:]
    scales = [getattr(axis, "scale", None) for axis in ordered]
    units = {axis.units if isinstance(axis.units, str) else None for axis in ordered}
    unit = next(iter(units)) if len(units) == 1 else None
    calibrated = unit is not None and None not in scales  # HyperSpy's scale is 1 where nothing is known
    size, unit, notes = calibration(scales if calibrated else None, unit)
    origin = (float(ordered[0].offset), float(ordered[1].offset)) if calibrated and len(ordered) == 2 else None
    facts = facts_of(signal.metadata.as_dictionary())
    data = signal.data.compute() if hasattr(signal.data, "compute") else signal.data  # with its mask
    return RawArray(np.asanyarray(data), size, unit, notes, facts.metadata, origin)


def title_of(signal: Any) -> str:
    """The title of a signal; may be empty."""
    return facts_of(signal.metadata.as_dictionary()).title


def element_of(signal: Any) -> str | None:
    """The element of a map by its title, else by the only element or X-ray line in its metadata; None where unknown."""
    facts = facts_of(signal.metadata.as_dictionary())
    return element_named(facts.title) or single_element(facts)


def is_spectrum_image(thing: object) -> bool:
    """Whether this is a HyperSpy signal of EDX spectra on a scan (ny, nx)."""
    if not is_signal(thing):
        return False
    signal: Any = thing
    dimensions = signal.axes_manager.navigation_dimension, signal.axes_manager.signal_dimension
    return dimensions == (2, 1) and str(signal.metadata.get_item("Signal.signal_type", "")).startswith("EDS")


def spectra_of(signal: Any) -> Signal:
    """A HyperSpy signal of spectra as a signal of a recording; its values stay where they are."""
    axes = sorted(
        (*signal.axes_manager.navigation_axes, *signal.axes_manager.signal_axes), key=lambda axis: axis.index_in_array
    )
    own = [
        Axis(
            str(axis.name),
            int(axis.size),
            float(axis.scale),
            float(axis.offset),
            axis.units if isinstance(axis.units, str) else "",
            not axis.navigate,
        )
        for axis in axes
    ]
    facts = facts_of(signal.metadata.as_dictionary())
    return Signal(facts.title or "maps", Path("maps"), ArrayValues(signal.data), tuple(own), facts)


def image_like(signal: Any) -> Any:
    """The image signal of a spectrum image: its sum over all energies."""
    return signal.sum(axis="sig").transpose(signal_axes=2)


def check_no_spectra(signal: Any, where: str) -> None:
    """`UserError` for a signal of spectra; an image may be a signal of any dimensions."""
    shape = np.shape(signal.data)
    if signal.axes_manager.signal_dimension != 1 or len(shape) == 2:
        return
    config = "save it and run 'fusionkit inspect FILE --write-config my.yaml'"
    remedy = "give an image" if where == "haadf" else f"{config}, or give maps, for EDX from get_lines_intensity()"
    raise UserError(where, f"is a signal of spectra, of shape {shape}", remedy)


def parts_of(stack: Any, elements: Sequence[str] | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The signal of each element of a stack, (n, ny, nx), and notes.

    `UserError` if it is no stack of images, or its elements are not known.
    """
    check_no_spectra(stack, "maps")
    axes, shape = stack.axes_manager, np.shape(stack.data)
    if (axes.navigation_dimension, axes.signal_dimension) != (1, 2):
        problem = f"is a signal of {axes.navigation_dimension} navigation and {axes.signal_dimension} signal dimensions"
        raise UserError("maps", problem, "give a Signal2D with one navigation axis, or a signal for each element")
    facts = facts_of(stack.metadata.as_dictionary())
    names = tuple(elements) if elements is not None else facts.elements
    if len(names) != shape[0]:
        problem = f"is a stack of {shape[0]} maps for {len(names)} elements ({', '.join(names) or 'none'})"
        raise UserError("maps", problem, "name one for each map: elements=['Co', 'O']")
    singles = {name: stack.inav[index] for index, name in enumerate(names)}
    return singles, () if elements is not None else (order_assumed(names),)
