"""Arrays that behave like CuPy's towards NumPy: they never convert to NumPy implicitly.

Ufuncs take only strict arrays and scalars; a NumPy array among them is a `TypeError`. The NumPy functions that CuPy has
under the same name work. This follows CuPy's source (`cupy/_core/core.pyx`).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from host_device import HostDevice
from numpy.lib.mixins import NDArrayOperatorsMixin

# the functions that the operators call and CuPy has
_FUNCTIONS = {"clip", "copyto", "einsum", "empty_like", "may_share_memory", "sum", "zeros_like", "concatenate"}


class StrictArray(NDArrayOperatorsMixin):
    """An array of a device that does not exist.

    Parameters
    ----------
    values : its content.
    """

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        assert type(values) is np.ndarray
        self.values = values

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed; use .get()")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", ())
        if method != "__call__" or not options.keys() <= {"dtype"}:
            return NotImplemented
        for one in (*inputs, *out):
            if not isinstance(one, _TAKEN):
                raise TypeError(f"unsupported type {type(one)}")
        found = ufunc(*(_plain(one) for one in inputs), **options, **({"out": _plain(out[0])} if out else {}))
        return out[0] if out else StrictArray(np.asarray(found))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function.__name__ not in _FUNCTIONS or any(not issubclass(one, StrictArray) for one in types):
            return NotImplemented
        if any(isinstance(one, np.ndarray) for one in (*arguments, *options.values())):
            raise TypeError("a NumPy array among arrays of the device")
        found = function(*(_plain(one) for one in arguments), **{name: _plain(one) for name, one in options.items()})
        if "out" in options and options["out"] is not None:
            return options["out"]
        return StrictArray(np.asarray(found)) if isinstance(found, np.ndarray | np.generic) else found

    def __getitem__(self, index: Any) -> StrictArray:
        return StrictArray(np.asarray(self.values[index]))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray):
            raise TypeError("a NumPy array assigned to one of the device")
        self.values[index] = _plain(value)

    def __iter__(self) -> Any:
        return (self[index] for index in range(len(self.values)))

    def __len__(self) -> int:
        return len(self.values)

    def __float__(self) -> float:
        return float(self.values)

    def get(self) -> np.ndarray[Any, Any]:
        """A copy as a NumPy array."""
        return self.values.copy()

    def fill(self, value: float) -> None:
        self.values.fill(value)

    def copy(self) -> StrictArray:
        return StrictArray(self.values.copy())

    def ravel(self) -> StrictArray:
        return StrictArray(self.values.ravel())

    def reshape(self, *shape: Any) -> StrictArray:
        return StrictArray(self.values.reshape(*shape))

    def astype(self, dtype: Any, copy: bool = True) -> StrictArray:
        return StrictArray(self.values.astype(dtype, copy=copy))

    def mean(self, **options: Any) -> StrictArray:
        return StrictArray(np.asarray(self.values.mean(**options)))

    def sum(self, **options: Any) -> StrictArray:
        return StrictArray(np.asarray(self.values.sum(**options)))

    def __array_namespace__(self) -> Any:
        return NAMESPACE

    shape = property(lambda self: self.values.shape)
    dtype = property(lambda self: self.values.dtype)
    size = property(lambda self: self.values.size)
    ndim = property(lambda self: self.values.ndim)
    nbytes = property(lambda self: self.values.nbytes)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_plain(one) for one in value)
    return value.values if isinstance(value, StrictArray) else value


_TAKEN: Any = (StrictArray, int, float, bool, np.float32, np.float64, np.int64, np.bool_)
NAMESPACE = SimpleNamespace(
    array=lambda values: values.copy() if isinstance(values, StrictArray) else StrictArray(np.array(values)),
    empty=lambda shape, dtype: StrictArray(np.full(shape, 99, dtype)),  # not zero, so that no code relies on it
    zeros=lambda shape, dtype: StrictArray(np.zeros(shape, dtype)),
    copyto=np.copyto,
)


class StrictDevice(HostDevice):
    """The CPU with such arrays."""

    name, xp = "strict", NAMESPACE

    def _launcher(self, entry: Any) -> Any:
        run = super()._launcher(entry)
        return lambda grid, block, arguments: run(grid, block, tuple(_plain(one) for one in arguments))
