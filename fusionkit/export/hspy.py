"""HyperSpy's HDF5 files: ``hs.load("maps.hspy")`` returns a list of `Signal2D` in the order of the maps."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
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
