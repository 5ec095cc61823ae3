"""Carrying out a plan: run the points that are missing, then write table and page of all points."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from os.path import isfile

from fusionkit.interrupts import held_back
from fusionkit.results import result_file
from fusionkit.sweep.page import write_page
from fusionkit.sweep.plan import PAGE, TABLE, Plan, Point, is_finished, write_config
from fusionkit.sweep.processes import run_here
from fusionkit.sweep.table import FAILED, NOT_RUN, Row, row_of, write_table
from fusionkit.sweep.worker import Task

_Runner = Callable[[Sequence[Task]], Generator[tuple[Task, str]]]


@dataclass(frozen=True)
class Machines:
    """Where the points run."""

    workers: int | None = None  # number of processes on this machine; None for one per core
    scheduler: str | None = None  # address of a dask.distributed scheduler; None for this machine


def carry_out(
    plan: Plan, todo: Sequence[Point], overwrite: bool, machines: Machines, show: Callable[[Row], None]
) -> list[Row]:
    """Run the points ``todo``, and write table and page even if that is interrupted; a row for each point of the plan.

    ``overwrite`` permits to replace runs of another configuration; ``show`` gets the row of each point that has ended.
    """
    run = _runner(machines, todo)
    write_config(plan)
    waiting = {point.name: point for point in todo}
    rows = {point.name: row_of(point) for point in plan.points if point.name not in waiting}
    unreported = {name: Row(point, NOT_RUN) for name, point in waiting.items()}
    _write_table(plan, rows | unreported)  # lists all points, should this process be killed
    try:
        with closing(run([_task(point, overwrite) for point in todo])) as outcomes:
            for task, error in outcomes:
                point = waiting[task.name]
                with held_back():
                    rows[task.name] = Row(point, FAILED, error=error) if error else row_of(point)
                    show(rows[task.name])
    finally:
        with held_back():
            # one without an outcome may be finished if an interrupt came before its report
            left = {name: point for name, point in waiting.items() if name not in rows}
            unreported = {name: row_of(one) if is_finished(one) else Row(one, NOT_RUN) for name, one in left.items()}
            all_rows = _write_table(plan, rows | unreported)
            write_page(plan, all_rows, plan.folder / PAGE)
    return all_rows


def _write_table(plan: Plan, rows: Mapping[str, Row]) -> list[Row]:
    """Write the table and return its rows in the order of the points."""
    all_rows = [rows[point.name] for point in plan.points]
    write_table(all_rows, plan.folder / TABLE)
    return all_rows


def _runner(machines: Machines, todo: Sequence[Point]) -> _Runner:
    """The function that runs tasks; `UserError` if the scheduler does not answer, before anything is written."""
    if machines.scheduler is not None and todo:
        from fusionkit.sweep.cluster import connect, run_on_cluster

        return partial(run_on_cluster, connect(machines.scheduler))
    return partial(run_here, machines.workers)


def _task(point: Point, overwrite: bool) -> Task:
    source, folder = point.source, str(point.folder.resolve())
    overwrite = overwrite or isfile(point.folder / result_file.NAME)  # a run that was killed before it was complete
    return Task(point.name, dict(source.raw), str(source.folder), source.name, source.packaged, folder, overwrite)
