"""Which checkpoint belongs to a run: the same configuration, files and source give the same bits."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from fusionkit.checkpoint.folder import Checkpoint, beside
from fusionkit.config import LoadedConfig
from fusionkit.config.resolved import resolved
from fusionkit.errors import UserError
from fusionkit.registry import plugins
from fusionkit.results.inputs import fingerprints
from fusionkit.results.saved import read_summary
from fusionkit.results.summary import INCOMPLETE
from fusionkit.weights.cache import source_checksum

_LOG = logging.getLogger("fusionkit")


def checkpoint_of(loaded: LoadedConfig, folder: Path, resume: bool = False, data: str = "") -> Checkpoint | None:
    """The checkpoint beside the output folder of a run; None where the configuration leaves it out.

    The log tells whether the run goes on from it; with ``resume`` also that it starts from the beginning. ``data`` is
    the checksum of data that the configuration does not name.
    """
    options = loaded.config.checkpoint
    if options is None:
        return None
    checkpoint = Checkpoint(beside(folder), _key(loaded, data), options.every)
    state = checkpoint.state()
    if state == "usable" and (is_unfinished(folder) or not (folder / "summary.json").is_file()):
        _LOG.info("an earlier run of this config was not finished; going on with it")
    elif state == "foreign":
        _LOG.warning("%s is of another config, other data or another version; not used", checkpoint.folder)
    elif not state and resume:
        _LOG.info("there is no checkpoint in %s; starting from the beginning", checkpoint.folder)
    return checkpoint


def is_unfinished(folder: Path) -> bool:
    """Whether the output folder holds a run that was interrupted, or killed after its solve."""
    with suppress(UserError):
        summary = read_summary(folder / "summary.json", "")
        return bool(summary.get(INCOMPLETE)) or summary.get("status") == "interrupted"
    return False


def _key(loaded: LoadedConfig, data: str) -> str:
    """A checksum of all that a run depends on."""
    config = {name: value for name, value in resolved(loaded).items() if name != "output"}
    total = blake2b(source_checksum() + data.encode(), digest_size=16)
    total.update(json.dumps([config, fingerprints(config)], default=str, sort_keys=True).encode())
    for path in sorted(set(_plugin_files())):
        with suppress(OSError):
            total.update(Path(path).read_bytes())
    return total.hexdigest()


def _plugin_files() -> Iterator[str]:
    """The files of the modules that define the factories of plug-ins."""
    for plugin in plugins():
        for factory in (factory for names in plugin.tables.values() for factory in names.values()):
            spec = find_spec(factory.partition(":")[0] if isinstance(factory, str) else factory.__module__)
            if spec is not None and spec.origin is not None:
                yield spec.origin
