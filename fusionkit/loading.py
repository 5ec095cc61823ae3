"""From the config's ``data`` to a `Dataset`: read or simulate, check, convert to float64, normalise."""

from __future__ import annotations

from pathlib import Path

from fusionkit.data import Dataset
from fusionkit.data_options import DataOptions
from fusionkit.load_file import load_file
from fusionkit.load_phantom import load_phantom

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
        complex, not finite, constant under ``minmax``), or the data need more memory than there is.
    """
    if options.phantom is None:
        return load_file(options, folder, where)
    return load_phantom(options, where)
