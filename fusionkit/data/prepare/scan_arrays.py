"""The images of the scan among the arrays of a dataset, and datasets with changed ones."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError

Of = Literal["all", "haadf", "maps"]


def counted(dataset: Dataset) -> dict[str, Array]:
    """The stacks of maps and their background estimates: arrays of counts per pixel."""
    stacks = dict.fromkeys(["maps", *dataset.stacks])
    names = [*stacks, *(f"{name}_background" for name in stacks)]
    return {name: dataset.arrays[name] for name in names if name in dataset.arrays}


_NONE = {"all": "HAADF image and no maps", "haadf": "HAADF image", "maps": "maps"}


def _on_pixels_of_maps(stacks: Mapping[str, Array]) -> dict[str, Array]:
    """The stacks on the pixels of the maps; all stacks if there are no maps."""
    shape = stacks["maps"].shape[-2:] if "maps" in stacks else None
    return {name: one for name, one in stacks.items() if shape is None or one.shape[-2:] == shape}


def scanned(dataset: Dataset, of: str, where: str, remedy: str = "") -> dict[str, Array]:
    """The HAADF image, the stacks on the pixels of the maps, or both, by name: images of one scan.

    `UserError` if there are none, or they do not have the same pixels.

    Parameters
    ----------
    dataset : input of the step.
    of : an `Of`, or the name of one stack.
    where : config key of the step.
    remedy : for scans that differ, from a step without an option ``of``.
    """
    image = {"haadf": dataset.arrays["haadf"]} if "haadf" in dataset.arrays else {}
    stacks = counted(dataset)
    if of in _NONE:
        result = {"all": {**image, **stacks}, "haadf": image, "maps": _on_pixels_of_maps(stacks)}[of]
    else:
        result = {name: stacks[name] for name in (of, f"{of}_background") if name in stacks}
    if not result:
        what = _NONE.get(of, f"stack '{of}'")
        raise UserError(where, f"the data hold no {what}", "remove the step")
    shapes = {name: array.shape[-2:] for name, array in result.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        own = "choose a scan with of: haadf or of: maps" if of == "all" else "prepare the files first"
        raise UserError(where, f"the scans have different pixels ({listed})", remedy or own)
    return result


def grid_name(dataset: Dataset) -> str:
    """The array with the pixels of the unknown, to which pixel size and ground truth belong."""
    return dataset.grid or ("haadf" if "haadf" in dataset.arrays else "maps")


def truth_on(dataset: Dataset, change: Callable[[Array], Array]) -> Array | None:
    """The ground truth after ``change``; None if it is unknown."""
    if dataset.truth is None:
        return None
    return np.ascontiguousarray(change(dataset.truth))


def moved(dataset: Dataset, rows: float, columns: float) -> tuple[float, float] | None:
    """The centre of the pixel at (rows, columns); None if that of the first one is unknown."""
    scan = dataset.scan(())
    if dataset.origin is None or scan.pixel_size is None:
        return None
    y, x = (np.array(dataset.origin) + scan.edges * (rows, columns)).tolist()
    return y, x


def changed(dataset: Dataset, arrays: Mapping[str, Array], note: str, **facts: Any) -> Dataset:
    """The dataset with these arrays and ``facts`` in place of its own, and one more note."""
    new = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    own = {**dataset.arrays, **new}
    pixels = None if dataset.grid is None else own[dataset.grid].shape[-2:]
    return replace(dataset, arrays=own, notes=(*dataset.notes, note), pixels=pixels, **facts)
