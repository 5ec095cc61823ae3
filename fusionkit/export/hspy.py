"""HyperSpy's HDF5 files and Zarr folders: ``hs.load`` returns a list of `Signal2D` in the order of the maps."""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from fusionkit.export.content import Content
from fusionkit.export.signals import signals_of
from fusionkit.results.result_file import new_hdf5

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
