"""Peak memory of a solve in addition to its inputs, in float32 images per element."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import Timer, composed
from benchmarks.memory_child import ENVIRONMENT
from benchmarks.problems import case

SIZES = {"full": [256, 512, 1024, 2048, 4096], "quick": [256, 512]}


@pytest.mark.benchmark(group="memory")
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux reports and resets the peak")
def test_peak_memory(benchmark: Timer, engine: str, size: int) -> None:
    small = case("nanoparticle_fractions", 32)
    composed(small.dataset, small.terms, engine)  # skips if the engine is not available
    command = [sys.executable, "-m", "benchmarks.memory_child", str(size), engine]
    folder, environment = Path(__file__).parents[1], {**os.environ, **ENVIRONMENT}

    def measure() -> dict[str, int]:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    found = benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info.update(engine=engine, size=size, added=found["added"], images=found["added"] / found["images"])
