"""Run the benchmarks and report: ``python -m benchmarks [--quick] [--engines auto,numpy] [--output FOLDER]``.

Other arguments go to pytest: ``-k denoising`` runs a part. A full run also updates the figure in docs/figures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from benchmarks.figure import draw
from benchmarks.records import read
from benchmarks.report import report

_HERE = Path(__file__).parent
_IN_DOCS = _HERE.parent / "docs" / "figures" / "objective_vs_seconds.png"


def main(arguments: list[str]) -> int:
    """Exit status of pytest."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks and report.")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder of tables and figure")
    options, others = parser.parse_known_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    json = options.output / "benchmarks.json"
    json.unlink(missing_ok=True)
    status = int(pytest.main([str(_HERE), f"--benchmark-json={json}", "--benchmark-quiet", *others]))
    if json.exists() and json.stat().st_size:
        run = read(json)
        text = report(run)
        (options.output / "benchmarks.md").write_text(text, encoding="utf-8")
        full = not {"--quick", "-k"} & set(others)
        figures = [path for path in (options.output / _IN_DOCS.name, *([_IN_DOCS] if full else [])) if draw(run, path)]
        print(f"\n{text}\nwritten: {json}, {json.with_suffix('.md')}", *figures, sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
