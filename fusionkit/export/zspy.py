"""HyperSpy's Zarr folders, with the same content as ``.hspy``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from fusionkit.export.content import Content
from fusionkit.export.signals import signals_of

_GROUP = "Experiments"


class ZspyWriter:
    """The maps and the HAADF image as signals in one Zarr folder for HyperSpy."""

    suffixes: ClassVar[tuple[str, ...]] = (".zspy",)
    libraries: ClassVar[tuple[str, ...]] = ("rsciio", "zarr")

    def write(self, content: Content, path: Path) -> None:
        """Write the folder: RosettaSciIO writes one signal a folder, whose groups, also folders, are moved into one."""
        from rsciio.zspy import file_writer

        with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as temporary:
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
