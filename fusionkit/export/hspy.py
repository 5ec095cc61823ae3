"""HyperSpy's HDF5 files: ``hs.load("maps.hspy")`` returns a list of `Signal2D` in the order of the maps."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from fusionkit.export.content import Content
from fusionkit.export.signals import signals_of

_GROUP = "Experiments"


class HspyWriter:
    """The maps and the HAADF image as signals in one file for HyperSpy."""

    suffixes: ClassVar[tuple[str, ...]] = (".hspy",)
    libraries: ClassVar[tuple[str, ...]] = ("rsciio",)

    def write(self, content: Content, path: Path) -> None:
        """Write the file: RosettaSciIO writes one signal a file, whose groups are copied into one."""
        import h5py
        from rsciio.hspy import file_writer

        with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as temporary, h5py.File(path, "w") as whole:
            signals = whole.create_group(_GROUP, track_order=True)  # the default order is alphabetical
            for index, signal in enumerate(signals_of(content)):
                single = Path(temporary) / f"{index}.hspy"
                file_writer(str(single), signal)
                with h5py.File(single, "r") as file:
                    file.copy(f"{_GROUP}/{signal['metadata']['General']['title']}", signals)
                    whole.attrs.update(file.attrs)
