"""Whose map each of a list is: by what signals and files say themselves, and by the elements that the caller names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusionkit.errors import UserError
from fusionkit.notebook.files import element_of_file, is_path
from fusionkit.notebook.signals import element_of, is_signal, title_of

_NAMES = "name one for each map: elements=['Co', 'O']"
_BY_NAME = "give the maps as {'Co': ..., 'O': ...}"


def by_element(maps: Sequence[Any], elements: Sequence[str] | None) -> dict[str, Any]:
    """The maps by element, in the order of ``elements`` where these are named, else in their own.

    Maps that say whose they are keep that, whatever the order of ``elements``; others are named by their place.

    Raises
    ------
    UserError : nothing says whose map one is, or ``elements`` says something else than it does.
    """
    said = [_said_by(one, f"maps[{index}]") for index, one in enumerate(maps)]
    if elements is None:
        if None in said:
            raise _nameless(maps[said.index(None)], f"maps[{said.index(None)}]")
        names = [name for name in said if name is not None]
        check_unique(names, "maps")
        return dict(zip(names, maps, strict=True))
    if len(elements) != len(maps):
        raise UserError("elements", f"names {len(elements)} elements for {len(maps)} maps", _NAMES)
    if set(said) == set(elements):
        found = dict(zip(said, maps, strict=True))
        return {name: found[name] for name in elements}
    for index, (name, own) in enumerate(zip(elements, said, strict=True)):
        if own not in (None, name):
            problem = f"names {name} for maps[{index}], which says that it is the map of {own}"
            raise UserError("elements", problem, f"correct the order, or {_BY_NAME}")
    return dict(zip(elements, maps, strict=True))


def check_unique(elements: Sequence[str], where: str) -> None:
    """`UserError` where an element comes twice."""
    double = [element for element in elements if list(elements).count(element) > 1]
    if double:
        raise UserError(where, f"there are two of {double[0]}", "give one map for each element")


def _said_by(thing: Any, where: str) -> str | None:
    if is_signal(thing):
        return element_of(thing)
    return element_of_file(Path(thing), where) if is_path(thing) else None


def _nameless(thing: Any, where: str) -> UserError:
    if not is_signal(thing) and not is_path(thing):
        return UserError("elements", "is missing: the maps have no names", _NAMES)
    what = f"the signal '{title_of(thing)}'" if is_signal(thing) else f"'{thing}'"
    remedy = f"name the elements: elements=['Co', 'O'], or {_BY_NAME}"
    return UserError(where, f"nothing says whose map {what} is", remedy)
