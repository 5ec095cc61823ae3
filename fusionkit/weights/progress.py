"""The progress of a search: each trial, the searches to come, the time so far, and how much more without compiling."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fusionkit.checkpoint.folder import Checkpoint
from fusionkit.interrupts import Terminated
from fusionkit.loop import solving_seconds

_LOG = logging.getLogger("fusionkit")


class OutOfTime(Terminated):
    """A search has met its limit of time and ends as if a signal had stopped it."""


@dataclass
class Progress:
    """The searches to come, and the trials so far."""

    stages: Sequence[tuple[str, int]] = ()  # name of each search to come, in order, and its usual number of trials
    checkpoint: Checkpoint | None = None  # of the solves; None without one
    is_late: bool = False  # whether the searches have met their limit of time
    _usual: int = 0
    _own: int = 0
    _trials: int = 0
    _solves: int = 0
    _started: float = field(default_factory=time.perf_counter)
    _began: float = field(default_factory=solving_seconds)

    def begin(self, name: str) -> None:
        """The search of this term begins; those planned before it have ended or are not needed."""
        names = [stage for stage, _ in self.stages]
        place = names.index(name) if name in names else -1
        self._usual, self._own = self.stages[place][1] if place >= 0 else 0, 0
        self.stages = self.stages[place + 1 :]

    def end_if_late(self, limit: float) -> None:
        """Raise `OutOfTime` if the searches have taken longer than ``limit`` seconds."""
        self.is_late = time.perf_counter() - self._started > limit
        if self.is_late:
            raise OutOfTime(0)

    def next_solve(self) -> str:
        """The name of the next solve in the checkpoint: a repeated search has the same ones in the same order."""
        self._solves += 1
        return f"search-{self._solves}"

    def tried(self, term: str, weight: float, iterations: int) -> None:
        """Log a trial."""
        self._trials, self._own = self._trials + 1, self._own + 1
        seconds = time.perf_counter() - self._started
        left = max(self._usual - self._own, 0) + sum(usual for _, usual in self.stages)
        then = "".join(f", then {name}" for name, _ in self.stages)
        rest = (solving_seconds() - self._began) / self._trials * left
        about = f", about {rest:.0f} s more" if rest >= 1.0 else ""
        expected = f"{seconds:.0f} s so far{about}{then}"
        _LOG.info("search of the weight of %s: tried %.3g, %d iterations; %s", term, weight, iterations, expected)
