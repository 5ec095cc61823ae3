"""A preparation step in the config, and running all of them."""

from collections.abc import Sequence

from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.options import Named, Options, options_of
from fusionkit.registry import lookup


class Step(Named):
    """A step and its options, written ``name`` or ``{step: name, option: value}``."""

    key = "step"

    step: str


def step_options(spec: Step, where: str) -> Options:
    """The step's options, defaults filled in; `UserError` at ``where`` and below."""
    return options_of(lookup("preparations", spec.step, f"{where}.step"), spec.options, where)


def carry_out(dataset: Dataset, steps: Sequence[Step], where: str) -> Dataset:
    """The dataset after all steps of the config, one after the other; ``where`` is the config key of their list.

    `UserError` if a step fails, or image and maps end up with frames or on different grids.
    """
    for index, spec in enumerate(steps):
        options = step_options(spec, f"{where}[{index}]")
        dataset = lookup("preparations", spec.step, f"{where}[{index}].step")(options, dataset, f"{where}[{index}]")
    if steps:
        _check_result(dataset, where)
    return dataset


def _check_result(dataset: Dataset, where: str) -> None:
    """Refuse what the solver cannot use: separate frames, or two grids without ``data.grid``."""
    image, maps = dataset.arrays.get("haadf"), dataset.arrays.get("maps")
    for name, array, dimensions in (("haadf", image, 2), ("maps", maps, 3)):
        if array is not None and array.ndim > dimensions:
            remedy = "add {step: register_frames} where they drift, and {step: sum_frames}"
            raise UserError(where, f"leaves {name} as {array.shape[-3]} frames", remedy)
    if image is not None and maps is not None and dataset.grid is None and image.shape != maps.shape[1:]:
        remedy = "bin or crop one of them (of: haadf, of: maps), or set data.grid and use the forward model 'scan'"
        raise UserError(where, f"leaves an image of {image.shape} pixels and maps of {maps.shape[1:]}", remedy)
