"""``fusionkit completion``: a script for a shell to complete commands, options, names and files."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping

from fusionkit.cli import DONE

SHELLS = ("bash", "zsh", "fish")

# shell functions that list packaged configs and files; `names` are quoted for the shell
_CONFIGS = {
    "bash": """_fusionkit_configs() {{
  compgen -W {names} -- "$1"
  compgen -f -X '!*.yaml' -- "$1"
  compgen -f -X '!*.yml' -- "$1"
  compgen -d -- "$1"
}}
""",
    "zsh": """_fusionkit_configs() {{
  local -a names=({names})
  _alternative 'configs:packaged config:compadd -a names' 'files:file:_files -g "*.(yaml|yml)(-.)"'
}}
""",
    "fish": """function _fusionkit_configs
  printf '%s\\n' {names}
  __fish_complete_suffix .yaml
end
""",
}
# shell functions that list names
_NAMES = {
    "bash": """_fusionkit_{kind}() {{
  compgen -W {names} -- "$1"
}}
""",
    "zsh": """_fusionkit_{kind}() {{
  local -a names=({names})
  compadd -a names
}}
""",
    "fish": """function _fusionkit_{kind}
  printf '%s\\n' {names}
end
""",
}
_KINDS = {"PRESET": "phantoms", "WRITER": "writers", "READER": "readers"}  # kinds by metavar


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``completion``."""
    command.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    command.description = "Print a script that completes commands, options, names and files."
    command.epilog = (
        'In bash and zsh: eval "$(fusionkit completion bash)". In fish: fusionkit completion fish | source.'
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the script, with the current names of configs, phantoms, writers and readers."""
    import shtab

    from fusionkit.cli.parser import build_parser
    from fusionkit.config import packaged_configs
    from fusionkit.registry import table

    names = {kind: list(table(kind)) for kind in _KINDS.values()}
    by_metavar = {
        "FILE": shtab.FILE,
        "FILE.yaml": shtab.FILE,
        "DIR": shtab.DIRECTORY,
        "RUN": shtab.DIRECTORY,
        "CONFIG": _function("_fusionkit_configs"),
        **{metavar: _function(f"_fusionkit_{kind}") for metavar, kind in _KINDS.items()},
    }
    parser = build_parser()
    for action in _actions(parser):
        if action.metavar in by_metavar:
            action.complete = by_metavar[action.metavar]  # type: ignore[attr-defined]  # defined by shtab, not argparse
    script = shtab.complete(parser, arguments.shell, preamble=_preamble(arguments.shell, packaged_configs(), names))
    print(_complete_repeated(script) if arguments.shell == "zsh" else script)
    return DONE


def _complete_repeated(script: str) -> str:
    """Make a zsh script complete all repeated arguments: shtab writes ``(*):``, which stops after the first."""
    return re.sub(r'^(\s*")\(\*\):', r"\1*:", script, flags=re.MULTILINE)


def _function(name: str) -> dict[str, str]:
    return {"bash": name, "zsh": name, "fish": f"({name})"}


def _preamble(shell: str, configs: Iterable[str], names: Mapping[str, Iterable[str]]) -> str:
    functions = [_CONFIGS[shell].format(names=_quoted(configs, shell))]
    functions += [_NAMES[shell].format(kind=kind, names=_quoted(known, shell)) for kind, known in names.items()]
    return "".join(functions)


def _quoted(names: Iterable[str], shell: str) -> str:
    words = " ".join(map(shlex.quote, names))
    return shlex.quote(words) if shell == "bash" else words  # bash splits one word


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
