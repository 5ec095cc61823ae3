"""Data in the precision of the iterates, so that a solve does not hold every input twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.terms import Array

Precision = Literal["single", "double"]
_DTYPES: dict[Precision, np.dtype[Any]] = {"single": np.dtype(np.float32), "double": np.dtype(np.float64)}


def dtype_of(precision: Precision) -> np.dtype[Any]:
    """float32 for ``single``, float64 for ``double``; `UserError` for anything else."""
    if precision not in _DTYPES:
        raise UserError("precision", f"is {precision!r}", "write 'single' or 'double'")
    return _DTYPES[precision]


def in_precision(dataset: Dataset, precision: Precision) -> Dataset:
    """The dataset with all arrays, the ground truth included, as the terms will take them; not copied where they are.

    Counts up to 2^24 are exact in single precision. A value beyond its range becomes infinite, which the terms refuse.
    """
    dtype = dtype_of(precision)

    def converted(array: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, dtype=dtype)

    truth = None if dataset.truth is None else converted(dataset.truth)
    if truth is not None and truth is not dataset.truth:
        truth.flags.writeable = False
    return replace(dataset, arrays={name: converted(array) for name, array in dataset.arrays.items()}, truth=truth)
