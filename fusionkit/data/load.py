"""From the config's ``data`` to a `Dataset`: read or simulate, check, prepare, normalise, convert to counts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.checks import FloatArray, Origin, check_finite, check_scale, stacked
from fusionkit.data.counts.convert import counted
from fusionkit.data.dataset import Dataset
from fusionkit.data.mask import with_masks
from fusionkit.data.normalise import Scale, scale_of
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import DataOptions, Source
from fusionkit.data.phantoms.load import load_phantom
from fusionkit.data.prepare.spec import carry_out
from fusionkit.data.recording import load_file


def load(options: DataOptions, folder: Path, where: str = "data") -> Dataset:
    """The config's data: float64, read-only, elements in the config's order; relative paths start at ``folder``.

    `UserError` if the file cannot be read, an array is absent or unusable (not 2-D, of a different shape, complex, not
    finite, without squares in float64, constant under ``minmax``), a preparation step fails, the maps contradict
    ``maps_are``, or memory is too small.
    """
    if options.phantom is None:
        read = load_file(options, folder, where)
    else:
        files = OpenFiles(folder, None, None, where)
        read = with_masks(load_phantom(options, where), options.mask, files, f"{where}.mask")
    for name, array in read.arrays.items():
        for one in array if array.ndim == 3 else (array,):
            check_scale(one, Origin(f"{where}.{name}", name, read.source))
    prepared = carry_out(read, options.prepare, f"{where}.prepare")
    dataset = counted(normalise(prepared, options, where), options.maps_are, f"{where}.maps_are")
    return replace(dataset, notes=(*dataset.notes, *_weight_note(dataset)))


def _weight_note(dataset: Dataset) -> tuple[str, ...]:
    """A note with the Poisson weight that follows from the noise, if the noise is known."""
    if dataset.haadf_sigma is None or dataset.counts_per_unit is None:
        return ()
    weight = dataset.haadf_sigma**2 * dataset.counts_per_unit
    note = f"The HAADF noise has the standard deviation {dataset.haadf_sigma:.4g}: with the weight 1 of haadf, "
    return (note + f"a weight {weight:.4g} of poisson makes the objective the negative log posterior.",)


def normalise(dataset: Dataset, options: DataOptions, where: str) -> Dataset:
    """The dataset with image and maps normalised by ``options.normalize``, each on its own.

    Ground truth and noise are scaled with them; counts from spectra and further arrays are unchanged. `UserError` if an
    image cannot be normalised.
    """
    if options.normalize == "none":
        return dataset
    arrays, sigma, truth = dict(dataset.arrays), dataset.haadf_sigma, dataset.truth
    if "haadf" in arrays:
        origin = _origin("haadf", options.haadf, dataset, options, where)
        arrays["haadf"], scale = _scaled(arrays["haadf"], options, origin, "haadf" in dataset.masked)
        sigma = sigma / scale.factor if sigma is not None else None
    named = options.maps or ({} if options.phantom is None else dict.fromkeys(dataset.elements))
    if named and "maps" in arrays:
        origins = [_origin(f"maps.{name}", source, dataset, options, where) for name, source in named.items()]
        scales: list[Scale] = []

        def scaled() -> Iterator[FloatArray]:
            for one, origin in zip(dataset.arrays["maps"], origins, strict=True):
                image, scale = _scaled(one, options, origin, "maps" in dataset.masked)
                scales.append(scale)
                yield image

        arrays["maps"] = stacked(scaled(), len(origins))
        if truth is not None:
            truth = stacked(((x - s.offset) / s.factor for x, s in zip(truth, scales, strict=True)), len(scales))
    note = f"Image and maps are normalised ({options.normalize}), each on its own: the maps are not counts."
    notes = () if options.phantom is None else (note,)
    facts = {"truth": truth, "haadf_sigma": sigma, "counts_per_unit": None}
    return replace(dataset, arrays=arrays, notes=(*dataset.notes, *notes), **facts)


def _origin(key: str, source: Source | None, dataset: Dataset, options: DataOptions, where: str) -> Origin:
    file = (source.path if source is not None else None) or options.path or dataset.source
    return Origin(f"{where}.{key}", source.signal if source is not None else key.rpartition(".")[2], file)


def _scaled(values: Array, options: DataOptions, origin: Origin, masked: bool) -> tuple[FloatArray, Scale]:
    image = np.array(values, np.float64)
    known = ~np.isnan(image) if masked else np.ones(image.shape, np.bool_)
    check_finite(image, origin, masked)  # a preparation step may have produced NaN
    scale = scale_of(image[known], options.normalize, origin)
    image[known] = scale.apply(image[known], origin)
    return image, scale
