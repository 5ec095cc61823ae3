"""Formats that RosettaSciIO does not read: Oxford's ``.h5oina``, Nion's ``.ndata``, and maps as tables of numbers.

`file_reader` returns what a reader of RosettaSciIO does, a dictionary for each signal.
"""

import json
import re
import zipfile
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fusionkit.data.names import element_named
from fusionkit.data.readers.npz import read_member
from fusionkit.errors import UserError

SUFFIXES = (".h5oina", ".ndata", ".ndata1", ".txt", ".tsv", ".csv")
_MOST_METADATA = 1 << 23  # bytes
_FEWEST_COLUMNS = 4  # of a map; a table of fewer is a spectrum or a log
SEM = 30.0  # keV: the highest beam energy of scanning microscopes for bulk specimens


def file_reader(filename: str, lazy: bool = False) -> list[dict[str, Any]]:
    """The signals of a file.

    `UserError` if a table is not a map.

    Parameters
    ----------
    filename : its path.
    lazy : whether the spectra stay in the file.
    """
    path = Path(filename)
    if path.suffix.lower() == ".h5oina":
        return [signal for group in _slices(path) for signal in _oxford(group, lazy)]
    return [_nion(path)] if path.suffix.lower().startswith(".ndata") else [_table(path)]


def _signal(data: Any, axes: list[dict[str, Any]], title: str, **metadata: Any) -> dict[str, Any]:
    return {"data": data, "axes": axes, "metadata": {"General": {"title": title}, **metadata}}


def _axis(
    name: str, size: int, scale: float = 1.0, offset: float = 0.0, units: str = "", **more: Any
) -> dict[str, Any]:
    return {"name": name, "size": size, "scale": scale, "offset": offset, "units": units, **more}


def _slices(path: Path) -> list[Any]:
    """The acquisitions of an ``.h5oina``; the file stays open while its values are needed."""
    return [group for group in h5py.File(path, "r").values() if isinstance(group, h5py.Group)]


def _oxford(group: Any, lazy: bool) -> Iterator[dict[str, Any]]:
    """Spectra, maps in counts and electron images (H5OINA File Specification 8.0)."""
    for name in group:
        if re.fullmatch(r"EDS\d*", name):
            yield from _oxford_eds(group[name], group.get("Electron Image/Header"), name, lazy)
    image = group.get("Electron Image")
    if image is None:
        return
    for kind in ("SE", "BSE", "FSE"):
        for title, values in (image["Data"].get(kind) or {}).items():
            lateral = _oxford_axes(image["Header"], None, signal=True)
            shape = tuple(axis["size"] for axis in lateral)
            title = title if kind in title or "adf" in title.lower() else f"{kind} {title}"
            yield _signal(values[()].reshape(shape), lateral, title)


def _oxford_eds(eds: Any, image: Any, name: str, lazy: bool) -> Iterator[dict[str, Any]]:
    header, data = eds["Header"], eds["Data"]
    maps: Mapping[str, Any] = data.get("Window Integral") or data.get("Peak Area") or {}
    lateral, seconds = _oxford_axes(header, image), data["Live Time"][()].ravel()
    shape = tuple(axis["size"] for axis in lateral)
    for label, values in maps.items():  # counts a second, of which the mean of the maps is a tiny number
        counts = values[()].ravel() * seconds
        yield _signal(_whole(counts).reshape(shape), lateral, label)
    if "Spectrum" in data:
        cube: Any = data["Spectrum"]
        if lazy:
            import dask.array

            cube = dask.array.from_array(cube, chunks=cube.chunks or "auto")
        else:
            cube = cube[()]
        beam = _number(header, "Beam Voltage")
        kind = "SEM" if beam is not None and beam <= SEM else "TEM"
        width, first = _number(header, "Channel Width") or 1.0, _number(header, "Start Channel") or 0.0
        energies = _axis("Energy", cube.shape[-1], width, first, "eV", navigate=False)
        yield _signal(
            cube.reshape((*shape, cube.shape[-1])),
            [*lateral, energies],
            name,
            Signal={"signal_type": f"EDS_{kind}"},
            Sample={"elements": sorted({one for label in maps if (one := element_named(label)) is not None})},
            Acquisition_instrument={kind: {} if beam is None else {"beam_energy": beam}},
        )


def _whole(counts: np.ndarray) -> np.ndarray:
    """The numbers, rounded if they are whole but for the rounding of rates."""
    rounded = np.rint(counts)
    return rounded if np.allclose(counts, rounded, rtol=1e-4, atol=1e-3, equal_nan=True) else counts


def _oxford_axes(header: Any, image: Any, signal: bool = False) -> list[dict[str, Any]]:
    """y and x in µm; the origin is the corner of the electron image."""
    corner = (0.0, 0.0)
    if image is not None and "Relative Offset" in header:
        shares = header["Relative Offset"][()].ravel()  # x before y
        sizes = [(_number(image, f"{a} Step") or 0.0) * (_number(image, f"{a} Cells") or 0.0) for a in "XY"]
        corner = (float(shares[1]) * sizes[1], float(shares[0]) * sizes[0])
    steps = [_number(header, f"{a} Step") or 0.0 for a in "YX"]
    return [
        _axis(
            *(a.lower(), int(_number(header, f"{a} Cells") or 1), step or 1.0, at + step / 2, "um" if step else ""),
            navigate=not signal,
        )
        for a, step, at in zip("YX", steps, corner, strict=True)
    ]


def _number(group: Any, name: str) -> float | None:
    return float(np.asarray(group[name][()]).ravel()[0]) if name in group else None


def _nion(path: Path) -> dict[str, Any]:
    """The array of an archive of Nion Swift."""
    with zipfile.ZipFile(path) as archive:
        data = read_member(path, archive, archive.getinfo("data.npy"), "its array")
        if archive.getinfo("metadata.json").file_size > _MOST_METADATA:
            raise ValueError("its metadata are too long")
        facts = json.loads(archive.read("metadata.json"))
    inner = facts.get("data_source") or facts  # as in the library, or as exported
    listed = inner.get("spatial_calibrations") or inner.get("dimensional_calibrations") or [{}] * data.ndim
    last = 1 if inner.get("datum_dimension_count") == 1 or data.ndim == 3 else 2
    axes: list[dict[str, Any]] = []
    for index, (size, one) in enumerate(zip(data.shape, listed, strict=True)):
        calibration = one.get("scale") or 1.0, one.get("offset") or 0.0, one.get("units") or ""
        axes.append(_axis("", size, *calibration, navigate=index < data.ndim - last))
    losses = any(axis["units"].lower() in ("ev", "kev") for axis in axes)
    title = str(facts.get("title") or path.stem)
    return _signal(data, axes, title, Signal={"signal_type": "EELS" if losses else ""})


def _table(path: Path) -> dict[str, Any]:
    """A map as a table of numbers, as Esprit and AZtec export it, titled by the element that ends the file's name."""
    values, lengths = array("d"), set[int]()
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for line in lines:
            text = line.replace(",", ".") if ";" in line or "\t" in line else line  # a comma is a decimal point there
            parts = [part for part in re.split(r"[;,\t ]+", text.strip()) if part]
            try:
                row = [float(part) for part in parts]
            except ValueError:
                row = []  # a heading
                if lengths:
                    raise _no_map(path, f"has text below its numbers: '{line.rstrip()[:30]}'") from None
            if row:
                values.extend(row)
                lengths.add(len(row))
    if len(lengths) != 1 or min(lengths) < _FEWEST_COLUMNS:
        raise _no_map(path, f"has rows of {min(lengths)} to {max(lengths)} numbers" if lengths else "holds no numbers")
    ends = [match[1] for match in re.finditer(r"(?=(?:^|[ _.(-])(.+?)\)?$)", path.stem)]
    title = next((end for end in ends if element_named(end) is not None), path.stem)
    data = np.frombuffer(values).reshape(-1, *lengths)
    return _signal(data, [_axis(a, n, navigate=False) for a, n in zip("yx", data.shape, strict=True)], title)


def _no_map(path: Path, problem: str) -> UserError:
    return UserError(
        str(path), f"{problem}, so it is not a map", "export one map a file, a line of numbers for each row"
    )
