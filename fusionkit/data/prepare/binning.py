r"""Coarser pixels: counts add up, the image is averaged.

A new pixel holds the sum of the counts of factor² old ones, again Poisson distributed, and the mean of the image, whose
noise is smaller by the factor. The counts in the model sum_i (Z_i x_i)^gamma are then factor² times larger, so that an
image in the model's units must be multiplied by factor^(2 gamma).
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.field_of_view import coarser
from fusionkit.data.prepare.scan_arrays import Of, changed, counted, grid_name, moved, scanned, truth_on
from fusionkit.errors import UserError
from fusionkit.options import Options, Positive


class BinOptions(Options):
    """Options of ``bin``.

    Parameters
    ----------
    factor : old pixels along each axis in a new one.
    of : ``all``, or ``haadf`` or ``maps`` alone where their scans differ.
    gamma : exponent of the HAADF model: multiplies the image by factor^(2 gamma), so that it keeps its relation to the
        counts; None leaves the mean.
    """

    factor: Annotated[int, Field(ge=2, le=4096)]
    of: Of = "all"
    gamma: Positive | None = None

    @model_validator(mode="after")
    def _both(self) -> BinOptions:
        if self.gamma is not None and self.of != "all":
            raise ValueError(f"has 'gamma', which follows counts that add up, and 'of: {self.of}'; remove one of them")
        return self


def bin_pixels(options: BinOptions, dataset: Dataset, where: str) -> Dataset:
    """Add up counts and ground truth in coarser pixels, and average the HAADF image.

    `UserError` if fewer than two pixels remain along an axis, or it is unknown whether a further array with the scan's
    pixels adds up.
    """
    images, factor = scanned(dataset, options.of, where), options.factor
    shape = next(iter(images.values())).shape[-2:]
    if min(shape) < 2 * factor:
        raise UserError(f"{where}.factor", f"is {factor}, but the scan has {shape} pixels", "use a smaller factor")
    _check_others(dataset, options.of, shape, where)
    counts, scale = counted(dataset), 1.0 if options.gamma is None else float(factor) ** (2 * options.gamma)
    new = {
        name: _sums(array, factor) * (1.0 if name in counts else scale / factor**2) for name, array in images.items()
    }
    facts: dict[str, Any] = {}
    if "haadf" in images and dataset.haadf_sigma is not None:
        facts["haadf_sigma"] = dataset.haadf_sigma * scale / factor
    if grid_name(dataset) in images:
        facts["truth"] = truth_on(dataset, lambda x: _sums(x, factor))
        facts["pixel_size"] = None if dataset.pixel_size is None else dataset.pixel_size * factor
        facts["origin"] = moved(dataset, (factor - 1) / 2, (factor - 1) / 2)
        facts["metadata"] = coarser(dataset.metadata, factor)
    return changed(dataset, new, _note(options, images, shape), **facts)


def _sums(array: Array, factor: int) -> Array:
    """Sums over squares of the last two axes; rows and columns that fill no square are left out."""
    ny, nx = (length // factor for length in array.shape[-2:])
    whole = array[..., : ny * factor, : nx * factor]
    return whole.reshape(*array.shape[:-2], ny, factor, nx, factor).sum(axis=(-3, -1))


def _check_others(dataset: Dataset, of: Of, shape: tuple[int, ...], where: str) -> None:
    known = {"haadf", *counted(dataset)}
    others = [n for n, a in dataset.arrays.items() if n not in known and a.ndim > 1 and a.shape[-2:] == shape]
    if of == "all" and others:
        problem = f"cannot tell whether the array '{others[0]}' adds up or is averaged"
        raise UserError(where, problem, "bin it in the file, or leave it out of data.arrays")


def _note(options: BinOptions, images: dict[str, Array], shape: tuple[int, ...]) -> str:
    factor = options.factor
    note = f"bin: {factor} x {factor} pixels become one"
    if any(name != "haadf" for name in images):
        note += "; the counts of the maps add up"
    if "haadf" in images:
        note += "; the HAADF image is their mean"
        if options.gamma is not None:
            note += f" times {factor**2}^{options.gamma:g}, like the model of the summed counts"
        elif len(images) > 1:
            note += f", while a model in counts^gamma is {factor**2}^gamma times larger (correct it with gamma)"
    rest = [f"{length % factor} {what}" for length, what in zip(shape, ("rows", "columns"), strict=True)]
    if any(np.isnan(one).any() for one in images.values()):
        note += "; a new pixel with an old one that was not measured is not either"
    if any(length % factor for length in shape):
        note += f"; the last {' and '.join(rest)} are left out, since {shape} does not divide by {factor}"
    return f"{note}."
