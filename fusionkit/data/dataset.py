"""The frozen `Dataset` of a reconstruction, and its precision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from fusionkit.arrays import Array, Frozen
from fusionkit.data.counts.kind import Counting
from fusionkit.data.field_of_view import Scan, scan_of
from fusionkit.errors import UserError


@dataclass(frozen=True)
class Dataset:
    """The solver's arrays by name, and facts about them.

    `UserError` if elements and maps differ in number, or a value is not an array.

    Parameters
    ----------
    arrays : ``haadf`` (ny, nx), ``maps`` (n, ny, nx) and others by the names in the config.
    elements : chemical symbols in the config's order, one for each map; empty if there are no maps.
    pixel_size : edge of a pixel in ``units``; None if unknown.
    units : unit of ``pixel_size`` (``nm``).
    truth : the phantom's ground truth, shape of the unknown, in the units of ``maps``; None for recordings.
    source : origin of the data (a file's path or ``phantom cos_nanoparticle``).
    seed : seed of the phantom; None for recordings.
    notes : for the user, one sentence each.
    haadf_sigma : standard deviation of the noise in ``haadf``, in its units; None if unknown.
    counts_per_unit : factor from values of ``maps`` to counts; None if unknown.
    metadata : facts of the recording by name (title, beam energy, instrument, date), numbers and texts.
    pixels : (ny, nx) of the unknown if they differ from those of ``maps``.
    grid : name of the array whose pixels the unknown has; None if all have the same.
    stacks : elements of each stack of maps by its name; empty for phantoms.
    counting : whether the maps are counts, rates or fractions; None if there are none, or it was not determined.
    origin : (y, x) of the centre of the first pixel in ``units``, from the file's axes; None if unknown.
    masked : names of the arrays in which NaN marks what was not measured (``data.mask``).
    """

    arrays: Mapping[str, Array]
    elements: tuple[str, ...] = ()
    pixel_size: float | None = None
    units: str | None = None
    truth: Array | None = None
    source: str = ""
    seed: int | None = None
    notes: tuple[str, ...] = field(default=())
    haadf_sigma: float | None = None
    counts_per_unit: float | None = None
    metadata: Mapping[str, float | str] = field(default_factory=dict)
    pixels: tuple[int, int] | None = None
    grid: str | None = None
    stacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counting: Counting | None = None
    origin: tuple[float, float] | None = None
    masked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, array in self.arrays.items():
            if not isinstance(array, np.ndarray):
                raise UserError(f"arrays.{name}", f"is a {type(array).__name__}", "give an array: np.asarray(...)")
        views = {name: array.view() for name, array in self.arrays.items()}  # the caller's arrays stay writeable
        for view in views.values():
            view.flags.writeable = False
        maps = self.arrays.get("maps")
        if maps is not None and self.elements and not self.stacks and len(self.elements) != len(maps):
            problem = f"names {len(self.elements)} ({', '.join(self.elements)}) for {len(maps)} maps"
            raise UserError("elements", problem, "name one for each map, in their order")
        object.__setattr__(self, "arrays", Frozen(views))
        object.__setattr__(self, "metadata", Frozen(self.metadata))
        if self.truth is not None:
            truth = np.asarray(self.truth).view()
            truth.flags.writeable = False
            object.__setattr__(self, "truth", truth)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the arrays of a copy or an unpickled dataset read-only again."""
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape (n, ny, nx) of an unknown that is a map of each element; None if there are no maps."""
        if "maps" not in self.arrays:
            return None
        maps = self.arrays["maps"].shape
        return (len(self.elements) or maps[0], *(self.pixels or maps[1:]))

    def scan(self, shape: tuple[int, ...]) -> Scan:
        """The pixels of an array of ``shape`` on the pixels of the unknown."""
        return scan_of(shape, self.pixel_size, self.units, self.origin, self.metadata)


Precision = Literal["single", "double"]
_DTYPES: dict[Precision, np.dtype[Any]] = {"single": np.dtype(np.float32), "double": np.dtype(np.float64)}


def dtype_of(precision: Precision) -> np.dtype[Any]:
    """float32 for ``single``, float64 for ``double``; `UserError` for anything else."""
    if precision not in _DTYPES:
        raise UserError("precision", f"is {precision!r}", "write 'single' or 'double'")
    return _DTYPES[precision]


def in_precision(dataset: Dataset, precision: Precision) -> Dataset:
    """The dataset with all arrays, ground truth included, in the precision of the iterates.

    Arrays of that precision are not copied, so a solve holds no input twice. Counts up to 2^24 are exact in single
    precision. A value beyond its range becomes infinite, which the terms refuse; `UserError` for an array below it.
    """
    dtype = dtype_of(precision)

    def converted(array: Array, name: str) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            new = np.ascontiguousarray(array, dtype=dtype)
        if (
            new is not array
            and float(np.fmax.reduce(np.abs(new), axis=None, initial=0.0)) < np.finfo(dtype).tiny
            and np.any(array)
        ):
            raise UserError(f"data.{name}", f"its values are too small for {dtype}", "choose another unit")
        return new

    truth = None if dataset.truth is None else converted(dataset.truth, "truth")
    arrays = {name: converted(array, name) for name, array in dataset.arrays.items()}
    return replace(dataset, arrays=arrays, truth=truth)
