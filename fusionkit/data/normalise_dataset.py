"""Normalisation of a dataset: the image and each map on its own, ground truth and noise with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fusionkit.data.checks import FloatArray, Origin, check_finite, stacked
from fusionkit.data.data_sources import Source
from fusionkit.data.dataset import Dataset
from fusionkit.data.normalise import Scale, scale_of
from fusionkit.data.options import DataOptions
from fusionkit.terms import Array


def normalise(dataset: Dataset, options: DataOptions, where: str) -> Dataset:
    """The dataset with image and maps as ``options.normalize`` asks; counts from spectra and further arrays stay.

    Parameters
    ----------
    dataset : prepared; not changed.
    options : the config's ``data``.
    where : config key of ``options``.

    Raises
    ------
    UserError : an image cannot be normalised.
    """
    if options.normalize == "none":
        return dataset
    arrays, sigma, truth = dict(dataset.arrays), dataset.haadf_sigma, dataset.truth
    if "haadf" in arrays:
        origin = _origin("haadf", options.haadf, dataset, options, where)
        arrays["haadf"], scale = _scaled(arrays["haadf"], options, origin)
        sigma = sigma / scale.factor if sigma is not None else None
    named = options.maps or ({} if options.phantom is None else dict.fromkeys(dataset.elements))
    if named and "maps" in arrays:
        origins = [_origin(f"maps.{name}", source, dataset, options, where) for name, source in named.items()]
        scales: list[Scale] = []

        def scaled() -> Iterator[FloatArray]:
            for one, origin in zip(dataset.arrays["maps"], origins, strict=True):
                image, scale = _scaled(one, options, origin)
                scales.append(scale)
                yield image

        arrays["maps"] = stacked(scaled(), len(origins))
        if truth is not None:
            truth = stacked(((x - s.offset) / s.factor for x, s in zip(truth, scales, strict=True)), len(scales))
            truth.flags.writeable = False
    said = f"Image and maps are normalised ({options.normalize}), each on its own: the maps are no counts."
    notes = () if options.phantom is None else (said,)
    facts = {"truth": truth, "haadf_sigma": sigma, "counts_per_unit": None}
    return replace(dataset, arrays=arrays, notes=(*dataset.notes, *notes), **facts)


def _origin(key: str, source: Source | None, dataset: Dataset, options: DataOptions, where: str) -> Origin:
    file = (source.path if source is not None else None) or options.path or dataset.source
    return Origin(f"{where}.{key}", source.signal if source is not None else key.rpartition(".")[2], file)


def _scaled(values: Array, options: DataOptions, origin: Origin) -> tuple[FloatArray, Scale]:
    image = np.asarray(values, np.float64)
    check_finite(image, origin)  # a step of the preparation may have left what is not
    scale = scale_of(image, options.normalize, origin)
    return scale.apply(image, origin), scale
