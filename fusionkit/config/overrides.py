"""``key.path=value`` overrides of a config, from the command line or a sweep."""

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusionkit.config.yaml import parse
from fusionkit.errors import UserError
from fusionkit.registry import suggestion

# a path on the command line is relative to the current folder, not to the config's
PATHS = re.compile(r"data\.path|init|output\.directory|data\.(haadf|mask)\.path|data\.(maps|spectra|mask)\.[^.]+\.path")
INIT_WORDS = ("auto", "maps", "uniform")
RESULT_SUFFIXES = (".h5", ".hdf5")


def override(
    raw: Mapping[str, Any], assignments: Sequence[str], defaults: Mapping[str, Any], option: str = "--set"
) -> dict[str, Any]:
    """A copy of the mapping with ``assignments`` applied.

    `UserError` if this is no assignment, its value is not YAML, or there is no such entry.

    Parameters
    ----------
    raw : contents of the YAML file.
    assignments : ``key.path=value`` each. The value is YAML; an entry of a list is named by its index, or by its
        ``name``, ``type`` or ``step`` (``terms.tv.weight=0.1``, ``terms.0.gamma=1.7``).
    defaults : values of top-level keys that the file leaves out.
    option : the option with the assignments, for errors.
    """
    changed = copy.deepcopy(dict(raw))
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key:
            remedy = "write --set key.path=value, for example --set terms.tv.weight=0.1"
            raise UserError(f"{option} {assignment}", "is not an assignment", remedy)
        value = parse(text, f"{option} {key}")
        if (
            PATHS.fullmatch(key)
            and isinstance(value, str)
            and (key != "init" or value.lower().endswith(RESULT_SUFFIXES))
        ):
            value = str(Path(value).expanduser().absolute())
        _assign(changed, key, value, defaults, f"{option} {key}")
    return changed


def _assign(changed: dict[str, Any], key: str, value: Any, defaults: Mapping[str, Any], where: str) -> None:
    parts = re.sub(r"\[(\d+)\]", r".\1", key).split(".")
    if not all(parts):
        raise UserError(where, "is not a key path", "write key.path=value")
    container: Any = changed
    for depth, part in enumerate(parts[:-1]):
        place = _place(container, part, parts[:depth], where)
        inner = container[place] if isinstance(container, list) else container.get(place)
        if inner is None:
            inner = copy.deepcopy(defaults.get(part, {})) if depth == 0 else {}
        if parts[: depth + 1] == ["data", "maps"] and isinstance(inner, list):
            inner = {name: name for name in inner}
        if isinstance(inner, str):  # a bare name
            inner = {_meaning(parts[: depth + 1]): inner}
        if not isinstance(inner, dict | list):
            raise UserError(where, f"'{'.'.join(parts[: depth + 1])}' is {inner!r}", "it has no keys below it")
        container[place] = inner
        container = inner
    container[_place(container, parts[-1], parts[:-1], where)] = value


def _meaning(parts: Sequence[str]) -> str:
    """The key for which a bare name at this path stands."""
    if parts[:2] == ["data", "haadf"] or (parts[:2] in (["data", "maps"], ["data", "spectra"]) and len(parts) == 3):
        return "signal"
    if len(parts) > 1 and parts[-2] == "prepare":
        return "step"
    return "preset" if parts[-1] == "phantom" else "type"


def _place(container: dict[str, Any] | list[Any], part: str, above: Sequence[str], where: str) -> Any:
    """The key of a mapping, or the index of a list's entry by number, name, type or step."""
    if isinstance(container, dict):
        return part
    parent = ".".join(above)
    if part.isdecimal():
        if int(part) < len(container):
            return int(part)
        raise UserError(where, f"'{parent}' has no entry {part}", f"its entries are 0 to {len(container) - 1}")
    for attribute in ("name", "type", "step"):
        matches = [index for index, entry in enumerate(container) if _called(entry, attribute) == part]
        if len(matches) > 1:
            raise UserError(where, f"'{part}' names {len(matches)} entries of '{parent}'", "use the index")
        if matches:
            return matches[0]
    names = [_called(entry, "name") or _called(entry, "type") or _called(entry, "step") for entry in container]
    raise UserError(where, f"'{parent}' has no '{part}'", suggestion(part, [n for n in names if n]))


def _called(entry: Any, attribute: str) -> str | None:
    if isinstance(entry, str):
        return entry if attribute in ("type", "step") else None
    value = entry.get(attribute) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else None
