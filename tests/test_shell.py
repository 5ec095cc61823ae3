"""The shell: completion in bash, zsh and fish, and colours according to terminal and environment."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sweeps import write_config

from fusionkit import writer
from fusionkit.cli import main
from fusionkit.cli.completion import SHELLS
from fusionkit.cli.parser import COMMANDS
from fusionkit.config import packaged_configs
from fusionkit.reconstruct import Job
from fusionkit.registry import table
from fusionkit.terminal import has_cursor, is_coloured, painted, painted_status


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script of each shell, in a file."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in SHELLS:
        command = [sys.executable, "-m", "fusionkit", "completion", shell]
        (folder / shell).write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {shell: folder / shell for shell in SHELLS}


def in_shell(shell: str, code: str, folder: Path, *arguments: str) -> str:
    """The output of a shell without user settings, in a folder with a config, another file and a folder."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    for name in ("mine.yaml", "data.npz"):
        (folder / name).touch()
    (folder / "runs").mkdir(exist_ok=True)
    bare = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    environment = {**os.environ, "HOME": str(folder), "TERM": "xterm"}
    command = [program, *bare, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


WORDS = [
    ("", [*COMMANDS]),
    ("va", ["validate"]),
    ("run --ou", ["--output"]),
    ("run cos_n", ["cos_nanoparticle"]),
    ("run mi", ["mine.yaml"]),
    ("run --output ru", ["runs"]),
    ("list sol", ["solvers"]),
    ("simulate fil", ["films"]),
    ("batch mine.yaml da", ["data.npz"]),
    ("batch mine.yaml mine.yaml da", ["data.npz"]),
    ("completion z", ["zsh"]),
    ("export runs --format hs", ["hspy"]),
    ("inspect --reader mic", ["microscope"]),
]
_BASH = 'eval "$(<$0)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_fusionkit; printf "%s\\n" "${COMPREPLY[@]}"'


@pytest.mark.parametrize(("typed", "offered"), WORDS, ids=[row[0] for row in WORDS])
def test_bash(tmp_path: Path, scripts: dict[str, Path], typed: str, offered: list[str]) -> None:
    said = in_shell("bash", _BASH, tmp_path, str(scripts["bash"]), "fusionkit", *typed.split(" "))
    assert set(said.split()) >= set(offered)
    assert all(word.startswith(typed.split(" ")[-1]) for word in said.split())


@pytest.mark.parametrize(("typed", "offered"), WORDS, ids=[row[0] for row in WORDS])
def test_fish(tmp_path: Path, scripts: dict[str, Path], typed: str, offered: list[str]) -> None:
    said = in_shell(
        "fish", "source $argv[1]; complete -C $argv[2]", tmp_path, str(scripts["fish"]), f"fusionkit {typed}"
    )
    assert {line.split("\t")[0].rstrip("/") for line in said.splitlines()} >= set(offered)


_ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "autoload -Uz compinit; compinit -u -D; eval \"\$(<$1)\"; PS1='REA''DY>'"
zpty -r -m shell line '*READY>*'
zpty -w -n shell "fusionkit $2"$'\t'
zpty -r -m shell line "*$3*"
print -r -- "$line"
zpty -d shell
"""


@pytest.mark.parametrize(("typed", "offered"), WORDS[1:], ids=[row[0] for row in WORDS[1:]])
def test_zsh(tmp_path: Path, scripts: dict[str, Path], typed: str, offered: list[str]) -> None:
    """On its own terminal, with the tab key; it waits for the word, at most until the time limit."""
    said = in_shell("zsh", _ZSH, tmp_path, "zsh", str(scripts["zsh"]), typed, offered[0])
    assert offered[0] in said


def test_scripts_name_every_config_phantom_writer_and_reader(scripts: dict[str, Path]) -> None:
    names = {*packaged_configs(), *(name for kind in ("phantoms", "writers", "readers") for name in table(kind))}
    for path in scripts.values():
        assert names <= set(re.findall(r"\w+", path.read_text()))


def test_zsh_completes_every_one_of_several_arguments(scripts: dict[str, Path]) -> None:
    """After ``(*):`` nothing more would be completed; ``*:`` means all that follow."""
    text = scripts["zsh"].read_text()
    assert '"(*):' not in text
    assert text.count('\n  "*:') == 3  # of batch, compare and inspect
    assert '\n  "(- : *)"{-h,--help}' in text


def test_an_unknown_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours(monkeypatch: pytest.MonkeyPatch, terminal: bool, environment: dict[str, str], coloured: bool) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = Terminal() if terminal else io.StringIO()
    assert is_coloured(stream) is coloured
    assert painted("x", "red", stream) == ("\x1b[31mx\x1b[0m" if coloured else "x")
    assert painted_status("converged", stream) == ("\x1b[32mconverged\x1b[0m" if coloured else "converged")
    assert has_cursor(stream) is (terminal and environment.get("TERM") != "dumb")


@pytest.mark.parametrize(
    ("step", "method", "status", "said"),
    [
        ("complete", "bootstrap", 130, "leaving out the error bars, then writing the result"),
        ("complete", "none", 0, "finishing its files"),
        ("write", "none", 0, "finishing its files"),
    ],
)
def test_an_interrupt_after_the_solve(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    step: str,
    method: str,
    status: int,
    said: str,
) -> None:
    """The result is written without the interrupted part; the exit status shows it."""
    place: Any = {"complete": Job, "write": writer}[step]
    carry_on = getattr(place, step)

    def pressing(*arguments: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return carry_on(*arguments, **options)

    monkeypatch.setattr(place, step, pressing)
    config = write_config(tmp_path, uncertainty={"method": method})
    assert main(["run", str(config), "--output", str(tmp_path / "out"), "--quiet"]) == status
    again = "fusionkit: repeat the command, with or without --resume, to go on from here\n" if status else ""
    assert capfd.readouterr().err == f"\nfusionkit: the solve has ended; {said}; Ctrl-C again aborts\n{again}"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["status"], summary["uncertainty"]) == ("max_iterations", None)


def test_errors_and_status_are_coloured_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["run", "no_such_config"]) == 2
    assert capsys.readouterr().err.startswith("\x1b[31mfusionkit:\x1b[0m no_such_config: ")
    quick = ["--set", "data.phantom.size=16", "--set", "output.figures=false", "--set", "solver.max_iterations=2"]
    assert main(["run", "cos_nanoparticle", "--output", str(tmp_path / "out"), *quick]) == 0
    assert "status:     \x1b[33mmax_iterations\x1b[0m\n" in capsys.readouterr().out
