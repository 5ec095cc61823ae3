"""What maps came as, and how fused maps are given back: arrays by element, or HyperSpy's signals.

HyperSpy's signals as arrays with their pixel size, elements and facts; HyperSpy itself is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fusionkit.data.names import element_named
from fusionkit.data.readers import RawArray, calibration
from fusionkit.errors import UserError
from fusionkit.microscope.facts import facts_of, order_assumed, single_element
from fusionkit.terms import Array


class Kind(Protocol):
    """How maps are given back."""

    def maps(self, fused: Mapping[str, Array], about: Mapping[str, float | str]) -> dict[str, Any]:
        """The maps (ny, nx) by element, in kind; ``about`` says what made them."""
        ...

    def stack(self, fused: Mapping[str, Array], about: Mapping[str, float | str]) -> Any:
        """All maps in one, (n, ny, nx)."""
        ...


@dataclass(frozen=True)
class ArrayKind:
    """Maps that came as arrays or from files."""

    def maps(self, fused: Mapping[str, Array], about: Mapping[str, float | str]) -> dict[str, Any]:
        """The arrays."""
        return dict(fused)

    def stack(self, fused: Mapping[str, Array], about: Mapping[str, float | str]) -> Any:
        """One array."""
        return np.stack([*fused.values()])


@dataclass(frozen=True)
class SignalKind:
    """Maps that came as HyperSpy signals, whose axes and metadata the fused ones keep.

    Parameters
    ----------
    singles : the signal of each element.
    whole : the stack that they came in; None where they came one by one.
    """

    singles: Mapping[str, Any]
    whole: Any = None

    def maps(self, fused: Mapping[str, Array], about: Mapping[str, float | str]) -> dict[str, Any]:
        """A signal of each element."""
        found = {name: filled(self.singles[name], image, about) for name, image in fused.items()}
        if self.whole is not None:  # what is said of the stack is said of one map
            for name, signal in found.items():
                signal.metadata.add_dictionary({"General": {"title": name}, "Sample": {"elements": [name]}})
        return found

    def stack(self, fused: Mapping[str, Array], about: Mapping[str, float | str]) -> Any:
        """A signal like the stack that came in; an array where the maps came one by one."""
        values = np.stack([*fused.values()])
        return values if self.whole is None else filled(self.whole, values, about)


def filled(signal: Any, values: Array, about: Mapping[str, float | str]) -> Any:
    """A copy of a signal that holds these values and is in memory."""
    copy = signal.deepcopy()
    copy.data = values.copy()
    if getattr(copy, "_lazy", False):
        from dask.array.core import from_array  # HyperSpy's lazy signals are dask arrays

        copy.data = from_array(copy.data)
        copy.compute(show_progressbar=False)
    copy.metadata.add_dictionary({"fusionkit": dict(about)})
    return copy


def is_signal(thing: object) -> bool:
    """Whether this is a signal of HyperSpy or of a package that extends it."""
    return any(one.__module__.partition(".")[0] == "hyperspy" for one in type(thing).__mro__) and hasattr(
        thing, "axes_manager"
    )


def raw_of(signal: Any) -> RawArray:
    """The values of a signal, masked ones still masked, with what it says about them."""
    axes = signal.axes_manager
    ordered = sorted((*axes.navigation_axes, *axes.signal_axes), key=lambda axis: axis.index_in_array)[-2:]
    scales = [getattr(axis, "scale", None) for axis in ordered]
    units = {axis.units if isinstance(axis.units, str) else None for axis in ordered}
    named = next(iter(units)) if len(units) == 1 else None
    known = named is not None and None not in scales  # HyperSpy's scale is 1 where nothing is known
    size, unit, notes = calibration(scales if known else None, named)
    origin = (float(ordered[0].offset), float(ordered[1].offset)) if known and len(ordered) == 2 else None
    facts = facts_of(signal.metadata.as_dictionary())
    data = signal.data.compute() if hasattr(signal.data, "compute") else signal.data  # a lazy one's mask too
    return RawArray(np.asanyarray(data), size, unit, notes, facts.metadata, origin)


def title_of(signal: Any) -> str:
    """Its title; may be empty."""
    return facts_of(signal.metadata.as_dictionary()).title


def element_of(signal: Any) -> str | None:
    """The element whose map it is: its title, else the only element or X-ray line of its metadata; None without."""
    facts = facts_of(signal.metadata.as_dictionary())
    return element_named(facts.title) or single_element(facts)


def check_no_spectra(signal: Any, where: str) -> None:
    """`UserError` where a signal holds spectra instead of images; an image may be a signal of any dimensions."""
    shape = np.shape(signal.data)
    if signal.axes_manager.signal_dimension != 1 or len(shape) == 2:
        return
    config = "save it and run 'fusionkit inspect FILE --write-config my.yaml'"
    remedy = (
        "give an image" if where == "haadf" else f"{config}, or give maps: of EDX, get_lines_intensity() makes some"
    )
    raise UserError(where, f"is a signal of spectra, of shape {shape}", remedy)


def parts_of(stack: Any, elements: Sequence[str] | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The signal of each element of a stack, (n, ny, nx), and notes.

    Raises
    ------
    UserError : it is no stack of images, or its elements are not known.
    """
    check_no_spectra(stack, "maps")
    axes, shape = stack.axes_manager, np.shape(stack.data)
    if (axes.navigation_dimension, axes.signal_dimension) != (1, 2):
        said = f"is a signal of {axes.navigation_dimension} navigation and {axes.signal_dimension} signal dimensions"
        raise UserError("maps", said, "give a Signal2D with one navigation axis, or a signal for each element")
    facts = facts_of(stack.metadata.as_dictionary())
    names = tuple(elements) if elements is not None else facts.elements
    if len(names) != shape[0]:
        said = f"is a stack of {shape[0]} maps for {len(names)} elements ({', '.join(names) or 'none'})"
        raise UserError("maps", said, "name one for each map: elements=['Co', 'O']")
    singles = {name: stack.inav[index] for index, name in enumerate(names)}
    return singles, () if elements is not None else (order_assumed(names),)
