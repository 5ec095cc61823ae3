"""Points on this machine: worker processes that solve one point after another.

If a worker dies, its point is tried once more in a new process and fails if that dies too; other points go on, unlike
with `concurrent.futures.ProcessPoolExecutor`, which gives up all points when a process dies.
"""

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

from fusionkit.data.new_file import clear_leftovers
from fusionkit.engines.cpu.threads import thread_count
from fusionkit.errors import file_errors
from fusionkit.sweep.worker import Task, to_line

_TIMEOUT = 5.0  # seconds for a process to end
# the process searches modules in the same places as this one
_COMMAND = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from fusionkit.sweep.worker import main; main()"

_Inbox = SimpleQueue["tuple[_Worker, str]"]


class _Worker:
    """A process that runs tasks, and a thread that forwards its output; an empty line means that it has ended."""

    def __init__(self, inbox: _Inbox) -> None:
        self.task: Task | None = None
        with file_errors("--workers", "a process cannot be started", "use fewer workers"):
            self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed in close()
            # in a session of its own, which Ctrl-C in the terminal does not reach: the parent ends its workers
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

    def send(self, task: Task) -> None:
        """Send a task to the process."""
        assert self._process.stdin is not None
        self.task = task
        with suppress(BrokenPipeError):  # it has died, as the thread reports
            self._process.stdin.write(to_line(task))
            self._process.stdin.flush()

    def reason(self) -> str:
        """Wait for the end of the process and return its reason."""
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        if status < 0:
            name = signal.Signals(-status).name
            hint = ", perhaps for lack of memory" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{hint}"
        return f"its process ended with status {status}" + (f": {lines[-1]}" if lines else "")

    def terminate(self) -> None:
        """Ask the process to end without finishing its point."""
        self._process.terminate()

    def close(self) -> None:
        """Wait for an idle or terminated process to end, and remove the partial folder of its point."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # an idle process then ends
        try:
            self._process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        self._process.stdout.close()
        self._errors.close()
        if self.task is not None:
            clear_leftovers(Path(self.task.folder).parent)


def run_here(processes: int | None, tasks: Sequence[Task]) -> Generator[tuple[Task, str]]:
    """Run the tasks in processes of this machine (None for one per core), which share its cores.

    Yield each task when it has ended, with the reason if it failed, else an empty text.
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
                worker.send(waiting.popleft())
            worker, line = inbox.get()
            task = worker.task
            if task is None:  # an idle worker was closed
                continue
            if line:
                worker.task = None
                error = json.loads(line)
                if waiting:
                    worker.send(waiting.popleft())
            else:
                error = worker.reason()
            if worker.task is None or not line:
                busy.remove(worker)
                worker.close()
            if not line and task.name not in retried:
                retried.add(task.name)
                waiting.appendleft(replace(task, overwrite=True))  # it may have died after writing its folder
                continue
            yield task, error if line else f"{error}, twice"
    finally:
        for worker in busy:
            worker.terminate()
        for worker in busy:
            worker.close()
