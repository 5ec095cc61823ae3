"""Imports of a run: nothing heavy that its config does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

# modules that a stage of a run must not import; together they take longer than the solve of a small problem
IMPORTED = """
import sys
import fusionkit
assert "numpy" not in sys.modules, "import fusionkit costs nothing"
job = fusionkit.prepare({config!r}, ("solver.max_iterations=2",))
result = job.solve()
job.record(result)
print(",".join(name for name in {names!r} if name in sys.modules))
"""
NEVER = ("pylops", "pyproximal", "scipy.signal", "scipy.stats", "scipy.optimize", "matplotlib", "rich", "skimage")
NEVER += ("cupy", "fusionkit.engines.gpu")


def imported(config: str, names: tuple[str, ...]) -> list[str]:
    """The modules, of those listed, that a run of the config imports before it writes files."""
    code = IMPORTED.format(config=config, names=names)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.strip().split(",") if name]


@pytest.mark.parametrize("config", ["cos_nanoparticle", "cos_admm", "cos_proximal_gradient"])
def test_a_run_imports_nothing_that_it_does_not_need(config: str) -> None:
    assert imported(config, NEVER) == []


def test_a_linear_model_imports_pylops() -> None:
    assert imported("linear_regression", ("pylops",)) == ["pylops"]
