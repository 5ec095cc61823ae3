"""``fusionkit run``: solve a problem and write its result."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fusionkit.cli import DIVERGED, DONE, INTERRUPTED
from fusionkit.cli.parser import add_config
from fusionkit.terminal import painted, painted_status

if TYPE_CHECKING:
    from fusionkit.config import Config
    from fusionkit.results.record import RunRecord


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``run``."""
    add_config(command)
    command.add_argument("--output", metavar="DIR", help="output folder (default: the config's, else runs/NAME)")
    command.add_argument("--overwrite", action="store_true", help="replace a former run in the output folder")
    command.add_argument("--quiet", action="store_true", help="write nothing but warnings and errors")


def run(arguments: argparse.Namespace) -> int:
    """Solve the problem of a config and write its result; the exit status."""
    from fusionkit.cli.progress import solve_progress
    from fusionkit.config import load_config
    from fusionkit.interrupts import ASSESSING, WRITING, interruptible
    from fusionkit.machine import spell
    from fusionkit.reconstruct import prepare
    from fusionkit.result import Status
    from fusionkit.terminal import shown_log
    from fusionkit.writer import check_output, write

    loaded = load_config(arguments.config, arguments.set)
    folder = loaded.output_folder(arguments.output)
    check_output(folder, arguments.overwrite)
    job = prepare(loaded)
    if not arguments.quiet:
        print(f"needs about {spell(job.memory)} of memory", file=sys.stderr, flush=True)
    with interruptible() as stop_requested:  # the result of an interrupted solve is written too
        with solve_progress(arguments.quiet) as shown, shown_log(arguments.quiet):
            result = job.solve(shown.show, stop_requested, shown.look)
        stop_requested.effect = WRITING if loaded.config.uncertainty.method == "none" else ASSESSING
        record = job.record(result, tuple(arguments.warnings), stop_requested)
        cut_short = _is_cut_short(record, loaded.config, stop_requested())
        stop_requested.effect = WRITING
        output = loaded.config.output
        write(record, folder, arguments.overwrite, output.figures, output.report, output.formats)
    if not arguments.quiet:
        _print_summary(record, folder)
    if result.status is Status.DIVERGED:
        print(f"{painted('fusionkit:', 'red', sys.stderr)} {result.message}", file=sys.stderr)
    otherwise = INTERRUPTED if cut_short else DONE
    return {Status.DIVERGED: DIVERGED, Status.INTERRUPTED: INTERRUPTED}.get(result.status, otherwise)


def _is_cut_short(record: RunRecord, config: Config, stopped: bool) -> bool:
    """Whether Ctrl-C came between the solve and the requested error bars."""
    return stopped and config.uncertainty.method != "none" and record.uncertainty is None


def _print_summary(record: RunRecord, folder: Path) -> None:
    result = record.result
    rows = {
        "status": painted_status(result.status, sys.stdout),
        "iterations": result.iterations,
        "objective": f"{result.objective:.10g}",
        "optimality": f"{result.optimality:.2e}",
        "seconds": f"{result.seconds:.1f}",
        "output": folder,
    }
    for name, value in rows.items():
        print(f"{name + ':':<12}{value}")
    for note in (*result.notes, *(each.text for each in record.diagnostics if each.level == "warning")):
        print(f"{'note:':<12}{note}")
