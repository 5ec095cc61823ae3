"""``fusionkit completion``: a script with which a shell completes commands, options, names and files."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator

from fusionkit.exit_status import DONE

SHELLS = ("bash", "zsh", "fish")

# what lists names and files, in each shell's words; `names` are quoted for it
_BASH = """_fusionkit_configs() {{
  compgen -W {configs} -- "$1"
  compgen -f -X '!*.yaml' -- "$1"
  compgen -f -X '!*.yml' -- "$1"
  compgen -d -- "$1"
}}
_fusionkit_presets() {{
  compgen -W {presets} -- "$1"
}}
"""
_ZSH = """_fusionkit_configs() {{
  local -a names=({configs})
  _alternative 'configs:packaged config:compadd -a names' 'files:file:_files -g "*.(yaml|yml)(-.)"'
}}
_fusionkit_presets() {{
  local -a names=({presets})
  compadd -a names
}}
"""
_FISH = """function _fusionkit_configs
  printf '%s\\n' {configs}
  __fish_complete_suffix .yaml
end
function _fusionkit_presets
  printf '%s\\n' {presets}
end
"""


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``completion``."""
    command.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    command.description = "Print a script that completes commands, options, names and files."
    command.epilog = (
        'In bash and zsh: eval "$(fusionkit completion bash)". In fish: fusionkit completion fish | source.'
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the script; it holds the names of configs and phantoms that there are now."""
    import shtab

    from fusionkit.cli_parser import build_parser
    from fusionkit.config import packaged_configs
    from fusionkit.registry import table

    configs, presets = list(packaged_configs()), list(table("phantoms"))
    by_metavar = {
        "FILE": shtab.FILE,
        "FILE.yaml": shtab.FILE,
        "DIR": shtab.DIRECTORY,
        "RUN": shtab.DIRECTORY,
        "CONFIG": _function("_fusionkit_configs"),
        "PRESET": _function("_fusionkit_presets"),
    }
    parser = build_parser()
    for action in _actions(parser):
        # shtab's own way to attach a completion
        if action.metavar in by_metavar:
            action.complete = by_metavar[action.metavar]  # type: ignore[attr-defined]  # argparse's stub has no place for it
    script = shtab.complete(parser, arguments.shell, preamble=_preamble(arguments.shell, configs, presets))
    print(_with_every_argument(script) if arguments.shell == "zsh" else script)
    return DONE


def _with_every_argument(script: str) -> str:
    """A zsh script that completes all of several arguments: shtab's ``(*):`` ends with the first, ``*:`` does not."""
    return re.sub(r'^(\s*")\(\*\):', r"\1*:", script, flags=re.MULTILINE)


def _function(name: str) -> dict[str, str]:
    return {"bash": name, "zsh": name, "fish": f"({name})"}


def _preamble(shell: str, configs: Iterable[str], presets: Iterable[str]) -> str:
    words = {"configs": " ".join(map(shlex.quote, configs)), "presets": " ".join(map(shlex.quote, presets))}
    lists = {name: shlex.quote(text) for name, text in words.items()}
    return {"bash": _BASH.format(**lists), "zsh": _ZSH.format(**words), "fish": _FISH.format(**words)}[shell]


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
