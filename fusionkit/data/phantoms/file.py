"""Writing a simulated recording to a file that the readers take."""

from __future__ import annotations

import os
import tempfile
from os.path import exists, isdir
from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError

_HDF5 = (".h5", ".hdf5")
_SUFFIXES = (".npz", *_HDF5)


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse a file that exists, has an unknown format or whose folder is missing, before anything is computed."""
    if path.suffix.lower() not in _SUFFIXES:
        raise UserError(str(path), "has no suffix that can be written", f"use {', '.join(_SUFFIXES)}")
    if isdir(path):
        raise UserError(str(path), "is a folder", "name a file")
    if exists(path) and not overwrite:
        raise UserError(str(path), "exists already", "name another file or add --overwrite")
    if not isdir(path.parent):
        raise UserError(str(path), f"there is no folder '{path.parent}'", "make it first")


def write(dataset: Dataset, path: Path, overwrite: bool = False) -> None:
    """Write the dataset; the file appears whole or not at all.

    Parameters
    ----------
    dataset : of a phantom.
    path : the file; its suffix names the format.
    overwrite : whether a file that exists is replaced.
    """
    check_output(path, overwrite)
    try:
        with tempfile.TemporaryDirectory(prefix=".fusionkit-", dir=path.parent) as folder:
            part = Path(folder) / f"part{path.suffix.lower()}"
            arrays, facts = _arrays(dataset), _facts(dataset)
            if path.suffix.lower() in _HDF5:
                _write_hdf5(part, arrays, facts)
            else:
                with part.open("wb") as file:
                    np.savez_compressed(file, **arrays, **facts)
            os.replace(part, path)
    except OSError as error:
        raise UserError(str(path), f"cannot be written ({error.strerror or error})", "name another file") from None


def _arrays(dataset: Dataset) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name, array in dataset.arrays.items():
        if name == "maps":
            arrays.update(zip(dataset.elements, array, strict=True))
        else:
            arrays["HAADF" if name == "haadf" else name] = array
    if dataset.truth is not None:
        named = zip(dataset.elements, dataset.truth, strict=True) if dataset.elements else [("unknown", dataset.truth)]
        arrays.update({f"truth/{name}": one for name, one in named})
    return arrays


def _facts(dataset: Dataset) -> dict[str, Any]:
    """Single values that go with the arrays."""
    facts = {
        "pixel_size": dataset.pixel_size,
        "units": dataset.units,
        "haadf_sigma": dataset.haadf_sigma,
        "counts_per_unit": dataset.counts_per_unit,
        "source": dataset.source,
        "seed": str(dataset.seed),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _write_hdf5(path: Path, arrays: dict[str, Any], facts: dict[str, Any]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip", track_times=False)
        file.attrs.update(facts)
