"""docs/extending.md literally: its files written, its lines added, its plug-in installed; and broken plug-ins."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from fusionkit import registry
from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.engines.cpu import compile

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    """The blocks that begin with the name of a file in a comment, by that name."""
    found = {}
    for _, block in BLOCKS:
        label = re.match(r"# (\S+/\S+\.\w+)\n", block)
        if label:
            found[label[1]] = block
    return found


def additions() -> list[tuple[str, str, str]]:
    """The blocks of lines to add: file, the line before them, the lines."""
    found = []
    for language, block in BLOCKS:
        if language == "diff":
            head, before, *added = block.splitlines()
            assert all(line.startswith("+") for line in added)
            found.append((head.removeprefix("--- "), before[1:], "\n".join(line[1:] for line in added)))
    return found


def call(folder: Path, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a separate process that searches ``path`` first."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


# ------------------------------------------------------------------------------------------------ inside the repository


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the page's files and lines."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("fusionkit", "operators", "solvers", "configs", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name, content in files().items():
        if not name.startswith("fusionkit-example/"):
            assert not (folder / name).exists()
            (folder / name).write_text(content, encoding="utf-8")
    for name, before, added in additions():
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(f"{before}\n") == 1, (name, before)
        (folder / name).write_text(text.replace(f"{before}\n", f"{before}\n{added}\n"), encoding="utf-8")
    share_kernels(folder / "fusionkit" / "engines" / "cpu")
    return folder


def share_kernels(folder: Path) -> None:
    """Copy the compiled kernels too; their cache compares the times of the sources."""
    installed = Path(compile.__file__).parent
    for source in installed.glob("*.py"):
        shutil.copystat(source, folder / source.name)
    if (installed / "__pycache__").is_dir():
        shutil.copytree(installed / "__pycache__", folder / "__pycache__", ignore=shutil.ignore_patterns("*.pyc"))


def test_the_page_shows_every_kind_of_file() -> None:
    assert set(files()) == {
        "operators/penalty/elastic_net.py",
        "operators/forward/saturating.py",
        "solvers/barzilai_borwein.py",
        "fusionkit-example/pyproject.toml",
        "fusionkit-example/fusionkit_example.py",
        "fusionkit-example/example.yaml",
    }
    assert len(additions()) == 8


def test_the_page_imports_from_one_namespace() -> None:
    imported = set(re.findall(r"^(?:from|import) (fusionkit[\w.]*)", TEXT, re.MULTILINE))
    assert imported == {"fusionkit", "fusionkit.extend"}


def test_the_namespace_has_its_names_and_loads_no_config() -> None:
    code = "import sys, fusionkit.extend as extend; assert 'fusionkit.config' not in sys.modules\n"
    code += "assert all(hasattr(extend, name) for name in extend.__all__)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# tests of the copy to run, and their least number
ROWS = [
    ("test_penalties.py", "elastic_net", 4),
    ("test_forwards.py", "saturating", 4),
    ("test_fidelities.py", "saturating", 6),
    ("test_solvers.py", "barzilai_borwein", 10),
    ("test_solvers.py", "test_converges_to_the_optimum and elastic_net", 5),
]


def test_the_rows_of_the_page_are_tested_and_pass(copy: Path) -> None:
    chosen = " or ".join(f"({module} and {names})" for module, names, _ in ROWS)
    modules = sorted({f"tests/{module}" for module, *_ in ROWS})
    done = call(copy, copy, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *modules, "-k", chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    for module, names, least in ROWS:
        words = [word for word in names.split(" and ") if not word.startswith("not ")]
        lines = [line for line in done.stdout.splitlines() if line.startswith(f"PASSED tests/{module}::")]
        assert sum(all(word in line for word in words) for line in lines) >= least, done.stdout


def test_the_added_names_are_listed(copy: Path) -> None:
    said = call(copy, copy, "-m", "fusionkit", "list").stdout
    for line in (
        "elastic_net             Sparse and small values: w sum(|x| + r/2 x^2).",
        "saturating              Counts of a detector that saturates: x / (1 + x / limit).",
        "barzilai_borwein        Gradient projection whose step follows the curvature.",
    ):
        assert re.search(r"^ *" + re.sub(" +", " +", re.escape(line).replace(r"\ ", " ")), said, re.MULTILINE), said


def yaml_blocks() -> list[str]:
    return [block for language, block in BLOCKS if language == "yaml" and block.startswith("version:")]


@pytest.mark.parametrize("block", yaml_blocks(), ids=["modality", "by name"])
def test_yaml_alone(tmp_path: Path, block: str) -> None:
    (tmp_path / "mine.yaml").write_text(block, encoding="utf-8")
    assert main(["run", str(tmp_path / "mine.yaml"), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    assert yamlio.read(tmp_path / "out" / "summary.json")["status"] == "converged"


# ------------------------------------------------------------------------------------------------------------- plug-in


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's plug-in, installed into ``site``."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "fusionkit-example").mkdir()
    for name, content in files().items():
        if name.startswith("fusionkit-example/"):
            (folder / name).write_text(content, encoding="utf-8")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir"]
    target = ["--disable-pip-version-check", "--target", str(folder / "site"), "./fusionkit-example"]
    done = call(folder, folder, *install, *target)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def fusionkit(example: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line with the plug-in installed."""
    return call(example, example / "site", "-m", "fusionkit", *arguments)


def found_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which this process finds distributions for the time being."""
    caches, modules = (registry.table, registry.plugins), set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    for cached in caches:
        cached.cache_clear()
    yield folder
    monkeypatch.undo()
    for cached in caches:
        cached.cache_clear()
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def installed(example: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's plug-in in this process, and its config; a separate process takes seconds to start."""
    for _ in found_in(example / "site", monkeypatch):
        monkeypatch.chdir(example)
        yield example / "fusionkit-example" / "example.yaml"


def test_plugin_is_listed(example: Path) -> None:
    done = fusionkit(example, "list")
    for line in (
        r"prior_level +Values about a level: w/2 \|\|x - level\|\|\^2\.",
        r"projected_gradient +Projected gradient steps of a fixed length, for smooth terms and bounds\.",
    ):
        assert re.search(rf"^ *{line}$", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_plugin_is_no_part_of_this_installation() -> None:
    assert "prior_level" not in registry.table("terms")


def test_plugin_validates(example: Path) -> None:
    done = fusionkit(example, "validate", "fusionkit-example/example.yaml")
    assert done.returncode == 0, done.stderr
    assert "term: prior_level (proximable and smooth and pixelwise, " in done.stdout
    assert "solver: projected_gradient (" in done.stdout


def test_plugin_runs_and_its_defaults_are_recorded(example: Path) -> None:
    done = fusionkit(example, "run", "fusionkit-example/example.yaml", "--output", "first", "--quiet")
    assert done.returncode == 0, done.stderr
    assert yamlio.read(example / "first" / "summary.json")["status"] == "converged"
    full = yamlio.read(example / "first" / "config.resolved.yaml")
    assert full["terms"][1] == {"type": "prior_level", "weight": 1.0, "level": 5.0, "name": None}
    assert full["solver"] == {
        "type": "projected_gradient",
        "max_iterations": 500,
        "tolerance": 1e-4,
        "check_every": None,
        "time_limit": None,
        "step": 0.4,
    }
    with h5py.File(example / "first" / "result.h5") as file:
        found, counts = np.asarray(file["maps"]), np.asarray(file["inputs/maps"])
    np.testing.assert_allclose(found, (counts + 5.0) / 2.0, rtol=1e-3)  # the mean of counts and level, both weight 1
    again = fusionkit(example, "run", "first/config.resolved.yaml", "--output", "second", "--quiet")
    assert again.returncode == 0, again.stderr
    assert (example / "second" / "config.resolved.yaml").read_text() == (
        example / "first" / "config.resolved.yaml"
    ).read_text()


@pytest.mark.parametrize("solver", ["chambolle_pock", "admm", "condat_vu", "proximal_gradient"])
def test_plugin_term_in_a_builtin_solver(installed: Path, tmp_path: Path, solver: str) -> None:
    changes = ["--set", f"solver={solver}", "--set", "output.figures=false", "--output", str(tmp_path / "out")]
    assert main(["run", str(installed), "--quiet", *changes]) == 0
    assert yamlio.read(tmp_path / "out" / "summary.json")["status"] == "converged"


WRONG = [
    ("terms.1.levle=3", r"terms\[1\]\.levle: unknown key; did you mean 'level'\?"),
    ("terms.1.level=much", r"terms\[1\]\.level: must be a number, got the text 'much'"),
    ("terms.1.type=prior_levle", r"terms\[1\]\.type: there is no term 'prior_levle'; did you mean 'prior_level'\?"),
    ("solver.step=0", r"solver\.step: must be a number > 0, got 0"),
    ("solver=schwartz2022", r"solver schwartz2022: cannot take .*; solvers that can: .*\bprojected_gradient\b.*"),
    (
        "terms.2=tv",
        r"solver projected_gradient: cannot take the term 'tv': .*; solvers that can: auto, chambolle_pock, .*",
    ),
]


def one_line(said: str) -> str:
    """The line of a refusal."""
    assert said.startswith("fusionkit: ")
    assert said.count("\n") == 1
    return said.removeprefix("fusionkit: ").removesuffix("\n")


@pytest.mark.parametrize(("change", "line"), WRONG, ids=[change for change, _ in WRONG])
def test_plugin_is_refused_like_what_is_built_in(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, line: str
) -> None:
    assert main(["run", str(installed), "--set", change, "--output", str(tmp_path / "none")]) == 2
    said = one_line(capsys.readouterr().err)
    assert re.fullmatch(line, said), said
    assert not (tmp_path / "none").exists()


def test_unknown_option_of_the_plugin_ends_a_process_with_status_2(example: Path) -> None:
    done = fusionkit(example, "run", "fusionkit-example/example.yaml", "--set", WRONG[0][0], "--output", "none")
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(WRONG[0][1], one_line(done.stderr))
    assert not (example / "none").exists()


# ----------------------------------------------------------------------------------------------------- broken plug-ins


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which distributions are found."""
    yield from found_in(tmp_path, monkeypatch)


def lay_out(site: Path, module: str, code: str) -> None:
    """An installed plug-in ``broken`` whose table is ``PLUGIN`` in ``module``."""
    (site / f"{module}.py").write_text(code, encoding="utf-8")
    folder = site / "broken-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n", encoding="utf-8")
    (folder / "entry_points.txt").write_text(f"[fusionkit.plugins]\nbroken = {module}:PLUGIN\n", encoding="utf-8")


NO_MAPPING = r"plug-in broken: is not a mapping of kinds to factories by name; write .*; kinds are terms, forwards, .*"
BROKEN = [
    (
        "raises",
        "raise RuntimeError('no\\ndevice')",
        r"plug-in broken: cannot be loaded \(RuntimeError: no device\); .*",
    ),
    ("syntax", "def", r"plug-in broken: cannot be loaded \(SyntaxError: .*\); repair or uninstall it"),
    ("no table", "TABLE = {}", r"plug-in broken: cannot be loaded \(AttributeError: .*'PLUGIN'.*\); .*"),
    ("list", "PLUGIN = ['tv']", NO_MAPPING),
    ("unknown kind", "PLUGIN = {'losses': {}}", NO_MAPPING),
    ("list of names", "PLUGIN = {'terms': ['mine']}", NO_MAPPING),
    ("no factory", "PLUGIN = {'terms': {'mine': 3}}", NO_MAPPING),
    ("taken name", "PLUGIN = {'terms': {'tv': print}}", r"plug-in broken: terms 'tv' exists already; .*"),
]


@pytest.mark.parametrize(("code", "line"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_broken_plugin_is_named_in_one_line(
    site: Path, capsys: pytest.CaptureFixture[str], code: str, line: str
) -> None:
    lay_out(site, "broken_whole", code)
    for arguments in (["list", "terms"], ["validate", "cos_nanoparticle", "--set", "data.phantom.size=16"]):
        assert main(arguments) == 2
        said = one_line(capsys.readouterr().err)
        assert re.fullmatch(line, said), said


def validate(term: str) -> list[str]:
    """The command line for a small config with one more term."""
    sizes = ["--set", "data.phantom.size=16"]
    return ["validate", "cos_nanoparticle", *sizes, "--set", f"terms.2={{type: {term}}}"]


def test_plugin_without_its_library_leaves_the_rest_usable(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(site, "broken_import", "import no_such_library\nPLUGIN = {'terms': {'mine': print}}")
    assert main(["list", "terms"]) == 0
    assert re.search(r"plug-in broken +cannot be used: No module named 'no_such_library'\n", capsys.readouterr().out)
    assert main(validate("tv")) == 0
    capsys.readouterr()
    assert main(validate("mine")) == 2
    said = one_line(capsys.readouterr().err)
    assert re.fullmatch(
        r"terms\[2\]\.type: there is no term 'mine'; .*; "
        r"the plug-in broken cannot be used \(No module named 'no_such_library'\)",
        said,
    ), said


DEFERRED = """PLUGIN = {
    "terms": {"mine": "broken_part:term"},
    "solvers": {"mine": "broken_part:Solver", "other": "broken_part2:Solver"},
}"""


def test_optional_library_of_one_factory(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(site, "broken_table", DEFERRED)
    (site / "broken_part.py").write_text("import no_such_library", encoding="utf-8")
    (site / "broken_part2.py").write_text("1 / 0", encoding="utf-8")
    assert main(["list", "solvers"]) == 0
    said = capsys.readouterr().out
    assert re.search(
        r"^mine +\(plug-in broken: 'mine' cannot be used \(No module named 'no_such_library'\); ", said, re.M
    )
    assert re.search(
        r"^other +\(plug-in broken: cannot be loaded \(ZeroDivisionError: division by zero\); ", said, re.M
    )
    assert main(validate("mine")) == 2
    assert "'mine' cannot be used (No module named 'no_such_library')" in capsys.readouterr().err
    # a refusal names the solvers that can, even if others are broken
    assert main([*validate("tgv"), "--set", "solver=admm"]) == 2
    able = one_line(capsys.readouterr().err).partition("solvers that can: ")[2].split(", ")
    assert "chambolle_pock" in able
    assert not {"mine", "other"} & set(able)


FACTORIES = [
    "def term(): ...",
    "def term(options, context): ...",
    "def term(options: dict, context): ...",
    "from __future__ import annotations\ndef term(options: Unseen, context): ...",
]


@pytest.mark.parametrize("code", FACTORIES)
def test_factory_without_a_model_of_its_options(site: Path, capsys: pytest.CaptureFixture[str], code: str) -> None:
    lay_out(site, "broken_factory", f"{code}\nPLUGIN = {{'terms': {{'mine': term}}}}")
    assert main(validate("mine")) == 2
    said = one_line(capsys.readouterr().err)
    assert said.startswith("broken_factory.term: its first parameter is not annotated with a model of its options; ")
