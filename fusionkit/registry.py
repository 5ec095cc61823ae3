"""Factories by name: one table per kind, from built-in tables and installed plug-ins.

A built-in entry is ``"package.module:attribute"``, imported on first use, so listing names costs nothing. A plug-in is
an installed distribution with an entry point in the group ``fusionkit.plugins``: a mapping ``{kind: {name: factory}}``
whose factories are objects or such strings. A name in a config is never an import path.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fusionkit.errors import UserError

GROUP = "fusionkit.plugins"
KINDS = ("terms", "forwards", "functionals", "operators", "solvers", "readers", "preparations", "writers", "phantoms")
_BUILT_IN = {
    "fusionkit.operators": ("terms", "forwards", "functionals", "operators"),
    "fusionkit.solvers": ("solvers",),
    "fusionkit.data.readers": ("readers",),
    "fusionkit.data.prepare": ("preparations",),
    "fusionkit.export": ("writers",),
    "fusionkit.data.phantoms": ("phantoms",),
}


@dataclass(frozen=True)
class Entry:
    """The factory behind a name."""

    factory: Any  # the factory, or its ``module:attribute``
    plugin: str = ""  # name of the plug-in that provides it; empty for a built-in one


@dataclass(frozen=True)
class Plugin:
    """An installed plug-in."""

    name: str  # of its entry point
    tables: Mapping[str, Mapping[str, Any]]  # factories by name, by kind
    missing: str = ""  # the library that it lacks; empty for none


@cache
def table(kind: str) -> Mapping[str, Entry]:
    """The entries of one kind by name; `UserError` if a plug-in cannot be loaded."""
    entries: dict[str, Entry] = {}
    for package, kinds in _BUILT_IN.items():
        if kind in kinds:
            built_in = import_module(package).TABLE.get(kind, {})
            entries.update({name: Entry(factory) for name, factory in built_in.items()})
    for plugin in plugins():
        for name, factory in plugin.tables.get(kind, {}).items():
            if name in entries:
                raise UserError(f"plug-in {plugin.name}", f"{kind} '{name}' exists already", "give it another name")
            entries[name] = Entry(factory, plugin.name)
    return entries


@cache
def plugins() -> tuple[Plugin, ...]:
    """The installed plug-ins by name, including those that lack a library; `UserError` if one fails otherwise."""
    return tuple(_load(point) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name))


def lookup(kind: str, name: str, where: str) -> Any:
    """The factory called ``name``; `UserError` at the config key ``where`` if there is none."""
    names = table(kind)
    if name not in names:
        unusable = [f"; the plug-in {one.name} cannot be used ({one.missing})" for one in plugins() if one.missing]
        raise UserError(where, f"there is no {kind[:-1]} '{name}'", suggestion(name, names) + "".join(unusable))
    entry = names[name]
    if not isinstance(entry.factory, str):
        return entry.factory
    if not entry.plugin:
        return _imported(entry.factory)
    try:
        return _foreign(entry.plugin, lambda: _imported(entry.factory))
    except ImportError as error:
        remedy = "install what it needs"
        raise UserError(f"plug-in {entry.plugin}", f"'{name}' cannot be used ({error})", remedy) from error


def _load(point: EntryPoint) -> Plugin:
    try:
        tables = _foreign(point.name, point.load)
    except ImportError as error:
        # everything else works without it; `fusionkit list` and the message about an unknown name mention it
        return Plugin(point.name, {}, " ".join(str(error).split()))
    fits = isinstance(tables, Mapping) and all(
        kind in KINDS
        and isinstance(names, Mapping)
        and all(isinstance(name, str) and (isinstance(thing, str) or callable(thing)) for name, thing in names.items())
        for kind, names in tables.items()
    )
    if not fits:
        remedy = f"write {{kind: {{name: factory}}}}; kinds are {', '.join(KINDS)}"
        raise UserError(f"plug-in {point.name}", "is not a mapping of kinds to factories by name", remedy)
    return Plugin(point.name, tables)


def _foreign(plugin: str, load: Callable[[], Any]) -> Any:
    """``load()``, which runs code of a plug-in; a missing library stays an ``ImportError``."""
    try:
        return load()
    except ImportError:
        raise
    except Exception as error:  # foreign code may raise anything, and the message must name the plug-in
        problem = f"cannot be loaded ({type(error).__name__}: {error})"
        raise UserError(f"plug-in {plugin}", problem, "repair or uninstall it") from error


def _imported(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the name with this start or the most similar one, else the list of names."""
    known = sorted(names)
    lower, by_lower = wrong.lower(), {name.lower(): name for name in known}
    begun = [name for start, name in by_lower.items() if lower and start.startswith(lower)]
    similar = difflib.get_close_matches(wrong, known, n=1)
    if not similar and len(wrong) > 2:  # symbols of elements differ in case: O is not like Co
        similar = [by_lower[one] for one in difflib.get_close_matches(lower, by_lower, n=1)]
    near = [by_lower[lower]] if lower in by_lower else begun if len(begun) == 1 else similar
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
