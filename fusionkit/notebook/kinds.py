"""What maps came as, and how fused maps are given back: arrays by element, or HyperSpy's signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

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
