"""From the config's ``data`` to a `Dataset`: read or simulate, check, convert to float64, prepare, normalise, count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fusionkit.data.counts.convert import counted
from fusionkit.data.dataset import Dataset
from fusionkit.data.normalise_dataset import normalise
from fusionkit.data.options import DataOptions
from fusionkit.data.phantoms.load import load_phantom
from fusionkit.data.prepare.spec import carry_out
from fusionkit.data.recording import load_file

__all__ = ["DataOptions", "load"]


def load(options: DataOptions, folder: Path, where: str = "data") -> Dataset:
    """The data that the config asks for: float64, read-only, elements in the config's order.

    Parameters
    ----------
    options : the config's ``data``.
    folder : where a relative path starts.
    where : config key of ``options``, for error messages.

    Raises
    ------
    UserError : the file cannot be read, an array is absent or unusable (not 2-D, another shape than its fellows,
        complex, not finite, constant under ``minmax``), a step of the preparation cannot
        be done, the maps are not what ``maps_are`` says, or the data need more memory than there is.
    """
    read = load_file(options, folder, where) if options.phantom is None else load_phantom(options, where)
    prepared = carry_out(read, options.prepare, f"{where}.prepare")
    dataset = counted(normalise(prepared, options, where), options.maps_are, f"{where}.maps_are")
    return replace(dataset, notes=(*dataset.notes, *_weights(dataset)))


def _weights(dataset: Dataset) -> tuple[str, ...]:
    """The Poisson weight that the noise asks for, where it is known."""
    if dataset.haadf_sigma is None or dataset.counts_per_unit is None:
        return ()
    weight = dataset.haadf_sigma**2 * dataset.counts_per_unit
    said = f"The HAADF noise has the standard deviation {dataset.haadf_sigma:.4g}: with the weight 1 of haadf, "
    return (said + f"a weight {weight:.4g} of poisson makes the objective the negative log posterior.",)
