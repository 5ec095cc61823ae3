"""Which library an array belongs to, so that the same lines run on the processor and on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusionkit.terms import Array


def get_array_module(array: Any) -> Any:
    """The module whose functions take ``array``: NumPy, or CuPy for an array on a GPU, which is then imported already.

    Parameters
    ----------
    array : an array of NumPy or CuPy, or of a library that says its namespace by the Python array API standard.
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
    """The values of an array as one of NumPy; the array itself where it is one."""
    return array if isinstance(array, np.ndarray) else array.get()


def takes_any_array(part: object) -> bool:
    """Whether an operator or functional says ``any_array``: its own word or that of its class.

    What a subclass overrides may not be what its parent speaks of.
    """
    own = getattr(part, "__dict__", {})
    return bool(own.get("any_array", vars(type(part)).get("any_array", False)))
