"""Progress of a sweep on stderr: a bar on a terminal, a plain line a point elsewhere, only failures when quiet."""

from __future__ import annotations

import sys
from types import TracebackType

from fusionkit.cli.progress import Started
from fusionkit.sweep.table import FAILED, Row
from fusionkit.terminal import has_cursor, painted, painted_status


class Shown:
    """Shows failures alone: what ``--quiet`` asks for.

    Parameters
    ----------
    total : number of points to run.
    """

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave stderr as it was."""

    def show(self, row: Row) -> None:
        """Say that a point has ended."""
        self._done += 1
        if row.status == FAILED:
            prefix = painted("fusionkit:", "red", sys.stderr)
            print(f"{prefix} {row.point.name} failed: {row.error}", file=sys.stderr, flush=True)


class Lines(Shown):
    """A plain line a point."""

    def show(self, row: Row) -> None:
        """Say that a point has ended, and how."""
        super().show(row)
        if row.status != FAILED:
            print(f"{self._done}/{self._total}  {row.point.name}  {in_words(row)}", file=sys.stderr, flush=True)


class Bar(Started, Shown):
    """A bar of the points on a terminal; failures appear above it."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        Shown.__init__(self, total)
        parts = (BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        bar = Progress(*parts, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        Started.__init__(self, bar)
        self._task = self._bar.add_task("points", total=total)

    def show(self, row: Row) -> None:
        """Move the bar and write the last point beside it."""
        super().show(row)
        self._bar.update(self._task, completed=self._done, description=f"{row.point.name} {row.status}")


def progress(total: int, quiet: bool) -> Shown:
    """What suits stderr."""
    if quiet:
        return Shown(total)
    return Bar(total) if has_cursor(sys.stderr) else Lines(total)


def in_words(row: Row) -> str:
    """How a point has ended."""
    numbers = row.numbers
    status = painted_status(row.status, sys.stderr)
    said = f"{status} after {numbers['iterations']} iterations in {numbers['seconds']:.1f} s"
    return said + (f", nrmse {numbers['nrmse']:.4f}" if "nrmse" in numbers else "")
