"""Points on this machine: watched worker processes that take one point after another.

A worker that dies takes no other point with it: its point is tried once more in a new process, and fails if that
dies too. (`concurrent.futures.ProcessPoolExecutor` gives up every point that waits when one of its processes dies.)
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from fusionkit.engines.cpu.threads import thread_count
from fusionkit.errors import file_errors
from fusionkit.sweep.worker import Task, to_line
from fusionkit.writer import remove_partial

_PATIENCE = 5.0  # seconds that a process has to end after it is told to
# the process finds modules where this one does, from whatever folder it was started
_COMMAND = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from fusionkit.sweep.worker import main; main()"

_Inbox = SimpleQueue["tuple[_Worker, str]"]


class _Worker:
    """A process that runs tasks, and a thread that waits for its output; an empty line is its end."""

    def __init__(self, inbox: _Inbox) -> None:
        self.task: Task | None = None
        with file_errors("--workers", "a process cannot be started", "use fewer workers"):
            self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed in close()
            # Ctrl-C in the terminal goes to the whole session: the parent decides what becomes of a worker
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                start_new_session=True,
            )
        self._thread = Thread(target=self._listen, args=(inbox,), daemon=True)
        self._thread.start()

    def _listen(self, inbox: _Inbox) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            inbox.put((self, line))
        inbox.put((self, ""))

    def give(self, task: Task) -> None:
        """Have the task run."""
        assert self._process.stdin is not None
        self.task = task
        with suppress(BrokenPipeError):  # it has died, which the thread reports
            self._process.stdin.write(to_line(task))
            self._process.stdin.flush()

    def last_words(self) -> str:
        """Why the process ended, once it has."""
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        if status < 0:
            name = signal.Signals(-status).name
            hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{hint}"
        return f"its process ended with status {status}" + (f": {lines[-1]}" if lines else "")

    def terminate(self) -> None:
        """Ask the process to end, its point unfinished."""
        self._process.terminate()

    def close(self) -> None:
        """Wait until an idle or terminated process has ended, and remove what it has left behind."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # which ends a process that waits
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        self._process.stdout.close()
        self._errors.close()
        if self.task is not None:
            remove_partial(Path(self.task.folder), self._process.pid)


def run_here(processes: int | None, tasks: Sequence[Task]) -> Generator[tuple[Task, str]]:
    """Run the tasks in processes of this machine.

    Parameters
    ----------
    processes : the most at a time; None for one a core. They share the cores between them.
    tasks : the points.

    Yields
    ------
    Each task when it has ended, and why it failed; empty where it did not.
    """
    cores = thread_count()
    workers = max(1, min(processes or cores, len(tasks)))
    waiting = deque(replace(task, threads=max(1, cores // workers)) for task in tasks)
    retried: set[str] = set()
    inbox: _Inbox = SimpleQueue()
    busy: set[_Worker] = set()
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker = _Worker(inbox)
                busy.add(worker)
                worker.give(waiting.popleft())
            worker, line = inbox.get()
            task = worker.task
            if task is None:  # the end of one that was closed
                continue
            if line:
                worker.task = None
                error = json.loads(line)
                if waiting:
                    worker.give(waiting.popleft())
            else:
                error = worker.last_words()
            if worker.task is None or not line:
                busy.remove(worker)
                worker.close()
            if not line and task.name not in retried:
                retried.add(task.name)
                waiting.appendleft(replace(task, overwrite=True))  # it may have died between writing and saying so
                continue
            yield task, error if line else f"{error}, twice"
    finally:
        for worker in busy:
            worker.terminate()
        for worker in busy:
            worker.close()
