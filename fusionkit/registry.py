"""Names to things: one table per kind, filled by the project's own tables and by installed plug-ins.

A built-in entry is written ``"package.module:attribute"`` and imported when it is first asked for, so that listing
names costs nothing. A plug-in is an installed distribution with an entry point in the group ``fusionkit.plugins`` whose
object is a mapping ``{kind: {name: factory}}``. A name in a config is never an import path.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from fusionkit.errors import UserError

GROUP = "fusionkit.plugins"
KINDS = ("terms", "forwards", "functionals", "operators", "solvers", "readers", "phantoms")
_BUILT_IN = {
    "fusionkit.operators": ("terms", "forwards", "functionals", "operators"),
    "fusionkit.solvers": ("solvers",),
    "fusionkit.readers": ("readers",),
    "fusionkit.phantoms": ("phantoms",),
}


@cache
def table(kind: str) -> Mapping[str, Any]:
    """The names of one kind with their factories (built-in ones as ``module:attribute`` until they are asked for)."""
    found: dict[str, Any] = {}
    for package, kinds in _BUILT_IN.items():
        if kind in kinds:
            found.update(import_module(package).TABLE.get(kind, {}))
    for plugin in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        tables = plugin.load()
        if not isinstance(tables, Mapping) or not set(tables) <= set(KINDS):
            raise UserError(
                f"plug-in {plugin.name}", "is not a mapping of kinds to factories", f"kinds are {', '.join(KINDS)}"
            )
        for name, factory in tables.get(kind, {}).items():
            if name in found:
                raise UserError(f"plug-in {plugin.name}", f"{kind} '{name}' exists already", "give it another name")
            found[name] = factory
    return found


def lookup(kind: str, name: str, where: str) -> Any:
    """The factory that ``name`` stands for; `UserError` at the config key ``where`` when there is none."""
    names = table(kind)
    if name not in names:
        singular = kind[:-1]
        raise UserError(where, f"there is no {singular} '{name}'", suggestion(name, names))
    entry = names[name]
    if isinstance(entry, str):
        module, _, attribute = entry.partition(":")
        return getattr(import_module(module), attribute)
    return entry


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """``did you mean 'x'?`` where a near name exists, else the list of names."""
    known = sorted(names)
    near = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
