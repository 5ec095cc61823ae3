"""Code for NumPy and CuPy arrays alike, and arrays that stay read-only in copies and pickles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

V = TypeVar("V")


def get_array_module(array: Any) -> Any:
    """The module whose functions take ``array``: NumPy, CuPy for an array on a GPU, or another.

    Parameters
    ----------
    array : an array of NumPy or CuPy, or of a library that follows the Python array API standard.
    """
    if isinstance(array, np.ndarray | np.generic | float | int):
        return np
    if type(array).__module__.partition(".")[0] == "cupy":
        import cupy  # pyright: ignore[reportMissingImports] an extra

        return cupy
    return array.__array_namespace__()


def empty_like(array: Array, shape: tuple[int, ...]) -> Array:
    """An uninitialised array of the module and dtype of ``array``."""
    return get_array_module(array).empty(shape, array.dtype)


def on_host(array: Any) -> Array:
    """The array as a NumPy array, without a copy if it is one."""
    return array if isinstance(array, np.ndarray) else array.get()


def takes_any_array(part: object) -> bool:
    """Whether an operator or functional, or its own class, sets ``any_array``.

    A parent's ``any_array`` does not count: a subclass may override what it refers to.
    """
    own = getattr(part, "__dict__", {})
    return bool(own.get("any_array", vars(type(part)).get("any_array", False)))


class Frozen(Mapping[str, V]):
    """An immutable mapping, a copy of ``values``; unlike a mapping proxy it can be pickled and copied."""

    def __init__(self, values: Mapping[str, V]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> V:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


class KeepsReadOnly:
    """Base of objects whose read-only arrays stay read-only in copies and pickles; NumPy makes them writeable."""

    def __getstate__(self) -> tuple[dict[str, Any], list[str]]:
        state = self.__dict__.copy()
        return state, [k for k, v in state.items() if isinstance(v, np.ndarray) and not v.flags.writeable]

    def __setstate__(self, state: tuple[dict[str, Any], list[str]]) -> None:
        self.__dict__.update(state[0])
        for name in state[1]:
            self.__dict__[name].flags.writeable = False
