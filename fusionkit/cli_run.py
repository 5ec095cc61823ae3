"""``fusionkit run`` and ``fusionkit validate``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fusionkit.exit_status import DIVERGED, DONE, INTERRUPTED

if TYPE_CHECKING:
    from fusionkit.result import Result


def run(arguments: argparse.Namespace, said: list[str]) -> int:
    """Solve the problem of a config and write its result; the exit status.

    Parameters
    ----------
    arguments : of the command line.
    said : the warnings so far; read when the result is written.
    """
    from fusionkit.cli_interrupt import interruptible
    from fusionkit.cli_log import shown_log
    from fusionkit.config import load_config
    from fusionkit.progress import progress
    from fusionkit.reconstruct import prepare
    from fusionkit.result import Status
    from fusionkit.writer import check_output, write

    loaded = load_config(arguments.config, arguments.set)
    folder = loaded.output_folder(arguments.output)
    check_output(folder, arguments.overwrite)
    job = prepare(loaded)
    with interruptible() as stop_requested:  # the result of an interrupted solve is written too
        with progress(arguments.quiet) as shown, shown_log(arguments.quiet):
            result = job.solve(shown.show, stop_requested)
        record = job.record(result, tuple(said))
        write(record, folder, arguments.overwrite, loaded.config.output.figures)
    if not arguments.quiet:
        _print_summary(result, folder)
    if result.status is Status.DIVERGED:
        print(f"fusionkit: {result.message}", file=sys.stderr)
    return {Status.DIVERGED: DIVERGED, Status.INTERRUPTED: INTERRUPTED}.get(result.status, DONE)


def validate(arguments: argparse.Namespace) -> int:
    """Read config and data, build the problem and print what would run."""
    from fusionkit.config import load_config
    from fusionkit.reconstruct import prepare

    loaded = load_config(arguments.config, arguments.set)
    for line in prepare(loaded).describe():
        print(line)
    print(f"output: {loaded.output_folder()}")
    return 0


def _print_summary(result: Result, folder: Path) -> None:
    rows = {
        "status": result.status,
        "iterations": result.iterations,
        "objective": f"{result.objective:.10g}",
        "optimality": f"{result.optimality:.2e}",
        "seconds": f"{result.seconds:.1f}",
        "output": folder,
    }
    for name, value in rows.items():
        print(f"{name + ':':<12}{value}")
    for note in result.notes:
        print(f"{'note:':<12}{note}")
