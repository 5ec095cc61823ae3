"""Imports point down: which folder of the package may import which; and no circles."""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = {"fusionkit": "fusionkit", "fusionkit.operators": "operators", "fusionkit.solvers": "solvers"}

# A room imports only from rooms in rows below its own: not from one in its own row, and not from one above.
# A name is a folder or a module; modules of one room in braces may import each other.
ROWS = """
{__main__ cli}
sweep notebook
reconstruct writer
report
extend
export
results
microscope
config
weights uncertainty
{loop convergence_checks calibration start result compose_problem}
solvers
operators
solver
engines
{terms problem pixelwise linear functional certificate build}
checkpoint
data
{errors options registry arrays machine terminal interrupts}
"""
MOST_AT_THE_TOP = 25


@cache
def modules() -> dict[str, Path]:
    """The path of every module by its name."""
    found = {}
    for package, folder in SOURCES.items():
        for place, _, files in os.walk(ROOT / folder):  # it does not follow the links of a development checkout
            inner = Path(place).relative_to(ROOT / folder).parts
            for file in files:
                if file.endswith(".py"):
                    parts = (*inner, *([] if file == "__init__.py" else [file.removesuffix(".py")]))
                    found[".".join([package, *parts])] = Path(place, file)
    return found


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """The modules of this package that a module imports anywhere, and whether only for type checkers."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    unseen = {inner for block in blocks for statement in block.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{module} has a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules() else node.module for name in inner]
        else:
            continue
        yield from ((name, node in unseen) for name in names if name in modules() and name != module)


@cache
def places() -> dict[str, tuple[int, str]]:
    """Row and folder of each name in the drawing."""
    found = {}
    for row, line in enumerate(ROWS.strip().splitlines()):
        inside = line.startswith("{")
        for name in line.strip("{}").split():
            found[name] = (row, line if inside else name)
    return found


def place(module: str) -> tuple[int, str]:
    return places()[module.split(".")[1]]


def test_every_module_has_a_room() -> None:
    assert {module.split(".")[1] for module in modules() if module != "fusionkit"} - {"configs"} == set(places())


def test_every_package_is_installed() -> None:
    """pyproject.toml lists the packages; a folder that it lacks is missing from an installation only."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    packages = {name if path.name == "__init__.py" else name.rpartition(".")[0] for name, path in modules().items()}
    assert packages | {"fusionkit.configs"} == set(listed)


def test_imports_run_downwards() -> None:
    upwards = set()
    for module in modules():
        if module == "fusionkit":  # its names are imported when they are first used
            continue
        row, room = place(module)
        for name, _ in imports(module):
            if name == "fusionkit":
                continue
            below, other = place(name)
            if room != other and below <= row:
                upwards.add((module, name))
    assert upwards == set()


def test_no_import_runs_in_a_circle() -> None:
    """Imports inside functions count; those for type checkers never run."""
    graph = {module: {name for name, unseen in imports(module) if not unseen} for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_few_modules_lie_at_the_top() -> None:
    top = [path for path in modules().values() if path.parent == ROOT / "fusionkit" and path.name != "__init__.py"]
    assert len(top) <= MOST_AT_THE_TOP
