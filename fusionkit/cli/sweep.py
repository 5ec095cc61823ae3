"""``fusionkit sweep``: run a configuration over lists and ranges of its values."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fusionkit.cli import DIVERGED, DONE, FAILED, LOST
from fusionkit.cli.parser import add_config
from fusionkit.terminal import painted, painted_status

if TYPE_CHECKING:
    from fusionkit.config import Source
    from fusionkit.sweep.axes import Axis


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``sweep``."""
    add_config(command)
    command.add_argument(
        "--over",
        metavar="KEY=VALUES",
        action="append",
        default=[],
        help="also sweep this key (terms.tv.weight=0.1,0.2 or =log:0.01:1:9 or =linear:0:1:5)",
    )
    add_many(command)


def add_many(command: argparse.ArgumentParser) -> None:
    """The arguments of commands that run many points."""
    command.add_argument("--output", metavar="DIR", help="folder of the points' folders, the table and the page")
    command.add_argument("--workers", metavar="N", type=_positive, help="number of processes (default: one per core)")
    command.add_argument("--scheduler", metavar="ADDRESS", help="run on this dask.distributed scheduler instead")
    command.add_argument("--overwrite", action="store_true", help="replace changed points, omit former points")
    command.add_argument("--quiet", action="store_true", help="print only warnings and errors")


def run(arguments: argparse.Namespace) -> int:
    """Run the points of a sweep and write their table; return the exit status."""
    from fusionkit.config import override_source, read_source
    from fusionkit.sweep.axes import axes_of

    source = override_source(read_source(arguments.config), arguments.set)
    axes = axes_of(source.raw.get("sweep"), arguments.over, source.folder)
    return run_points(arguments, source, axes, "sweep")


def run_points(arguments: argparse.Namespace, source: Source, axes: tuple[Axis, ...], command: str) -> int:
    """Run all points of the axes; ``command`` is ``sweep`` or ``batch``."""
    from fusionkit.checkpoint.folder import beside
    from fusionkit.cli.progress import sweep_progress
    from fusionkit.data.new_file import clear_leftovers
    from fusionkit.errors import UserError
    from fusionkit.results.lock import locked
    from fusionkit.sweep.cluster import SchedulerLostError
    from fusionkit.sweep.plan import check_folder, plan
    from fusionkit.sweep.run import Machines, carry_out

    if arguments.workers is not None and arguments.scheduler is not None:
        remedy = "remove one of them: a cluster has workers of its own"
        raise UserError("--workers", "cannot be combined with --scheduler", remedy)
    planned = plan(source, axes, _folder(arguments.output, source, command))
    machines = Machines(arguments.workers, arguments.scheduler)
    try:
        with locked(planned.folder):
            todo = check_folder(planned, arguments.overwrite)
            for point in planned.points:
                clear_leftovers(point.folder)
                if point not in todo:
                    shutil.rmtree(beside(point.folder), ignore_errors=True)
            with sweep_progress(len(todo), arguments.quiet) as progress:
                rows = carry_out(planned, todo, arguments.overwrite, machines, progress.show)
    except KeyboardInterrupt:
        remedy = f"finished points stay in {planned.folder}; repeat the command to run the others"
        print(f"\nfusionkit: {remedy}", file=sys.stderr)
        raise
    except SchedulerLostError:
        problem = "the scheduler is gone or has lost the points"
        remedy = f"finished points stay in {planned.folder}; start a scheduler and repeat the command to run the others"
        print(f"{painted('fusionkit:', 'red', sys.stderr)} --scheduler: {problem}; {remedy}", file=sys.stderr)
        return LOST
    states = [row.status for row in rows]
    if not arguments.quiet:
        _print_summary([row.outcome for row in rows], len(rows) - len(todo), planned.folder)
    if "failed" in states:
        return FAILED
    return DIVERGED if "diverged" in states else DONE


def _folder(option: str | None, source: Source, command: str) -> Path:
    """The output folder: that of the command line, else the config's, else ``runs/NAME_sweep``."""
    output = source.raw.get("output")
    directory = output.get("directory") if isinstance(output, dict) else None
    if option is None and isinstance(directory, str):
        return (source.folder / Path(directory).expanduser()).absolute()
    return Path(option) if option is not None else Path("runs") / f"{source.name}_{command}"


def _print_summary(states: list[str], kept: int, folder: Path) -> None:
    from fusionkit.sweep.plan import PAGE, TABLE

    counts = ", ".join(f"{states.count(state)} {painted_status(state, sys.stdout)}" for state in dict.fromkeys(states))
    points = f"{len(states)} ({counts})" + (f", {kept} of them already finished" if kept else "")
    for name, value in {"points": points, "table": folder / TABLE, "page": folder / PAGE}.items():
        print(f"{name + ':':<12}{value}")


def _positive(text: str) -> int:
    count = int(text) if text.isdecimal() else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number >= 1")
    return count
