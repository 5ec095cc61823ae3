"""``python -m benchmarks.guided``: the tables and figures of docs/guided.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.guided import figures
from benchmarks.guided.compare import SIZES, rows
from benchmarks.guided.misled import studies


def main() -> None:
    """Measure what is missing; write tables and figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guided", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/guided"), help="folder of rows and figures")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="pixels along both axes")
    parser.add_argument(
        "--parts", nargs="+", choices=["compare", "maps", "misled"], default=["compare", "maps", "misled"]
    )
    options = parser.parse_args()
    if "misled" in options.parts:
        found = studies()
        print(figures.misled_table(found), flush=True)
        figures.misled(found, options.output / "guided_misled.png")
    if "maps" in options.parts:
        figures.maps(options.output / "guided_maps.png")
    if "compare" in options.parts:
        measured = list(rows(options.output / "rows", tuple(options.sizes)))
        for size in options.sizes:
            print(f"\n{size} x {size}\n\n{figures.table(measured, size)}", flush=True)
        figures.errors_of(measured, options.sizes[0], options.output / "guided_errors.png")


if __name__ == "__main__":
    main()
