"""States as arrays and plain JSON values, exact to the last bit, without code: a damaged file can only fail to decode.

A dataclass, a tuple, a list or a mapping becomes ``{kind: contents}``, an array its place in a list. Fields that hold
no state (buffers, engines) have the metadata `SCRATCH` and keep the value of the template.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from fusionkit.arrays import Array, get_array_module, on_host

SCRATCH = {"scratch": True}
_ARRAY, _NUMBER, _TUPLE, _LIST, _MAPPING = "array", "number", "tuple", "list", "mapping"


def encode(value: Any, arrays: list[Array]) -> Any:
    """The value in JSON; its arrays are appended to ``arrays``. `TypeError` for an object of another kind."""
    if isinstance(value, np.generic):
        return {_NUMBER: [value.dtype.str, value.item()]}
    if value is None or isinstance(value, bool | int | float | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, Mapping):
        return {_MAPPING: {name: encode(each, arrays) for name, each in value.items()}}
    if isinstance(value, tuple | list):
        return {_TUPLE if isinstance(value, tuple) else _LIST: [encode(each, arrays) for each in value]}
    if is_dataclass(value) and not isinstance(value, type):
        kept = [each.name for each in fields(value) if "scratch" not in each.metadata]
        return {type(value).__name__: {name: encode(getattr(value, name), arrays) for name in kept}}
    if not hasattr(value, "dtype"):
        raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")
    arrays.append(on_host(value))
    return {_ARRAY: len(arrays) - 1}


def size_of(value: Any) -> int:
    """Bytes of the arrays that `encode` finds in the value; 0 if it cannot hold it."""
    arrays = list[Array]()
    with suppress(TypeError):
        encode(value, arrays)
    return sum(array.nbytes for array in arrays)


def decode(
    node: Any, arrays: Mapping[int, Array], template: Any = None, kinds: Mapping[str, type] | None = None
) -> Any:
    """The value of a node.

    `ValueError`, `TypeError` or `KeyError` if the node is damaged or does not fit the template.

    Parameters
    ----------
    node : from `encode`.
    arrays : by place.
    template : a value of the same kind, which gives the class of a dataclass, the device and the shape of an array.
    kinds : classes of dataclasses without a template, by name.
    """
    if not isinstance(node, dict):
        return node
    ((kind, inside),) = node.items()
    if kind == _NUMBER:
        return np.dtype(inside[0]).type(inside[1])
    if kind == _MAPPING:
        return {name: decode(each, arrays, None, kinds) for name, each in inside.items()}
    if kind == _LIST:
        return [decode(each, arrays, None, kinds) for each in inside]
    if kind == _TUPLE:
        likes = template if isinstance(template, tuple) and len(template) == len(inside) else (None,) * len(inside)
        return tuple(decode(each, arrays, like, kinds) for each, like in zip(inside, likes, strict=True))
    if kind == _ARRAY:
        return _like(arrays[inside], template)
    own = type(template).__name__ == kind
    values = {k: decode(each, arrays, getattr(template, k, None), kinds) for k, each in inside.items()}
    return replace(template, **values) if own else (kinds or {})[kind](**values)


def _like(array: Array, template: Any) -> Any:
    """The array on the device of the template; `ValueError` for another shape or dtype."""
    if template is None:
        return array
    if (array.shape, array.dtype) != (template.shape, template.dtype):
        raise ValueError(f"an array of shape {array.shape} in place of {template.shape}")
    return get_array_module(template).asarray(array)
