"""Background from the mean over an empty region: subtracted from the image, reported for the maps.

Counts minus a mean are not counts: their Poisson likelihood is wrong, and negative values have none. The background of
the maps belongs in the model (the Poisson term's ``epsilon``), so it is subtracted only with ``maps: true``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.missing import known
from fusionkit.data.prepare.crop import ends
from fusionkit.data.prepare.scan_arrays import changed
from fusionkit.errors import UserError
from fusionkit.options import Corners, Options


class BackgroundOptions(Options):
    """Options of ``background``.

    Parameters
    ----------
    region : [first row, last row, first column, last column] of an empty part, in pixels, the last not included.
    maps : whether to subtract the mean from the maps too and set negative values to 0; they are then not counts.
    """

    region: Corners
    maps: bool = False


def background(options: BackgroundOptions, dataset: Dataset, where: str) -> Dataset:
    """Subtract the mean over an empty region from the HAADF image; report that of the maps.

    The image may become negative: least squares expects noise of both signs, and clipping at 0 would raise the mean of
    empty regions. `UserError` if the region is not within the scan, there is no image, or the model adds the background
    already.
    """
    image, maps = dataset.arrays.get("haadf"), dataset.arrays.get("maps")
    if image is None and (maps is None or not options.maps):
        raise UserError(where, "the data hold no HAADF image", "remove the step, or add maps: true")
    if options.maps and "maps_background" in dataset.arrays:
        problem = "would subtract what the model already adds: the spectra have a background of their own"
        raise UserError(f"{where}.maps", problem, "remove the key, or the background of data.spectra.maps")
    new: dict[str, Array] = {}
    facts: dict[str, Any] = {}
    parts = []
    if image is not None:
        level = float(known(_part(image, options.region, where)).mean())
        new["haadf"] = image - level
        parts.append(f"the mean {level:.6g} of an empty region is subtracted from the HAADF image")
    if maps is not None and (image is None or maps.shape[-2:] == image.shape[-2:]):
        means = [float(known(one).mean()) for one in _part(maps, options.region, where)]
        parts.append(_levels(dataset, means, options.maps))
        if options.maps:
            levels = np.array(means).reshape(-1, *[1] * (maps.ndim - 1))
            new["maps"], facts["counts_per_unit"] = np.maximum(maps - levels, 0.0), None
    elif options.maps:
        raise UserError(f"{where}.maps", "the maps have other pixels than the image", "bin the image to them first")
    return changed(dataset, new, f"background: {'; '.join(parts)}.", **facts)


def _levels(dataset: Dataset, means: Sequence[float], subtracted: bool) -> str:
    names = dataset.stacks.get("maps", dataset.elements) or [str(index) for index in range(len(means))]
    listed = ", ".join(f"{name} {mean:.4g}" for name, mean in zip(names, means, strict=True))
    if subtracted:
        return f"the maps' means ({listed}) are subtracted and negative values set to 0, so that they are not counts"
    return f"the maps hold {listed} per pixel there and are unchanged: use epsilon of poisson for their background"


def _part(images: Array, region: list[int], where: str) -> Array:
    rows = ends(region[:2], images.shape[-2], f"{where}.region")
    columns = ends(region[2:], images.shape[-1], f"{where}.region")
    part = images[..., slice(*rows), slice(*columns)]
    if np.isnan(part).all(axis=(-2, -1)).any():
        raise UserError(f"{where}.region", "has no measured pixel", "choose another")
    return part
