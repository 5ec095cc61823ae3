"""What an empty region holds, subtracted from the image and reported of the maps.

Counts less a mean are no counts: their Poisson likelihood is wrong, and negative ones have none. What the maps hold in
the empty region belongs into the model (the Poisson term's ``epsilon``), so that they are left alone unless asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.prepare.crop import ends
from fusionkit.data.prepare.scanned import changed
from fusionkit.errors import UserError
from fusionkit.options import Options

Region = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=4, max_length=4)]


class BackgroundOptions(Options):
    """Options of ``background``.

    Parameters
    ----------
    region : [first row, last row, first column, last column] of an empty part, in pixels, the last not included.
    maps : whether the mean counts are subtracted from the maps too, negative ones set to 0: no counts any more.
    """

    region: Region
    maps: bool = False


def background(options: BackgroundOptions, dataset: Dataset, where: str) -> Dataset:
    """The mean over an empty region subtracted from the HAADF image; the maps' is reported.

    The image may become negative where its noise does: least squares wants that noise, and cutting it off at 0 would
    raise the mean of what is empty.

    Raises
    ------
    UserError : the region is not within the scan, there is nothing to subtract from, or the model adds it.
    """
    image, maps = dataset.arrays.get("haadf"), dataset.arrays.get("maps")
    if image is None and (maps is None or not options.maps):
        raise UserError(where, "the data hold no HAADF image", "remove the step, or add maps: true")
    if options.maps and "maps_background" in dataset.arrays:
        said = "would take off the counts what the model already adds: the spectra have a background of their own"
        raise UserError(f"{where}.maps", said, "remove the key, or the background of data.spectra.maps")
    new: dict[str, Array] = {}
    facts: dict[str, Any] = {}
    said = []
    if image is not None:
        level = float(_part(image, options.region, where).mean())
        new["haadf"] = image - level
        said.append(f"the mean {level:.6g} of an empty region is subtracted from the HAADF image")
    if maps is not None and (image is None or maps.shape[-2:] == image.shape[-2:]):
        means = [float(one.mean()) for one in _part(maps, options.region, where)]
        said.append(_levels(dataset, means, options.maps))
        if options.maps:
            levels = np.array(means).reshape(-1, *[1] * (maps.ndim - 1))
            new["maps"], facts["counts_per_unit"] = np.maximum(maps - levels, 0.0), None
    elif options.maps:
        raise UserError(f"{where}.maps", "the maps have other pixels than the image", "bin the image to them first")
    return changed(dataset, new, f"background: {'; '.join(said)}.", **facts)


def _levels(dataset: Dataset, means: Sequence[float], subtracted: bool) -> str:
    names = dataset.stacks.get("maps", dataset.elements) or [str(index) for index in range(len(means))]
    listed = ", ".join(f"{name} {mean:.4g}" for name, mean in zip(names, means, strict=True))
    if subtracted:
        return f"the maps' means ({listed}) are subtracted and negative values set to 0, so that they are no counts"
    return f"the maps hold {listed} a pixel there and are left as they are: an epsilon of poisson is their background"


def _part(images: Array, region: list[int], where: str) -> Array:
    rows = ends(region[:2], images.shape[-2], f"{where}.region")
    columns = ends(region[2:], images.shape[-1], f"{where}.region")
    return images[..., slice(*rows), slice(*columns)]
