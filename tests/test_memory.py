"""Memory: the estimate for a run against its measured use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from fusionkit import machine as memory
from fusionkit.compose_problem import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.problem import Problem
from fusionkit.registry import lookup, table
from fusionkit.solver import fit, solve_bytes

# prints the memory of a solve beside the data, measured and expected, after compilation and imports
MEASURED = """
import ctypes, gc, json
from pathlib import Path
import fusionkit as fk
from fusionkit.solver import fit, solve_bytes

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])

def job(size):
    options = (f"data.phantom.size={{size}}", "solver={{type: {solver}, max_iterations: 12, tolerance: 1.0e-9}}")
    return fk.prepare("cos_nanoparticle", (*options, "engine={engine}", "{terms}"))

job(32).solve()
measured = job({size})
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
measured.solve()
split = fit(measured.solver, measured.problem)
expected = solve_bytes(split, measured.solver.memory(split)) - measured.start.nbytes
print(json.dumps([status("VmHWM") - before, expected]))
"""
PLAIN = "terms.haadf.gamma=1"
# memory that the C library keeps would hide arrays
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells and resets a process's peak")
@pytest.mark.parametrize(
    ("solver", "engine", "size", "terms"),
    [
        ("chambolle_pock", "numba", 1024, PLAIN),
        ("chambolle_pock", "numba", 512, "terms=[{type: haadf, gain: auto}, poisson, {type: tgv, weight: 3.0}]"),
        ("chambolle_pock", "numpy", 512, PLAIN),
        ("linearized_admm", "numba", 512, PLAIN),
        ("admm", "numba", 512, PLAIN),
        ("condat_vu", "numpy", 512, PLAIN),
        ("proximal_gradient", "numpy", 256, PLAIN),
    ],
)
def test_a_solve_takes_what_is_expected(solver: str, engine: str, size: int, terms: str) -> None:
    code = MEASURED.format(solver=solver, engine=engine, size=size, terms=terms)
    command, environment = [sys.executable, "-c", code], {**os.environ, **AT_ONCE}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    taken, expected = json.loads(done.stdout)
    assert 0.75 < taken / expected < 1.25


def problem(shape: tuple[int, ...], terms: list[str], precision: str = "single") -> Problem:
    data = Dataset({"maps": np.ones(shape)}, elements=("Co", "O"))
    return compose(data, [{"type": name, "name": f"{name}{i}"} for i, name in enumerate(terms)], None, precision)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in table("solvers") if name not in ("davis_yin", "schwartz2022")])
def test_memory_grows_with_the_problem(name: str) -> None:
    solver = make_solver(name)

    def needed(shape: tuple[int, ...], terms: list[str], precision: str = "single") -> int:
        split = fit(solver, problem(shape, terms, precision))
        return solve_bytes(split, solver.memory(split))

    small = needed((2, 100, 100), ["poisson", "tv"])
    assert needed((2, 200, 200), ["poisson", "tv"]) > small
    assert needed((2, 100, 100), ["poisson", "tv", "tv"]) > small
    assert needed((2, 100, 100), ["poisson", "tv"], "double") > small
    assert memory.available() > small
    memory.require(small, "data")


def test_every_solver_says_what_it_holds() -> None:
    solvers = [lookup("solvers", name, "solver") for name in table("solvers")]
    assert [solver.name for solver in solvers if not {"held", "memory"} & set(vars(solver))] == []


def test_too_much_is_refused_with_both_figures() -> None:
    solver = make_solver("chambolle_pock")
    split = fit(solver, problem((2, 8, 8), ["poisson", "tv"]))
    huge = solve_bytes(replace(split, problem=replace(split.problem, shape=(3, 10**9, 10**9))), memory.Held(1, 1))
    with pytest.raises(
        UserError, match=r"^data.size: the run needs about .* GiB of memory, but .* GiB are available; "
    ):
        memory.require(huge, "data.size")


_V1, _V2 = memory._VERSIONS[1], memory._VERSIONS[0]


@pytest.mark.parametrize(
    ("own", "groups", "left"),
    [
        ("0::/", {}, None),
        ("0::/job", {"job": (_V2, "max", 5)}, None),
        ("0::/", {"": (_V2, "1000", 300)}, 700),  # a container
        ("0::/slurm/job/step", {"slurm/job": (_V2, "900", 300), "slurm/job/step": (_V2, "max", 5)}, 600),
        ("0::/a/b", {"a": (_V2, "5000", 300), "a/b": (_V2, "900", 880)}, 20),
        ("4:memory:/a/b\n1:cpu:/", {"memory/a": (_V1, "900", 300), "memory/a/b": (_V1, "9223372036854771712", 5)}, 600),
        ("4:cpu,memory:/docker/x\n0::/", {"memory": (_V1, "1000", 300)}, 700),  # whose own group is the root
        ("4:cpu:/a", {"a": (_V1, "900", 300)}, None),
    ],
)
def test_every_cgroup_above_the_process_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    groups: dict[str, tuple[tuple[str, ...], str, int]],
    left: int | None,
) -> None:
    for name, (files, limit, used) in groups.items():
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / files[0]).write_text(f"{limit}\n")
        (tmp_path / name / files[1]).write_text(f"{used + 70}\n")
        (tmp_path / name / "memory.stat").write_text(f"anon {used}\n{files[2]} 100\n{files[3]} 30\n")
    (tmp_path / "own").write_text(own + "\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "own")
    free = memory.available()
    assert free == left if left is not None else free > 10**6


def test_an_address_space_that_does_not_suffice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    used = psutil.Process().memory_info().vms
    monkeypatch.setattr("resource.getrlimit", lambda what: (used + memory.library_bytes() + 10**8, -1))
    assert abs(memory.available() - 10**8) < 10**7
    with pytest.raises(UserError, match="GiB are available"):
        memory.require(2 * 10**8, "data")


def test_peak_is_the_most_that_was_resident() -> None:
    before = memory.resident()
    array = np.ones(50_000_000 // 8)
    held = memory.resident()
    assert held > before + 0.9 * array.nbytes
    del array
    assert memory.peak() > held - 1e6  # Linux counts in batches


@pytest.mark.parametrize(
    ("size", "text"), [(84_600_000, "85 MB"), (999_400_000, "999 MB"), (2_345_000_000, "2.3 GB"), (0, "0 MB")]
)
def test_sizes_in_words(size: int, text: str) -> None:
    assert memory.spell(size) == text


def test_a_run_reports_memory(tmp_path: Path) -> None:
    size = ("--set", "data.phantom.size=64", "--set", "solver.max_iterations=5", "--set", "output.figures=false")
    command = [sys.executable, "-m", "fusionkit", "run", "cos_nanoparticle", *size, "--output", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    reported = json.loads((tmp_path / "run" / "summary.json").read_text())["memory"]
    assert f"needs about {memory.spell(reported['estimate'])} of memory" in done.stderr
    assert 0.6 < reported["peak"] / reported["estimate"] < 1.4
