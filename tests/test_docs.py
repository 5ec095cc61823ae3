"""README and docs: Python blocks run, configurations validate, commands parse, files and figures exist."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fusionkit.cli import main
from fusionkit.cli.parser import build_parser
from fusionkit.config import load_config, packaged_configs
from fusionkit.errors import IO
from fusionkit.registry import lookup

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
    *sorted((ROOT / "docs").glob("**/*.md")),
]
FOLDERS = "benchmarks|configs|docs|fusionkit|operators|solvers|tests"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of the languages."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for language, block in found if language in languages]


def rows(*languages: str, start: str = "") -> list[object]:
    """Parameters of a test: each block that begins with ``start``, named by page and number."""
    return [
        pytest.param(block, id=f"{name_of(page)}-{index}")
        for page in PAGES
        for index, block in enumerate(blocks(page, *languages))
        if block.startswith(start)
    ]


@pytest.mark.parametrize("block", rows("python"))
def test_python_runs(tmp_path: Path, block: str) -> None:
    """In a separate process and an empty folder, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", block]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^print\(.*\)  # (.+)$", block, re.MULTILINE)
    assert done.stdout.splitlines()[: len(shown)] == shown


def test_the_remedy_for_a_missing_package_names_those_of_the_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert re.findall(r"[\w-]+", re.sub(r"<\S+", "", IO))[2:] == [re.split("[<>]", one)[0] for one in extras["io"]]


@pytest.mark.parametrize("block", rows("yaml", start="version:"))
def test_configuration_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str], block: str) -> None:
    """With its data if they are simulated; recordings belong to the reader of the page."""
    config = tmp_path / "mine.yaml"
    config.write_text(block, encoding="utf-8")
    if load_config(config).config.data.phantom is not None:
        assert main(["validate", str(config)]) == 0, capsys.readouterr().err


def commands() -> list[object]:
    """Every ``fusionkit ...`` of the sh blocks, named by page and line."""
    lines = [(page, line) for page in PAGES for block in blocks(page, "sh", "bash") for line in block.splitlines()]
    parts = [(page, part.strip()) for page, line in lines for part in line.partition("  #")[0].split("&&")]
    return [pytest.param(part, id=f"{name_of(page)}: {part}") for page, part in parts if part.startswith("fusionkit ")]


@pytest.mark.parametrize("command", commands())
def test_command_is_right(tmp_path: Path, command: str) -> None:
    """It parses, and the names in it exist, except files of the reader."""
    arguments = build_parser().parse_args(shlex.split(command)[1:])
    if arguments.command in ("run", "validate"):
        check_config(arguments, tmp_path)
    elif arguments.command == "simulate":
        assert lookup("phantoms", arguments.preset, "simulate")


def check_config(arguments: argparse.Namespace, folder: Path) -> None:
    """The config is packaged, in this repository or the reader's; ``--set`` applies to it."""
    given = arguments.config
    if given.endswith((".yaml", ".yml")):
        its_own = Path(given).name.startswith("my") or f"# {given}\n" in "".join(map(Path.read_text, PAGES))
        assert its_own or (ROOT / given).is_file()
        return
    assert given in packaged_configs()
    # in a file; its data are opened when they are read
    (folder / "packaged.yaml").write_text(packaged_configs()[given], encoding="utf-8")
    load_config(folder / "packaged.yaml", arguments.set)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as on GitHub."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_figures_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} links to {target}"
        assert not anchor or anchor in anchors(file), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    """Paths of this repository in commands, and in prose where they are code."""
    shown = prose(page) + "\n".join(f"`{line}`" for block in blocks(page, "sh", "bash") for line in block.splitlines())
    for code in re.findall(r"`([^`\n]+)`", shown):
        for path in re.findall(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*\w)(?![\w/*])", code):
            assert (ROOT / path).exists(), f"{name_of(page)} names {path}"


def test_packaged_configs_that_the_pages_name_run_by_name() -> None:
    named = {name for page in PAGES for name in re.findall(r"`fusionkit run (\w+)`", page.read_text(encoding="utf-8"))}
    assert named <= set(packaged_configs())
