"""Progress of a solve on stderr: a bar on a terminal, a few plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fusionkit.terminal import has_cursor

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from fusionkit.certificate import Certificate
    from fusionkit.course import Check

_LINES = 10  # at most so many lines on a solve where there is no terminal


class Progress:
    """Shows nothing: what ``--quiet`` asks for."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave stderr as it was."""

    def show(self, check: Check) -> None:
        """Show where the solve stands."""

    def look(self, iteration: int, seen: Certificate) -> None:
        """Show how far it has come between two checks, where there is a bar to move."""


class Lines(Progress):
    """A plain line after every tenth of the iterations."""

    def __init__(self) -> None:
        self._next = 0

    def show(self, check: Check) -> None:
        """A line where the next tenth is reached."""
        if check.iteration >= self._next:
            line = f"iteration {check.iteration}/{check.max_iterations}  {numbers(check)}"
            print(line, file=sys.stderr, flush=True)
            self._next += max(1, -(-check.max_iterations // _LINES))


class Started:
    """What starts and stops the bar of rich that it holds.

    Parameters
    ----------
    bar : from the package rich.
    """

    def __init__(self, bar: RichProgress) -> None:
        self._bar = bar

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._bar.stop()


class Bar(Started, Progress):
    """A bar on a terminal; what else is written on stderr meanwhile appears above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        texts = (MofNCompleteColumn(), TextColumn("{task.description}"))
        parts = (BarColumn(bar_width=20), *texts, TimeElapsedColumn())
        super().__init__(RichProgress(*parts, console=Console(stderr=True), transient=True))
        self._task = self._bar.add_task("starting", total=None)
        self._objective = ""

    def show(self, check: Check) -> None:
        """Move the bar and write objective and optimality beside it."""
        self._objective = _objective(check)
        self._bar.update(self._task, completed=check.iteration, total=check.max_iterations, description=numbers(check))

    def look(self, iteration: int, seen: Certificate) -> None:
        """Move the bar and write about the optimality beside it; the objective is that of the last check."""
        about = f"{self._objective}  optimality about {seen.optimality:.0e}"
        self._bar.update(self._task, completed=iteration, description=about)


def progress(quiet: bool) -> Progress:
    """What suits stderr: nothing when ``quiet``, a `Bar` on a terminal, else `Lines`."""
    if quiet:
        return Progress()
    return Bar() if has_cursor(sys.stderr) else Lines()


def numbers(check: Check) -> str:
    """Objective and optimality in words."""
    return f"{_objective(check)}  optimality {check.optimality:.2e}"


def _objective(check: Check) -> str:
    return f"objective {check.objective:.8g}"
