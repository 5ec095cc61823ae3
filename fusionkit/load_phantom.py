"""Data from a phantom: simulated, then selected, ordered and normalised as a recording would be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusionkit.checks import Origin, to_float
from fusionkit.data import Dataset
from fusionkit.data_options import DataOptions
from fusionkit.elements import atomic_number
from fusionkit.errors import UserError
from fusionkit.normalise import Scale, scale_of
from fusionkit.phantom_spec import simulate_dataset
from fusionkit.registry import suggestion
from fusionkit.terms import Array

HAADF_NAME = "HAADF"  # what a simulated recording calls its image


def load_phantom(options: DataOptions, where: str) -> Dataset:
    """The phantom's data with the elements, names and normalisation that ``options`` ask for.

    Parameters
    ----------
    options : the config's ``data``.
    where : config key of ``options``.
    """
    if options.phantom is None:
        raise UserError(where, "names no phantom", "add phantom: {preset: cos_nanoparticle}")
    dataset = simulate_dataset(options.phantom, f"{where}.phantom")
    image = options.haadf.signal if options.haadf is not None else None
    if image not in (None, HAADF_NAME) or (image and "haadf" not in dataset.arrays):
        remedy = f"its image is called '{HAADF_NAME}'" if "haadf" in dataset.arrays else "remove this key"
        raise UserError(f"{where}.haadf", f"the {dataset.source} has no image '{image}'", remedy)
    if options.maps is not None:
        dataset = _select(dataset, {element: one.signal for element, one in options.maps.items()}, f"{where}.maps")
    if options.arrays:
        dataset = _rename(dataset, options.arrays, f"{where}.arrays")
    if options.normalize != "none":
        dataset = _normalise(dataset, options, where)
    return replace(dataset, notes=(*dataset.notes, *_weights(dataset)))


def _weights(dataset: Dataset) -> tuple[str, ...]:
    """The Poisson weight that the noise asks for, where it is known."""
    if dataset.haadf_sigma is None or dataset.counts_per_unit is None:
        return ()
    weight = dataset.haadf_sigma**2 * dataset.counts_per_unit
    said = f"The HAADF noise has the standard deviation {dataset.haadf_sigma:.4g}: with the weight 1 of haadf, "
    return (said + f"a weight {weight:.4g} of poisson makes the objective the negative log posterior.",)


def _select(dataset: Dataset, maps: dict[str, str], where: str) -> Dataset:
    for element, name in maps.items():
        atomic_number(element, f"{where}.{element}")
        if name not in dataset.elements:
            remedy = suggestion(name, dataset.elements) if dataset.elements else "it has no maps: remove this key"
            raise UserError(f"{where}.{element}", f"the {dataset.source} has no map '{name}'", remedy)
    order = [dataset.elements.index(name) for name in maps.values()]
    left_out = [element for element in dataset.elements if element not in maps.values()]
    said = f"The HAADF image also holds {', '.join(left_out)}, whose maps are left out."
    return replace(
        dataset,
        arrays={**dataset.arrays, "maps": dataset.arrays["maps"][order]},
        elements=tuple(maps),
        truth=_frozen(dataset.truth[order]) if dataset.truth is not None else None,
        notes=(*dataset.notes, said) if left_out else dataset.notes,
    )


def _rename(dataset: Dataset, arrays: dict[str, str], where: str) -> Dataset:
    kept = {name: array for name, array in dataset.arrays.items() if name in ("haadf", "maps")}
    others = {name: array for name, array in dataset.arrays.items() if name not in kept}
    for new, name in arrays.items():
        if name not in others:
            remedy = suggestion(name, others) if others else "it has no further arrays: remove this key"
            raise UserError(f"{where}.{new}", f"the {dataset.source} has no array '{name}'", remedy)
    return replace(dataset, arrays={**kept, **{new: others[name] for new, name in arrays.items()}})


def _normalise(dataset: Dataset, options: DataOptions, where: str) -> Dataset:
    """The image and each map normalised on its own, the ground truth and the noise with them."""
    arrays, sigma, truth = dict(dataset.arrays), dataset.haadf_sigma, dataset.truth
    if "haadf" in arrays:
        arrays["haadf"], scale = _scaled(arrays["haadf"], options, Origin(f"{where}.haadf", "haadf", dataset.source))
        sigma = sigma / scale.factor if sigma is not None else None
    if "maps" in arrays:
        origins = [Origin(f"{where}.maps.{name}", name, dataset.source) for name in dataset.elements]
        pairs = [_scaled(one, options, origin) for one, origin in zip(arrays["maps"], origins, strict=True)]
        arrays["maps"] = np.stack([one for one, _ in pairs])
        if truth is not None:
            truth = np.stack([(x - s.offset) / s.factor for x, (_, s) in zip(truth, pairs, strict=True)])
    return replace(
        dataset,
        arrays=arrays,
        truth=_frozen(truth) if truth is not None else None,
        haadf_sigma=sigma,
        counts_per_unit=None,
        notes=(
            *dataset.notes,
            f"Image and maps are normalised ({options.normalize}), each on its own: the maps are no counts.",
        ),
    )


def _scaled(values: Array, options: DataOptions, origin: Origin) -> tuple[Array, Scale]:
    image = to_float(values, origin)
    scale = scale_of(image, options.normalize, origin)
    return scale.apply(image, origin), scale


def _frozen(array: Array) -> Array:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
