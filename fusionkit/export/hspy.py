"""HyperSpy's HDF5 files and Zarr folders: ``hs.load`` returns a list of `Signal2D` in the order of the maps."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

from fusionkit.data.elements import is_element
from fusionkit.data.spectra import Spectrum
from fusionkit.export.content import DEVIATION, Content
from fusionkit.microscope.facts import tree_of
from fusionkit.results.result_file import new_hdf5
from fusionkit.terms import Array

# the rest of what HyperSpy writes, for a signal in memory without decompositions or models
_REST: Mapping[str, Any] = {
    "attributes": {"_lazy": False},
    "learning_results": {},
    "tmp_parameters": {},
    "models": {},
    "original_metadata": {},
}


def signals_of(content: Content) -> list[dict[str, Any]]:
    """A signal for each map, standard deviation and the HAADF image, titled by its name, and for spectra.

    Of each sum of spectra there are counts, model and residual (in standard deviations), in bins of one width.

    Facts of the recording are stored where HyperSpy expects them, the origin of the maps in ``metadata.fusionkit``.
    """
    images = [_signal(name, image, content) for name, image in content.images.items()]
    return images + [one for spectrum in content.spectra for one in _spectra(spectrum, content)]


def _spectra(one: Spectrum, content: Content) -> list[dict[str, Any]]:
    """Interpolated on even energies, since bins widen with the energy and HyperSpy's calibrated axes are even."""
    energies = np.linspace(one.energies[0], one.energies[-1], round(float(np.ptp(one.energies) / one.widths[0])) + 1)
    axis = {
        "_type": "UniformDataAxis",
        "name": "Energy",
        "size": energies.size,
        "index_in_array": 0,
        "scale": float(np.ptp(energies)) / max(energies.size - 1, 1),
        "offset": float(energies[0]),
        "navigate": False,
        "is_binned": False,
        "units": "keV",
    }
    density = {"counts per keV": one.counts / one.widths, "model per keV": one.model / one.widths}
    signals = []
    for name, values in (density | {"residual": one.residual}).items():
        signal = _signal(f"{name} of {one.name}", np.interp(energies, one.energies, values), content)
        signals.append({**signal, "axes": [axis]})
    return signals


def _signal(name: str, image: Array, content: Content) -> dict[str, Any]:
    tree = tree_of(content.metadata)
    general = {**tree.get("General", {}), "title": name}
    if "title" in content.metadata:
        general["notes"] = f"Recording: {content.metadata['title']}"
    element = name.removesuffix(DEVIATION)
    sample = {**tree.get("Sample", {}), **({"elements": [element]} if is_element(element) else {})}
    metadata = {
        **tree,
        "General": general,
        "Sample": sample,
        "Signal": {"signal_type": ""},
        "fusionkit": {**content.about, "elements": list(content.maps)},
    }
    package = {"package": "fusionkit", "package_version": str(content.about.get("version", ""))}
    axes = [
        _axis(index, axis, size, content) for index, (axis, size) in enumerate(zip("yx", image.shape, strict=False))
    ]
    data = np.ascontiguousarray(image)
    return {"data": data, "axes": axes, "metadata": metadata, "package_info": package, **_REST}


def _axis(index: int, name: str, size: int, content: Content) -> dict[str, Any]:
    """One axis; without a pixel size its scale is 1 and its unit undefined, as in HyperSpy."""
    scan = content.scan
    scale = None if scan.pixel_size is None else float(scan.edges[index])
    unit = {"units": scan.units} if scale is not None and scan.units else {}
    return {
        "_type": "UniformDataAxis",
        "name": name,
        "size": size,
        "index_in_array": index,
        "scale": scale or 1.0,
        "offset": content.origin[index] if content.origin is not None and scale is not None else 0.0,
        "navigate": False,
        "is_binned": False,
        **unit,
    }


_GROUP = "Experiments"


class _InMemory(BytesIO):
    """A file for h5py that RosettaSciIO takes for a path."""

    def __fspath__(self) -> str:
        return "in memory.hspy"


class HspyWriter:
    """The maps and the HAADF image as signals in one file for HyperSpy."""

    suffixes: ClassVar[tuple[str, ...]] = (".hspy",)
    libraries: ClassVar[tuple[str, ...]] = ("rsciio",)

    def write(self, content: Content, path: Path) -> None:
        """Write the file: RosettaSciIO writes one signal a file, whose groups are copied into one."""
        import h5py
        from rsciio.hspy import file_writer

        with new_hdf5(path) as whole:
            signals = whole.create_group(_GROUP, track_order=True)  # the default order is alphabetical
            for signal in signals_of(content):
                single = _InMemory()
                file_writer(single, signal)
                with h5py.File(single, "r") as file:
                    file.copy(f"{_GROUP}/{signal['metadata']['General']['title']}", signals)
                    whole.attrs.update(file.attrs)


class ZspyWriter:
    """The maps and the HAADF image as signals in one Zarr folder for HyperSpy."""

    suffixes: ClassVar[tuple[str, ...]] = (".zspy",)
    libraries: ClassVar[tuple[str, ...]] = ("rsciio", "zarr")

    def write(self, content: Content, path: Path) -> None:
        """Write the folder: RosettaSciIO writes one signal a folder, whose groups, also folders, are moved into one."""
        from rsciio.zspy import file_writer

        with TemporaryDirectory(dir=path.parent, prefix=f"{path.stem}.") as temporary:  # cleared with a partial
            for index, signal in enumerate(signals_of(content)):
                single = Path(temporary) / f"{index}.zspy"
                file_writer(str(single), signal)
                (group,) = (child for child in (single / _GROUP).iterdir() if child.is_dir())
                ordered = f"{index:03d}_{group.name}"  # Zarr lists groups in alphabetical order
                if index == 0:
                    group.rename(group.with_name(ordered))
                    # the index of one signal would hide the others
                    (single / ".zmetadata").unlink(missing_ok=True)
                    single.rename(path)
                else:
                    group.rename(path / _GROUP / ordered)
