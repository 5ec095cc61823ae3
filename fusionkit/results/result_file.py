"""``result.h5``: writing and reading the arrays of a run.

======================  ============================================================================================
``/maps``               the fused maps, (n, ny, nx); ``/solution`` if the unknown is not a stack of maps
``/inputs/<name>``      the data of the solver: ``haadf``, ``maps`` and other arrays
``/model/<name>``       predictions of the forward models from the solution, by the name of the data
``/truth``              the ground truth of a phantom
``/trace/<column>``     one entry a check; ``/looks/<column>`` estimates from a sample of the rows between checks
``/uncertainty``        ``standard_deviation`` of ``/maps``; attributes ``method`` and ``interval`` (level)
``/composition``        ``fractions``, ``low``, ``high``, ``fused``, (regions, n); attributes ``regions``, ``interval``
``/duals/<term>``       dual variable of each composed term; ``/auxiliary/<term>`` likewise
root attributes         ``elements``, ``labels``, ``status``, ``objective``, ``optimality``, ``config``,
                        ``fusionkit_version``; ``pixel_size``, ``units`` and ``origin`` if known
``/metadata``           attributes: facts of the recording (title, beam energy, instrument, date), if any
======================  ============================================================================================

Names may contain any character: ``%``, ``/`` and a leading dot are percent-encoded, since HDF5 gives them a meaning.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from os.path import isdir, isfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np

from fusionkit.arrays import Frozen
from fusionkit.data.readers import check_claim
from fusionkit.data.readers.hdf5_safety import refuse_links
from fusionkit.errors import UserError
from fusionkit.results.record import RunRecord
from fusionkit.results.summary import versions
from fusionkit.terms import Array

NAME = "result.h5"
_ATTRIBUTES = ("elements", "labels", "status", "objective", "optimality", "config", "fusionkit_version")


@dataclass(frozen=True)
class SavedResult:
    """A result read from its file.

    Parameters
    ----------
    x : the solution, (n, ny, nx) for maps, in the units of the maps.
    labels : of its first axis.
    elements : chemical symbols; empty if the unknown is not a stack of maps.
    status : how the solve ended.
    objective : F(x).
    optimality : the relative optimality of the certificate.
    config : the resolved configuration, YAML text.
    fusionkit_version : of the program that wrote the file.
    inputs, model, trace, looks, duals, auxiliary : arrays by name.
    steps : the last step sizes by name; with duals and auxiliary a start for `fusionkit.solve` (``former``).
    truth : the ground truth, of the shape of ``x``; None for recordings.
    uncertainty : ``standard_deviation`` of ``x``; empty if not requested.
    interval : the level of its intervals; None if not requested.
    composition : ``fractions``, ``low``, ``high`` and ``fused`` of each region and element, (regions, n).
    regions : names of the regions.
    pixel_size : edge of a pixel in ``units``; None if unknown.
    units : unit of ``pixel_size``.
    origin : (y, x) of the centre of the first pixel in ``units``; None if unknown.
    metadata : facts of the recording by name, numbers or text.
    """

    x: Array
    labels: tuple[str, ...]
    elements: tuple[str, ...]
    status: str
    objective: float
    optimality: float
    config: str
    fusionkit_version: str
    inputs: Mapping[str, Array] = field(default_factory=dict)
    model: Mapping[str, Array] = field(default_factory=dict)
    trace: Mapping[str, Array] = field(default_factory=dict)
    looks: Mapping[str, Array] = field(default_factory=dict)
    duals: Mapping[str, Array] = field(default_factory=dict)
    auxiliary: Mapping[str, Array] = field(default_factory=dict)
    steps: Mapping[str, float] = field(default_factory=dict)
    truth: Array | None = None
    uncertainty: Mapping[str, Array] = field(default_factory=dict)
    interval: float | None = None
    composition: Mapping[str, Array] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    pixel_size: float | None = None
    units: str | None = None
    origin: tuple[float, float] | None = None
    metadata: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def maps(self) -> dict[str, Array]:
        """The fused map (ny, nx) of each element by label."""
        return dict(zip(self.labels, self.x, strict=True))


def write_result(record: RunRecord, config: str, path: Path) -> None:
    """Write the arrays of a run and its resolved configuration (YAML text) to a new file."""
    with new_hdf5(path) as file:
        _write(record, config, file)


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file to write into; an `OSError` at the end of the context if the disk did not take it."""
    with _Sink(path, "w+b") as sink:
        try:
            with h5py.File(sink, "w") as file:
                yield file
        finally:
            if sink.error is not None:
                raise sink.error


class _Sink(io.FileIO):
    """A file for HDF5, which crashes the process when a write fails: it keeps the error and goes on."""

    error: OSError | None = None

    def write(self, data: Any) -> int:  # type: ignore[override]  # typeshed's Buffer needs Python 3.12
        """Write all bytes unless a write has failed."""
        view = memoryview(data).cast("B")
        try:
            rest = view if self.error is None else view[:0]
            while rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Resize the file unless a write has failed."""
        try:
            return super().truncate(size) if self.error is None else 0
        except OSError as error:
            self.error = error
            return 0


def _write(record: RunRecord, config: str, file: h5py.File) -> None:
    result, dataset = record.result, record.dataset
    is_maps = result.x.ndim == 3
    file.create_dataset("maps" if is_maps else "solution", data=result.x)
    if dataset.truth is not None:
        file.create_dataset("truth", data=dataset.truth)
    groups: dict[str, Mapping[str, Array]] = {
        "inputs": dataset.arrays,
        "model": record.models,
        "trace": result.trace,
        "looks": result.looks,
        "duals": result.duals,
        "auxiliary": result.auxiliary,
        "steps": {name: np.asarray(value) for name, value in result.steps.items()},
    }
    for name, arrays in groups.items():
        if arrays or name == "trace":
            group = file.create_group(name)
            for key, array in arrays.items():
                group.create_dataset(_escape(key), data=np.asarray(array))
    _write_uncertainty(record, file)
    _write_attribute(file, "elements", result.labels if is_maps else ())
    _write_attribute(file, "labels", result.labels)
    file.attrs["status"] = str(result.status)
    file.attrs["objective"] = float(result.objective)
    file.attrs["optimality"] = float(result.optimality)
    file.attrs["config"] = config
    file.attrs["fusionkit_version"] = versions()["fusionkit"]
    if dataset.pixel_size is not None:
        file.attrs["pixel_size"] = float(dataset.pixel_size)
    if dataset.units is not None:
        file.attrs["units"] = _without_nul(dataset.units)
    if dataset.origin is not None:
        file.attrs["origin"] = dataset.origin
    if dataset.metadata:
        facts = {_without_nul(key): value for key, value in dataset.metadata.items()}
        facts = {key: _without_nul(value) if isinstance(value, str) else value for key, value in facts.items()}
        file.create_group("metadata").attrs.update(facts)


def _write_uncertainty(record: RunRecord, file: h5py.File) -> None:
    if record.uncertainty is not None:
        group = file.create_group("uncertainty")
        group.create_dataset("standard_deviation", data=record.uncertainty.standard_deviation)
        group.attrs.update(method=record.uncertainty.method, interval=record.uncertainty.interval)
    if record.compositions:
        group = file.create_group("composition")
        for name in ("counts", "fractions", "low", "high", "fused"):
            group.create_dataset(name, data=np.array([getattr(each, name) for each in record.compositions]))
        _write_attribute(group, "regions", [each.region.name for each in record.compositions])
        group.attrs["interval"] = record.compositions[0].interval


def _write_attribute(file: h5py.File | h5py.Group, name: str, words: Sequence[str]) -> None:
    file.attrs.create(name, list(map(_without_nul, words)), shape=(len(words),), dtype=h5py.string_dtype())


def _without_nul(text: str) -> str:
    return text.replace("\0", "\\0")  # HDF5 ends texts there


def _escape(name: str) -> str:
    escaped = name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    return "%2E" + escaped[1:] if escaped.startswith(".") else escaped


def read_result(path: str | PathLike[str]) -> SavedResult:
    """Read the ``result.h5`` of a former run.

    `UserError` if the file is missing, truncated, not HDF5, or was not written by fusionkit.

    Parameters
    ----------
    path : the file, or the output folder that holds it.
    """
    path = Path(path).expanduser()
    if isdir(path):
        path = path / NAME
        if not isfile(path):
            raise UserError(str(path.parent), f"holds no run: it has no {NAME}", "name the output folder of a run")
    if not isfile(path):
        raise UserError(str(path), "there is no such file", f"name the {NAME} of a former run")
    remedy = f"name the complete {NAME} of a former run"
    try:
        with h5py.File(path, "r") as file:
            refuse_links(file, path)
            return _read(file, path)
    except PermissionError:
        raise UserError(str(path), "cannot be read: permission denied", "change its permissions") from None
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # h5py raises these for damaged files
        problem = "is truncated" if "truncated" in str(error) else "is damaged or not an HDF5 file"
        raise UserError(str(path), problem, remedy) from None


def _read(file: h5py.File, path: Path) -> SavedResult:
    stored = next((file.get(name) for name in ("maps", "solution") if name in file), None)
    missing = [name for name in _ATTRIBUTES if name not in file.attrs]
    if missing or not isinstance(stored, h5py.Dataset):
        absent = f"the attribute '{missing[0]}'" if missing else "'/maps'"
        raise UserError(
            str(path), f"was not written by fusionkit: it lacks {absent}", f"name the {NAME} of a former run"
        )
    x = _real(stored, path)
    labels = _words(file, "labels", path)
    if labels and (x.ndim == 0 or len(labels) != x.shape[0]):
        raise UserError(str(path), f"has {len(labels)} labels for an unknown of shape {x.shape}", "use another file")
    error_bars, composition = file.get("uncertainty"), file.get("composition")
    truth, pixel_size, units = file.get("truth"), file.attrs.get("pixel_size"), file.attrs.get("units")
    return SavedResult(
        x=x,
        labels=labels,
        elements=_words(file, "elements", path),
        status=str(file.attrs["status"]),
        objective=_number(file, "objective", path),
        optimality=_number(file, "optimality", path),
        config=str(file.attrs["config"]),
        fusionkit_version=str(file.attrs["fusionkit_version"]),
        inputs=_read_group(file, "inputs", path),
        model=_read_group(file, "model", path),
        trace=_read_group(file, "trace", path),
        looks=_read_group(file, "looks", path),
        duals=_read_group(file, "duals", path),
        auxiliary=_read_group(file, "auxiliary", path),
        steps=_numbers(file, "steps", path),
        truth=_real(truth, path) if isinstance(truth, h5py.Dataset) else None,
        uncertainty=_read_group(file, "uncertainty", path),
        interval=_number(error_bars, "interval", path) if isinstance(error_bars, h5py.Group) else None,
        composition=_read_group(file, "composition", path),
        regions=_words(composition, "regions", path) if isinstance(composition, h5py.Group) else (),
        pixel_size=None if pixel_size is None else _number(file, "pixel_size", path, positive=True),
        units=None if units is None else str(units),
        origin=_origin(file, path),
        metadata=_facts(file),
    )


def _read_group(file: h5py.File, name: str, path: Path) -> Mapping[str, Array]:
    group = file.get(name)
    if not isinstance(group, h5py.Group):
        return Frozen({})
    arrays = {unquote(key): _real(item, path) for key, item in group.items() if isinstance(item, h5py.Dataset)}
    return Frozen(arrays)


def _facts(file: h5py.File) -> Mapping[str, float | str]:
    group = file.get("metadata")
    if not isinstance(group, h5py.Group):
        return Frozen({})
    facts = {name: value if isinstance(value, str) else np.asarray(value) for name, value in group.attrs.items()}
    return Frozen(
        {k: v if isinstance(v, str) else float(v) for k, v in facts.items() if isinstance(v, str) or v.shape == ()}
    )


def _numbers(file: h5py.File, name: str, path: Path) -> Mapping[str, float]:
    group = _read_group(file, name, path)
    if any(value.shape != () for value in group.values()):
        raise UserError(str(path), f"'/{name}' does not hold single numbers", "use another file")
    return Frozen({key: float(value) for key, value in group.items()})


def _real(dataset: h5py.Dataset, path: Path) -> Array:
    if dataset.shape is not None:
        check_claim(
            path, f"'{dataset.name}'", dataset.shape, dataset.dtype, dataset.id.get_storage_size(), path.stat().st_size
        )
    array = np.asarray(dataset[()])
    if array.dtype.kind not in "fiub":
        raise UserError(str(path), f"'{dataset.name}' does not hold real numbers", "use another file")
    return array


def _number(file: h5py.File | h5py.Group, name: str, path: Path, positive: bool = False) -> float:
    value = np.asarray(file.attrs[name])
    if value.shape != () or value.dtype.kind not in "fiu" or (positive and not 0 < value < np.inf):
        kind = "positive number" if positive else "number"
        raise UserError(str(path), f"its attribute '{name}' is not a {kind}", "use another file")
    return float(value)


def _origin(file: h5py.File, path: Path) -> tuple[float, float] | None:
    value = np.asarray(file.attrs.get("origin", ()))
    if value.size == 0:
        return None
    if value.shape != (2,) or value.dtype.kind not in "fiu":
        raise UserError(str(path), "its attribute 'origin' is not a pair of numbers", "use another file")
    return float(value[0]), float(value[1])


def _words(file: h5py.File | h5py.Group, name: str, path: Path) -> tuple[str, ...]:
    words = np.atleast_1d(np.asarray(file.attrs[name], dtype=object))
    if not all(isinstance(word, str) for word in words):
        raise UserError(str(path), f"its attribute '{name}' is not a list of names", "use another file")
    return tuple(words)
