"""Code for NumPy and CuPy arrays alike, and arrays that stay read-only in copies and pickles."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fusionkit.errors import UserError, author_errors

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


def into(out: Array | None, result: Array) -> Array:
    """The result, in ``out`` if that is an array."""
    if out is None:
        return result
    np.copyto(out, result)
    return out


def on_host(array: Any) -> Array:
    """The array as a NumPy array, without a copy if it is one."""
    return array if isinstance(array, np.ndarray) else array.get()


def takes_any_array(part: object) -> bool:
    """Whether an operator or functional, or its own class, sets ``any_array``.

    A parent's ``any_array`` does not count: a subclass may override what it refers to.
    """
    own = getattr(part, "__dict__", {})
    return bool(own.get("any_array", vars(type(part)).get("any_array", False)))


def in_double(part: Any) -> Any:
    """The part with every float32 array that it holds, in objects of fusionkit too, as float64."""
    if isinstance(part, np.ndarray):
        return part.astype(np.float64) if part.dtype == np.float32 else part
    if type(part) in (tuple, list):
        return type(part)(in_double(inner) for inner in part)
    if type(part).__module__.partition(".")[0] != "fusionkit" or not hasattr(part, "__dict__"):
        return part
    made = copy(part)
    made.__dict__.update({name: in_double(inner) for name, inner in vars(part).items()})
    return made


def is_authors(thing: object) -> bool:
    """Whether the code of an object is an author's: neither fusionkit's nor that of a library that it uses."""
    return type(thing).__module__.partition(".")[0] not in ("fusionkit", "pylops", "pyproximal", "numpy", "builtins")


def call_checked(
    where: str,
    method: str,
    call: Callable[..., Any],
    arguments: Sequence[Any],
    shape: tuple[int, ...],
    dtype: np.dtype[Any] | None = None,
) -> Array:
    """The result of an author's method; `UserError` unless it is a fresh, finite array of this shape and dtype.

    Parameters
    ----------
    where, method : the term and the method, for the message.
    call, arguments : the method and its arguments, which it must not modify.
    shape, dtype : of the result; None for any floating dtype.
    """
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    before, problem = [a.copy() for a in arrays], ""
    with author_errors(where, method):
        result = call(*arguments)
    wanted = f"; return {'an array' if dtype is None else dtype.name} of the shape {tuple(shape)}"
    if not isinstance(result, np.ndarray):
        problem = f"returns a {type(result).__name__}{wanted}"
    elif result.shape != tuple(shape):
        problem = f"returns the shape {result.shape} instead of {tuple(shape)}; correct {method}"
    elif result.dtype.kind != "f" or (dtype is not None and result.dtype != dtype):
        problem = f"returns {result.dtype}{wanted}: results keep the dtype of x"
    elif not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(arrays, before, strict=True)):
        problem = "modifies its input; copy it first"
    elif any(np.may_share_memory(result, a) for a in arrays):
        problem = "returns its input itself; return a fresh array"
    elif not np.all(np.isfinite(result)):
        problem = "returns values that are not finite; it must be finite wherever the value is"
    if problem:
        raise UserError(where, f"{method} {problem}")
    return result


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
