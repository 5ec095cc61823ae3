"""Weights of earlier searches on disk, by a checksum of data, objective and the source of fusionkit.

A second run of the same data and configuration does not search again and gives the same bits. The files are in the
user's cache folder or in ``FUSIONKIT_CACHE``; ``FUSIONKIT_CACHE=off`` keeps none.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

import fusionkit
from fusionkit import operators, solvers
from fusionkit.compose_problem import Objective
from fusionkit.data.dataset import Dataset
from fusionkit.data.new_file import clear_leftovers, whole_file
from fusionkit.errors import UserError
from fusionkit.interrupts import stop_requested
from fusionkit.options import Existing
from fusionkit.registry import plugins
from fusionkit.weights.chosen import OUT_OF_TIME, ChosenWeight, SearchCurve

_LOG = logging.getLogger("fusionkit")
_VARIABLE, _OFF = "FUSIONKIT_CACHE", ("", "off")
_MOST = 1000  # files of a few kB

Chosen = tuple[ChosenWeight, ...]


def cached(
    dataset: Dataset, objective: Objective, choose: Callable[[Dataset, Objective], Chosen]
) -> tuple[Chosen, tuple[str, ...]]:
    """The weights of an earlier search or of a new one, and notes.

    Parameters
    ----------
    dataset, objective : as for ``choose``.
    choose : searches; a search that was stopped or met its limit of time is not kept.
    """
    folder = _folder()
    key = None if folder is None else checksum(dataset, objective)
    if folder is None or key is None:
        return choose(dataset, objective), ()
    path, notes = folder / f"{key}.json", ()
    try:
        known = _decoded(path.read_text(encoding="utf-8"))
        _LOG.info("the weights are those of an earlier search of the same data")
        return known, (f"The weights are those of an earlier search ({path}).",)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError):
        _LOG.info("the earlier search in %s is damaged; searching again", path)
        notes = (f"The earlier search in {path} is damaged; the weights were searched again.",)
    chosen = choose(dataset, objective)
    is_whole = not (stop_requested() or any(OUT_OF_TIME in one.facts for one in chosen))
    if any(one.iterations for one in chosen) and is_whole:
        _keep(path, chosen)
    return chosen, notes


def _folder() -> Path | None:
    """The folder of the files; None without one."""
    named = os.environ.get(_VARIABLE)
    if named is not None:
        return None if named in _OFF else Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    with suppress(RuntimeError):  # there is no home
        return (Path(base) if base else Path.home() / ".cache") / "fusionkit" / "weights"
    return None


def checksum(dataset: Dataset, objective: Objective) -> str | None:
    """Of everything that a search depends on; None with terms that are objects or of a plug-in."""
    specs = [*objective.terms, objective.solver]
    if any(isinstance(spec, Existing) for spec in specs):
        return None
    text = json.dumps([spec.model_dump() for spec in specs], default=str, sort_keys=True)
    foreign = {name for one in plugins() for names in one.tables.values() for name in names}
    if any(f'"{name}"' in text for name in foreign):
        return None
    total = blake2b(source_checksum() + text.encode(), digest_size=16)
    facts = [objective.labels, objective.precision, objective.engine, dataset.elements, dataset.stacks, dataset.pixels]
    facts += [dataset.grid, dataset.counting, dataset.counts_per_unit]
    total.update(repr(facts).encode())
    for name, array in sorted(dataset.arrays.items()):
        total.update(f"{name} {array.shape} {array.dtype.str}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


@cache
def source_checksum() -> bytes:
    """A checksum of all source files: another version may choose other weights."""
    total = blake2b(np.__version__.encode())
    for package in (fusionkit, operators, solvers):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            total.update(path.read_bytes())
    return total.digest()


def _keep(path: Path, chosen: Chosen) -> None:
    entries = [asdict(one) | {"trial": None} for one in chosen]
    text = json.dumps({"weights": entries, "checksum": _sum(entries)}, default=float)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path.parent)
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
        for old in sorted(path.parent.glob("*.json"), key=os.path.getmtime)[:-_MOST]:
            old.unlink()
    except (OSError, UserError) as error:  # the weights are known all the same
        _LOG.info("the search is not kept in %s: %s", path.parent, error)


def _sum(entries: Any) -> str:
    return blake2b(json.dumps(entries, default=float).encode(), digest_size=16).hexdigest()


def _decoded(text: str) -> Chosen:
    """The weights; ValueError, KeyError or TypeError if the text is damaged."""
    stored = json.loads(text)
    if stored["checksum"] != _sum(stored["weights"]):
        raise ValueError("the checksum differs")
    return tuple(_weight(entry) for entry in stored["weights"])


def _weight(entry: Mapping[str, Any]) -> ChosenWeight:
    changed: dict[str, Any] = {"ranges": {name: tuple(pair) for name, pair in entry["ranges"].items()}}
    if entry["uncertainty"] is not None:
        changed["uncertainty"] = tuple(entry["uncertainty"])
    if entry["curve"] is not None:
        columns: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["curve"].items()}
        changed["curve"] = SearchCurve(**columns)
    return ChosenWeight(**{**entry, **changed})
