"""``fusionkit compare``: finished runs side by side in a table and on a page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from os.path import isfile
from pathlib import Path
from typing import TYPE_CHECKING

from fusionkit.cli import DONE

if TYPE_CHECKING:
    from fusionkit.report.comparison import Comparison


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``compare``."""
    command.add_argument("runs", metavar="RUN", nargs="+", help="output folder of a run; at least two (or SWEEP/*)")
    command.add_argument("--output", metavar="FILE", help="page to write, with the maps side by side (.html)")
    command.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Print the table of the runs and write their page."""
    from fusionkit.data.new_file import HTML, check_new, write_new
    from fusionkit.report.comparison import compare
    from fusionkit.results.saved import read_runs

    output = None if arguments.output is None else Path(arguments.output)
    if output is not None:
        check_new(output, arguments.overwrite, HTML)
    comparison = compare(read_runs([Path(run) for run in arguments.runs if not _is_sweep_file(Path(run))]))
    _print_table(comparison)
    for note in comparison.notes:
        print(f"note: {note}")
    if output is None:
        print("note: --output FILE.html writes a page with the maps side by side")
    else:
        from fusionkit.report.comparison_page import comparison_page
        from fusionkit.report.html import render

        write_new(output, render(comparison_page(comparison)), arguments.overwrite, HTML)
        print(f"wrote {output}")
    return DONE


def _is_sweep_file(path: Path) -> bool:
    """Whether the path is a file of a sweep other than its runs, which ``compare SWEEP/*`` also lists."""
    from fusionkit.sweep.plan import CONFIG, PAGE, TABLE

    return path.name in (CONFIG, PAGE, TABLE) and isfile(path) and isfile(path.with_name(CONFIG))


def _print_table(comparison: Comparison) -> None:
    from shutil import get_terminal_size

    from fusionkit.terminal import painted

    rows = [("", *(run.name for run in comparison.runs)), *comparison.rows]
    if not sys.stdout.isatty():  # for other programs: always one row per quantity
        print("\n".join(align(rows)))
        return
    for line, is_heading in fit_table(rows, get_terminal_size().columns):
        print(painted(line, "bold", sys.stdout) if is_heading else line)


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, whose first row is the head, with the first column flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def fit_table(rows: Sequence[Sequence[str]], width: int) -> list[tuple[str, bool]]:
    """The lines of a table and whether each is a heading: transposed or in blocks if it is wider than ``width``."""
    transposed = [tuple(map(str.strip, column)) for column in zip(*rows, strict=True)]
    for table in (rows, transposed):
        lines = align(table)
        if max(map(len, lines)) <= width:
            return [(line, index == 0) for index, line in enumerate(lines)]
    (_, *names), *body = rows
    blocks = [(name, align([(row[0], row[column]) for row in body])) for column, name in enumerate(names, start=1)]
    return [pair for name, lines in blocks for pair in ((name, True), *((f"  {line}", False) for line in lines))]
