"""``fusionkit list``: the names that a config can use, plug-ins included, and the options of each."""

import argparse
import inspect
import re
import textwrap
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

_COMMON = {  # options that mean the same everywhere, where no docstring says more
    "name": "of the term, in results and messages.",
    "weight": "factor of the value, >= 0.",
    "operator": "the linear map or function: one of fusionkit list operators, or a class of the library.",
    "arguments": "of the library's constructor; {data: NAME} stands for an array of the data.",
    "on": "the linear map whose result the function takes.",
}


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``list``."""
    command.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=f"one of {', '.join(KINDS)}")
    command.add_argument("name", nargs="?", metavar="NAME", help="a name of this kind, whose options are shown")


def run(arguments: argparse.Namespace) -> int:
    """Print the names of one kind, or of all kinds under headings."""
    kind = arguments.kind
    if arguments.name is not None:
        _print_options(kind, arguments.name)
        return DONE
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


def _print_options(kind: str, name: str) -> None:
    """The sentence on a name, and each of its options with its values, its default and its text."""
    from fusionkit.options import Spec, describe, options_model
    from fusionkit.registry import lookup, suggestion, table

    if kind == "configs":
        from fusionkit.config import packaged_configs

        if name not in packaged_configs():
            raise UserError("list configs", f"there is no config '{name}'", suggestion(name, packaged_configs()))
        print(packaged_configs()[name], end="")
        return
    kind = next((part for part in _PARTS.get(kind, (kind,)) if name in table(part)), _PARTS.get(kind, (kind,))[0])
    factory = lookup(kind, name, f"list {kind}")
    print(f"{name}: {first_sentence(inspect.getdoc(factory) or '')}")
    if kind in ("readers", "writers", "phantoms"):  # they have no options of their own
        return
    model, texts = options_model(factory), dict(_COMMON)
    for source in (*reversed(model.__mro__), factory):
        texts.update(_parameters(inspect.getdoc(source) or ""))
    for key, field in model.model_fields.items():
        value = field.get_default(call_default_factory=True)
        value = value.type if isinstance(value, Spec) else value
        default = "required" if field.is_required() else f"default {'none' if value is None else value}"
        print(f"\n  {key}: {describe(field.rebuild_annotation())} ({default})")
        print(textwrap.indent(textwrap.fill(texts.get(key) or field.description or "", 100), "    "))


def _parameters(docstring: str) -> dict[str, str]:
    """The texts of a docstring's parameters by name."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", docstring, re.M | re.S)
    items = re.findall(r"^(\w[\w, ]*) : (.*?)(?=^\w|\Z)", section[1], re.M | re.S) if section else []
    return {name: " ".join(text.replace("`", "").split()) for names, text in items for name in names.split(", ")}


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
