"""``fusionkit completion``: a script for a shell to complete commands, options, names and files."""

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator

from fusionkit.cli import DONE

SHELLS = ("bash", "zsh", "fish")

# shell functions that list packaged configs, `names`, and files
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
_KINDS = {"PRESET": "phantoms", "WRITER": "writers", "READER": "readers"}  # kinds of names by metavar


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

    name = "_fusionkit_configs"
    completions = {
        "FILE": shtab.FILE,
        "FILE.yaml": shtab.FILE,
        "DIR": shtab.DIRECTORY,
        "RUN": shtab.DIRECTORY,
        "CONFIG": {"bash": name, "zsh": name, "fish": f"({name})"},
    }
    parser = build_parser()
    for action in _actions(parser):
        if action.metavar in _KINDS:
            action.choices = list(table(_KINDS[action.metavar]))
        elif action.metavar in completions:
            action.complete = completions[action.metavar]  # type: ignore[attr-defined]  # defined by shtab, not argparse
    preamble = _CONFIGS[arguments.shell].format(names=_quoted(packaged_configs(), arguments.shell))
    script = shtab.complete(parser, arguments.shell, preamble=preamble)
    if arguments.shell == "zsh":  # shtab writes ``(*):``, which stops after the first of repeated arguments
        script = re.sub(r'^(\s*")\(\*\):', r"\1*:", script, flags=re.MULTILINE)
    print(script)
    return DONE


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
