"""``fusionkit run``: solve a problem and write its result."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fusionkit.cli import DIVERGED, DONE
from fusionkit.cli.parser import add_config
from fusionkit.terminal import painted, painted_status

if TYPE_CHECKING:
    from fusionkit.results.record import RunRecord

_GO_ON = "fusionkit: repeat the command, with or without --resume, to go on from here"


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``run``."""
    add_config(command)
    command.add_argument("--output", metavar="DIR", help="output folder (default: the config's, else runs/NAME)")
    command.add_argument("--overwrite", action="store_true", help="replace a former run in the output folder")
    resume = "go on from the checkpoint of a killed or interrupted run, as without this option; say if there is none"
    command.add_argument("--resume", action="store_true", help=resume)
    command.add_argument("--quiet", action="store_true", help="print only warnings and errors")


def run(arguments: argparse.Namespace) -> int:
    """Solve the problem of a config and write its result; return the exit status."""
    from fusionkit.checkpoint.folder import beside
    from fusionkit.cli.progress import solve_progress
    from fusionkit.config import load_config
    from fusionkit.interrupts import ASSESSING, SOLVING, WRITING, interruptible
    from fusionkit.machine import spell
    from fusionkit.reconstruct import prepare
    from fusionkit.result import Status
    from fusionkit.results.lock import locked
    from fusionkit.results.resume import checkpoint_of, is_unfinished
    from fusionkit.terminal import shown_log
    from fusionkit.writer import SUMMARY, check_output, write

    started, loaded = time.perf_counter(), load_config(arguments.config, arguments.set)
    folder = loaded.output_folder(arguments.output)
    check_output(folder, arguments.overwrite or is_unfinished(folder) or beside(folder).is_dir())
    # the result of an interrupted solve is written too
    with locked(folder), _resumable(beside(folder)), interruptible("") as stop_requested:
        with shown_log(arguments.quiet):
            checkpoint = checkpoint_of(loaded, folder, arguments.resume)
            is_usable = checkpoint is not None and checkpoint.state() == "usable"
            overwrite = arguments.overwrite or (is_usable and is_unfinished(folder))
            if checkpoint is not None and is_usable and not overwrite and (folder / SUMMARY).is_file():
                checkpoint.remove()  # the run was killed when all else was done
            check_output(folder, overwrite)  # another run may have just ended
            job = prepare(loaded, checkpoint=checkpoint)
        stop_requested.effect = SOLVING
        if not arguments.quiet:
            print(f"needs about {spell(job.memory)} of memory", file=sys.stderr, flush=True)
        with solve_progress(arguments.quiet) as progress, shown_log(arguments.quiet):
            result = job.solve(progress.show, stop_requested, progress.look)
        has_error_bars = loaded.config.uncertainty.method != "none"
        stop_requested.effect = ASSESSING if has_error_bars else WRITING

        def complete(record: RunRecord) -> RunRecord:
            whole = job.complete(record, stop_requested)
            stop_requested.effect = WRITING
            return whole

        output, outline = loaded.config.output, job.outline(result, tuple(arguments.warnings))
        parts = (output.figures, output.report, output.formats)
        if checkpoint is not None and not checkpoint.state():
            checkpoint.save("solved", None)  # a run that is killed in the report is known as unfinished
        record = write(outline, folder, overwrite, *parts, complete=complete)
        # Ctrl-C came after the solve
        is_interrupted = stop_requested() and has_error_bars and record.uncertainty is None
        is_interrupted |= result.status is Status.INTERRUPTED
        if checkpoint is not None and not is_interrupted:
            checkpoint.remove()
    if not arguments.quiet:
        _print_summary(record, folder, time.perf_counter() - started)
    if result.status is Status.DIVERGED:
        print(f"{painted('fusionkit:', 'red', sys.stderr)} {result.message}", file=sys.stderr)
        return DIVERGED
    if is_interrupted and checkpoint is not None and checkpoint.state():
        print(_GO_ON, file=sys.stderr)
    return 128 + stop_requested.number if is_interrupted else DONE


@contextmanager
def _resumable(checkpoint: Path) -> Iterator[None]:
    """Say after an interrupt that ends the run that it can go on, if it has saved its state."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint.is_dir():
            print(_GO_ON, file=sys.stderr)
        raise


def _print_summary(record: RunRecord, folder: Path, seconds: float) -> None:
    from fusionkit.report.overview import overview

    result = record.result
    for name, value in overview(record):
        print(f"{name + ':':<12}{painted_status(value, sys.stdout) if name == 'verdict' else value}")
    rows = {
        "status": painted_status(result.status, sys.stdout),
        "iterations": result.iterations,
        "objective": f"{result.objective:.10g}",
        "optimality": f"{result.optimality:.2e}",
        "seconds": f"{result.seconds:.1f} (solve), {seconds:.1f} in all",
        "output": folder,
    }
    for name, value in rows.items():
        print(f"{name + ':':<12}{value}")
    for weight in record.weights:
        print(f"{'chosen:':<12}{weight.note}")
    for note in (*result.notes, *(each.text for each in record.diagnostics if each.level == "warning")):
        print(f"{'note:':<12}{note}")
