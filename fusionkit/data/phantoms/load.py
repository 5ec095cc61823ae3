"""Data of a phantom: simulation, then selection and order as for a recording."""

from dataclasses import replace

from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.options import DataOptions
from fusionkit.data.phantoms import simulate_dataset
from fusionkit.errors import UserError
from fusionkit.registry import suggestion

HAADF_NAME = "HAADF"  # of the image in a simulated recording


def load_phantom(options: DataOptions, where: str) -> Dataset:
    """The phantom's data with the elements and names in ``options``."""
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
    return dataset


def _select(dataset: Dataset, maps: dict[str, str], where: str) -> Dataset:
    for element, name in maps.items():
        atomic_number(element, f"{where}.{element}")
        if name not in dataset.elements:
            remedy = suggestion(name, dataset.elements) if dataset.elements else "it has no maps: remove this key"
            raise UserError(f"{where}.{element}", f"the {dataset.source} has no map '{name}'", remedy)
    order = [dataset.elements.index(name) for name in maps.values()]
    left_out = [element for element in dataset.elements if element not in maps.values()]
    note = f"The HAADF image also holds {', '.join(left_out)}, whose maps are left out."
    return replace(
        dataset,
        arrays={**dataset.arrays, "maps": dataset.arrays["maps"][order]},
        elements=tuple(maps),
        truth=dataset.truth[order] if dataset.truth is not None else None,
        notes=(*dataset.notes, note) if left_out else dataset.notes,
    )


def _rename(dataset: Dataset, arrays: dict[str, str], where: str) -> Dataset:
    kept = {name: array for name, array in dataset.arrays.items() if name in ("haadf", "maps")}
    others = {name: array for name, array in dataset.arrays.items() if name not in kept}
    for new, name in arrays.items():
        if name not in others:
            remedy = suggestion(name, others) if others else "it has no further arrays: remove this key"
            raise UserError(f"{where}.{new}", f"the {dataset.source} has no array '{name}'", remedy)
    return replace(dataset, arrays={**kept, **{new: others[name] for new, name in arrays.items()}})
