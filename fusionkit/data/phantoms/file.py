"""Writing a simulated recording to a file that the readers take."""

from pathlib import Path
from typing import Any

import numpy as np

from fusionkit.data.dataset import Dataset
from fusionkit.data.new_file import new_file

_HDF5 = (".h5", ".hdf5")
SUFFIXES = (".npz", *_HDF5)


def write(dataset: Dataset, path: Path, overwrite: bool = False) -> None:
    """Write a phantom's dataset to ``path``, whose suffix names the format; the file appears whole or not at all."""
    arrays, facts = _arrays(dataset), _facts(dataset)
    with new_file(path, overwrite, SUFFIXES) as partial:
        if path.suffix.lower() in _HDF5:
            _write_hdf5(partial, arrays, facts)
        else:
            with partial.open("wb") as file:
                np.savez_compressed(file, **arrays, **facts)


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
