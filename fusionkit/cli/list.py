"""``fusionkit list``: the names that a config can use, plug-ins included, with a sentence on each."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Mapping

from fusionkit.cli import DONE
from fusionkit.errors import UserError

# in the order of a config
KINDS = (
    "configs",
    "phantoms",
    "readers",
    "preparations",
    "writers",
    "terms",
    "forwards",
    "penalties",
    "functionals",
    "operators",
    "solvers",
)
_PARTS = {"penalties": ("functionals", "operators")}  # of the term ``penalty``


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``list``."""
    command.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=f"one of {', '.join(KINDS)}")


def run(arguments: argparse.Namespace) -> int:
    """Print the names of one kind, or of all kinds under headings."""
    kind = arguments.kind
    kinds = [each for each in KINDS if each not in _PARTS] if kind is None else _PARTS.get(kind, (kind,))
    for index, each in enumerate(kinds):
        if len(kinds) > 1:
            print(f"{chr(10) if index else ''}{each}:")
        entries = descriptions(each)
        width = max(map(len, entries), default=0)
        indent = "  " if len(kinds) > 1 else ""
        for name in sorted(entries):
            print(f"{indent}{name:<{width}}  {entries[name]}".rstrip())
    return DONE


def descriptions(kind: str) -> Mapping[str, str]:
    """A sentence for each name of a kind."""
    if kind == "configs":
        from fusionkit.config import packaged_configs

        return {name: text.partition("\n")[0].lstrip("# ") for name, text in packaged_configs().items()}
    from fusionkit.registry import plugins, table

    unusable = {f"plug-in {plugin.name}": f"cannot be used: {plugin.missing}" for plugin in plugins() if plugin.missing}
    return {name: _description(kind, name) for name in table(kind)} | unusable


def _description(kind: str, name: str) -> str:
    from fusionkit.registry import lookup

    try:
        return first_sentence(inspect.getdoc(lookup(kind, name, kind)) or "")
    except UserError as error:  # of a plug-in that is broken or lacks a library
        return f"({error})"


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring on one line, without markup, LaTeX formulas and ``The term `x`:``."""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[^.]\.) (?=[A-Z`])", paragraph)[0]
    without = re.sub(r":? ?:math:`[^`]*`", "", re.sub(r"^The [a-z ]+ ``\w+``[:,] ", "", sentence))
    return without.replace("`", "")
