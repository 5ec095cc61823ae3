"""Progress of a solve or a sweep on stderr: a bar on a terminal, plain lines elsewhere, little with ``--quiet``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self, TextIO, cast

from fusionkit.terminal import Stream, has_cursor, painted, painted_status

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn

    from fusionkit.certificate import Certificate
    from fusionkit.convergence_checks import Check
    from fusionkit.sweep.table import Row

_LINES = 10  # most lines of a solve without a terminal


class SolveProgress:
    """The progress of a solve with ``--quiet``: nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave stderr as it was."""

    def show(self, check: Check) -> None:
        """Show the state of the solve."""

    def look(self, iteration: int, estimate: Certificate) -> None:
        """Show an estimate between two checks, if there is a bar."""


class SolveLines(SolveProgress):
    """A line after every tenth of the iterations."""

    def __init__(self) -> None:
        self._next = 0

    def show(self, check: Check) -> None:
        """Print a line if the next tenth has been reached."""
        if check.iteration >= self._next:
            line = f"iteration {check.iteration}/{check.max_iterations}  {numbers(check)}"
            print(line, file=sys.stderr, flush=True)
            self._next += max(1, -(-check.max_iterations // _LINES))


class _WithBar:
    """A bar within the context."""

    _bar: RichProgress

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


class SolveBar(_WithBar, SolveProgress):
    """A bar on a terminal, below other output on stderr."""

    def __init__(self) -> None:
        from rich.progress import TextColumn

        self._bar = _bar(TextColumn("{task.description}"))
        self._task = self._bar.add_task("starting", total=None)
        self._objective = ""

    def show(self, check: Check) -> None:
        """Move the bar and show objective and optimality beside it."""
        self._objective = _objective(check)
        self._bar.update(self._task, completed=check.iteration, total=check.max_iterations, description=numbers(check))

    def look(self, iteration: int, estimate: Certificate) -> None:
        """Move the bar and show the estimated optimality and the objective of the last check beside it."""
        text = f"{self._objective}  optimality about {estimate.optimality:.0e}"
        self._bar.update(self._task, completed=iteration, description=text)


class SweepProgress:
    """The progress of a sweep with ``--quiet``: only points that fail.

    Parameters
    ----------
    total : number of points to run.
    """

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave stderr as it was."""

    def show(self, row: Row) -> None:
        """Report a point that has failed."""
        self._done += 1
        if row.error:
            prefix = painted("fusionkit:", "red", sys.stderr)
            print(f"{prefix} {row.point.name} failed: {row.error}", file=sys.stderr, flush=True)


class SweepLines(SweepProgress):
    """A line for each point."""

    def show(self, row: Row) -> None:
        """Print the outcome of a point."""
        super().show(row)
        if not row.error:
            print(f"{self._done}/{self._total}  {row.point.name}  {_outcome(row)}", file=sys.stderr, flush=True)


class SweepBar(_WithBar, SweepProgress):
    """A bar on a terminal, below failures."""

    def __init__(self, total: int) -> None:
        from rich.progress import TextColumn

        super().__init__(total)
        self._bar = _bar(TextColumn("{task.description}", markup=False))
        self._task = self._bar.add_task("points", total=total)

    def show(self, row: Row) -> None:
        """Move the bar and show the last point beside it."""
        super().show(row)
        self._bar.update(self._task, completed=self._done, description=f"{row.point.name} {row.status}")


def solve_progress(quiet: bool) -> SolveProgress:
    """The progress display of a solve: quiet, a bar, or lines if stderr is not a terminal."""
    if quiet:
        return SolveProgress()
    return SolveBar() if has_cursor(sys.stderr) else SolveLines()


def sweep_progress(total: int, quiet: bool) -> SweepProgress:
    """The progress display of a sweep: quiet, a bar, or lines if stderr is not a terminal."""
    if quiet:
        return SweepProgress(total)
    return SweepBar(total) if has_cursor(sys.stderr) else SweepLines(total)


def numbers(check: Check) -> str:
    """Objective and optimality of a check as text."""
    return f"{_objective(check)}  optimality {check.optimality:.2e}"


def _objective(check: Check) -> str:
    return f"objective {check.objective:.8g}"


def _outcome(row: Row) -> str:
    numbers = row.numbers
    status = painted_status(row.status, sys.stderr)
    verdict = numbers.get("verdict")
    outcome = f"{status} after {numbers['iterations']} iterations in {numbers['seconds']:.1f} s"
    outcome += "" if verdict is None else f", {painted_status(verdict, sys.stderr)}"
    return outcome + (f", nrmse {numbers['nrmse']:.4f}" if "nrmse" in numbers else "")


def _bar(description: ProgressColumn) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), description, TimeElapsedColumn())
    file = sys.stderr.unescaped if isinstance(sys.stderr, Stream) else sys.stderr
    return Progress(*columns, console=Console(file=cast(TextIO, file)), transient=True)
