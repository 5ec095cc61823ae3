"""The files that a config's ``data`` names, each opened once."""

from collections.abc import Mapping
from pathlib import Path

from fusionkit.data.checks import Origin
from fusionkit.data.options import Source, SpectrumSource
from fusionkit.data.readers import Recording, open_recording
from fusionkit.errors import UserError


class OpenFiles:
    """Recordings by path and reader.

    Parameters
    ----------
    folder : where relative paths start.
    path, reader : the config's ``data.path`` and ``data.reader``, for sources without a path of their own.
    where : config key of the data.
    opened : open recordings by path.
    """

    first = "haadf"  # the array whose pixel size and facts come before those of others

    def __init__(
        self,
        folder: Path,
        path: str | None,
        reader: str | None,
        where: str,
        opened: Mapping[Path, Recording] | None = None,
    ) -> None:
        self._folder, self._path, self._reader, self._where = folder, path, reader, where
        self._preopened = {path.resolve(): recording for path, recording in (opened or {}).items()}
        self._opened: dict[tuple[Path, str | None], Recording] = {}

    def open(self, path: str | None, reader: str | None, key: str) -> Recording:
        """The recording at ``path``, or at ``data.path`` for None; ``key`` is the source's config key."""
        own = path is not None
        text, reader = (path, reader) if own else (self._path, reader or self._reader)
        if text is None:
            raise UserError(key, "names no file, and data.path is not given", "add 'path' here or to data")
        place = (self._folder / Path(text).expanduser(), reader)
        if place not in self._opened:
            recording = self._preopened.get(place[0].resolve()) if self._preopened else None
            self._opened[place] = recording or open_recording(*place, key if own else self._where)
        return self._opened[place]

    def of(self, source: Source | SpectrumSource, key: str) -> Recording:
        """The recording of a source."""
        return self.open(source.path, source.reader, key)

    def origin(self, source: Source, key: str) -> Origin:
        """The origin of the source's array, for messages."""
        return Origin(key, source.signal, source.path or str(self._path))

    def source(self) -> str:
        """The files that were opened, the config's ``data.path`` first."""
        # the meaning of .. depends on links
        shown = (str(path.resolve() if ".." in path.parts else path) for path, _ in self._opened)
        return ", ".join(dict.fromkeys(shown))
