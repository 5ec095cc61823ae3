"""A run of a packaged problem, from start to files, compared with the imports that it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import Timer

IMPORTS = "import numpy, matplotlib.figure, h5py"


@pytest.mark.benchmark(group="startup")
def test_imports(benchmark: Timer) -> None:
    benchmark.pedantic(_started, ([sys.executable, "-c", IMPORTS],), rounds=5, warmup_rounds=1)
    benchmark.extra_info.update(program=IMPORTS)


@pytest.mark.benchmark(group="startup")
def test_run(benchmark: Timer, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "fusionkit", "run", "cos_nanoparticle", "--quiet", "--overwrite", "--output"]
    command = [*run, str(tmp_path / "run")]
    benchmark.pedantic(_started, (command,), rounds=5, warmup_rounds=1)  # the first compiles
    assert (tmp_path / "run" / "summary.json").is_file()
    benchmark.extra_info.update(program="fusionkit run cos_nanoparticle")


def _started(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
