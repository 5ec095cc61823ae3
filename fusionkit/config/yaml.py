"""Strict YAML: duplicate keys, tags, deep nesting and expanding aliases are errors with line and column.

Scalars follow YAML 1.2: only ``true`` and ``false`` are booleans, so that the element ``No`` stays text, and ``1e-3``
is a number.
"""

import re
from collections.abc import Mapping
from os.path import isdir, isfile
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from fusionkit.errors import UserError, file_errors

LARGEST_FILE = 4 * 2**20  # bytes; a config has a few hundred
DEEPEST = 32  # levels of nesting
MOST_VALUES = 100_000  # with every alias written out

_SECOND = "expected a single document in the stream"  # PyYAML's context of that error
_TAG = "tag:yaml.org,2002:"
# an integer of more digits is a float: it names no index, and Python refuses to read very long ones
_SCALARS = {
    "null": re.compile(r"^(?:~|null|Null|NULL|)$"),
    "bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "int": re.compile(r"^[-+]?[0-9]{1,40}$"),
    "float": re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
}
_YAML_1_1_BOOL = re.compile(r"^[yYnN]$")


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2 and with keys that are text and unique."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConstructorError(None, None, "a key is a list or a mapping; keys are text", key.start_mark)
            if key.tag != f"{_TAG}str":
                problem = f"the key {key.value or 'without text'} is not text; write it in quotes: '{key.value}'"
                raise ConstructorError(None, None, problem, key.start_mark)
            if key.value in lines:
                problem = f"the key '{key.value}' is already in line {lines[key.value]}; remove one of the two"
                raise ConstructorError(None, None, problem, key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern in _SCALARS.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", _pattern, None)
_Loader.add_constructor(f"{_TAG}int", lambda loader, node: int(node.value))


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes every text that YAML 1.1 or 1.2 would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern in (*_SCALARS.items(), ("bool", _YAML_1_1_BOOL)):
    _Dumper.add_implicit_resolver(f"{_TAG}{_name}", _pattern, None)


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, which is UTF-8 text.

    `UserError` if the file is missing, empty, not text, not YAML or not a mapping.
    """
    name = str(path)
    if isdir(path):
        raise UserError(name, "is a folder", "name a YAML file in it")
    if not isfile(path):
        raise UserError(name, "there is no such file", "give the path of a YAML file")
    with file_errors(name, "cannot be read", "check its permissions"), path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise UserError(name, f"has more than {LARGEST_FILE // 2**20} MiB", "give a YAML file, not the data")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(name, "is not a text file", "give a YAML file in UTF-8, not the data") from error
    value = parse(text, name)
    if value is None:
        raise UserError(name, "is empty", "write at least 'version', 'data' and 'terms'")
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
        what = f"holds {kinds.get(type(value), 'something else')}, not a mapping"
        raise UserError(name, what, "a config is a mapping of keys to values ('version: 1', ...)")
    return value


def parse(text: str, name: str) -> Any:
    """The value of one YAML document; a `UserError` calls it ``name`` and has line and column."""
    try:
        _inspect(text, name)
        return yaml.load(text, _Loader)  # _Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = "a second document begins" if error.context == _SECOND else str(error.problem or error.context)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(name, place + problem, _remedy(error, problem)) from error
    except ReaderError as error:
        before = text[: error.position]
        place = f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
        raise UserError(name, f"{place}: a control character", "remove it: a config is plain text") from error


def dump(mapping: Mapping[str, Any]) -> str:
    """The mapping as YAML, which `parse` reads back to the same values, floats to the last bit."""
    return yaml.dump(dict(mapping), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)


def dump_line(value: Any) -> str:
    """The value on one line of YAML, which `parse` reads back."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _remedy(error: yaml.MarkedYAMLError, problem: str) -> str:
    if isinstance(error, ConstructorError):  # ours, which holds the remedy
        return ""
    if "'\\t'" in problem:
        return "use spaces, not tabs"
    if error.context == _SECOND:
        return "remove the '---' between them"
    return "check indentation, colons, brackets and quotes there"


def _inspect(text: str, name: str) -> None:
    """Refuse tags, deep nesting and aliases that expand too far, before anything is built."""
    sizes: dict[str, int] = {}
    stack: list[tuple[str | None, int]] = [(None, 0)]  # anchor and number of values of each open collection
    for event in yaml.parse(text, _Loader):
        place = f"line {event.start_mark.line + 1}, column {event.start_mark.column + 1}" if event.start_mark else ""
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise UserError(name, f"{place}: the tag '{tag.replace(_TAG, '!!')}' is not allowed", "write a plain value")
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append((event.anchor, 1))
            if len(stack) - 1 > DEEPEST:
                raise UserError(name, f"{place}: nested deeper than {DEEPEST} levels", "use fewer levels")
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise UserError(name, f"{place}: the alias *{event.anchor} refers to nothing before it", "define it")
            anchor, size = None, sizes[event.anchor]
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = stack.pop()
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        stack[-1] = (stack[-1][0], stack[-1][1] + size)
        if stack[-1][1] > MOST_VALUES:
            raise UserError(name, f"{place}: more than {MOST_VALUES} values once aliases are expanded", "use fewer")
